"""Whatever text stands in a rule, marker, baseline or finding: an error that says so, or a report."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_asyncio_traps.baseline.file import BadBaselineError, Entry, Key, key_of, parse, render
from pytest_asyncio_traps.core.reprs import shown
from pytest_asyncio_traps.model.finding import Finding, Owner, Place, bounded
from pytest_asyncio_traps.model.sources import Sources
from pytest_asyncio_traps.model.text import LIMIT, clean
from pytest_asyncio_traps.policy import markers
from pytest_asyncio_traps.policy.rules import BadRuleError, parse_rule, parse_threshold
from pytest_asyncio_traps.reports.summary import Summary
from pytest_asyncio_traps.reports.terminal import Reporter
from pytest_asyncio_traps.traps import KINDS

#: The same examples each time, and not too many of them.
examples = settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

#: What does harm where it is not expected.
AWKWARD = (
    "\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\r", "\n", "\r\n", "\t", "\0", "\ud800", "\udfff",
    "\u202e", "\u2028", "\ufeff", "<evil-tag onload=evil>", "</script>", "--><!--", "]]>", "&lt;",
    "\"", "'", "\\", "`", "#", ":", "%s", "{}", "::", "[", " ", "e" * 3_000,
)  # fmt: skip
texts = st.lists(
    st.one_of(
        st.sampled_from(AWKWARD), st.text(max_size=20), st.characters(categories=["Cs", "Cc"])
    ),
    max_size=6,
).map("".join)

#: What steers a terminal, or has a line look like another.
STEERS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


class Odd:
    """An object that raises whenever it is asked for something."""

    def _no(self, *args: object) -> Any:
        raise RuntimeError("it raises")

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __getattr__ = _no


class Fails:
    def __repr__(self) -> str:
        pytest.fail("in a repr")


class Endless:
    def __repr__(self) -> str:
        return "\x1b" * 1_000_000


values = st.one_of(
    texts, st.integers(), st.floats(), st.none(), st.binary(max_size=9), st.lists(texts, max_size=2),
    st.sampled_from([Odd]).map(lambda cls: cls()), st.builds(Fails), st.builds(Endless), st.just(10**5_000),
)  # fmt: skip


def is_plain(text: str, limit: int = 10 * LIMIT) -> bool:
    return not STEERS.search(text) and len(text) < limit


@examples
@given(texts)
def test_a_text_is_shown_on_one_plain_line(text: str) -> None:
    assert not STEERS.search(clean(text))
    assert clean(clean(text)) == clean(text)


@examples
@given(values)
def test_an_object_is_shown_in_short(value: object) -> None:
    assert is_plain(shown(value), limit=201)


@examples
@given(texts, st.sampled_from(["", "fail:", "warn:pending-task:", "allow::", "off:"]))
def test_a_rule(text: str, before: str) -> None:
    try:
        rule = parse_rule(before + text, KINDS)
    except BadRuleError as exc:
        assert is_plain(str(exc))
    else:
        assert rule.action in ("fail", "warn", "allow", "off")
        assert rule.kind in (None, *KINDS)


@examples
@given(values)
def test_a_threshold(value: object) -> None:
    try:
        assert 0 < parse_threshold(value, "here") < float("inf")
    except BadRuleError as exc:
        assert is_plain(str(exc))


class Item:
    """As much of an item as the markers look at."""

    def __init__(self, nodeid: str, mark: pytest.Mark) -> None:
        self.nodeid = nodeid
        self.config = SimpleNamespace(stash=pytest.Stash())
        self.parent = None
        self.own_markers = [mark]

    def iter_markers(self, name: str | None = None) -> Iterator[pytest.Mark]:
        yield from (mark for mark in self.own_markers if name in (None, mark.name))

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next(self.iter_markers(name), None)


@examples
@given(
    texts,
    st.sampled_from(sorted(markers.NAMES)),
    st.lists(st.one_of(values, st.sampled_from(KINDS)), max_size=2),
    st.dictionaries(
        st.one_of(st.sampled_from(["match", "reason", "seconds"]), texts), values, max_size=2
    ),
    st.booleans(),
)
def test_a_marker(
    nodeid: str, name: str, args: list[object], kwargs: dict[str, object], strict: bool
) -> None:
    """Either it is understood, or the run does not begin, and says why."""
    mark = pytest.Mark(name, tuple(args), kwargs, _ispytest=True)
    item: Any = Item(nodeid, mark)
    try:
        thresholds = markers.check([item], strict)
    except pytest.UsageError as exc:
        assert is_plain(str(exc), limit=100_000)  # the nodeid and the names are as they are
    else:
        assert all(0 < seconds < float("inf") for seconds in thresholds.values())


places = st.builds(Place, texts.map("/some/".__add__), st.integers(1, 10**9), texts)
owners = st.builds(Owner, st.sampled_from(["test", "fixture", "module"]), texts, texts, texts)
findings = st.builds(
    Finding,
    kind=st.sampled_from(KINDS),
    summary=texts,
    advice=st.just("Do better."),
    owner=owners,
    origin=st.none() | places,
    location=st.none() | places,
    origin_label=st.just("created at"),
    location_label=st.just("at"),
    at_location=st.booleans(),
    notes=st.lists(texts, max_size=2).map(tuple),
    duration=st.none() | st.floats(0, 1e9),
    exception=st.none() | texts,
    subject=texts,
    when=st.sampled_from(["setup", "call", "late"]),
    action=st.sampled_from(["fail", "warn", "allow", "baseline"]),
)


@examples
@given(findings)
def test_a_finding_is_bounded(finding: Finding) -> None:
    """What is long is cut; what is not stays as it is."""
    short = bounded(finding)

    assert bounded(short) == short
    for long, cut in zip(finding, short, strict=True):
        if isinstance(long, str):
            assert cut == long or (isinstance(cut, str) and len(cut) == LIMIT)


def reporter() -> Reporter:
    parts: list[Any] = [Path("/some"), Path("/some")]
    count = Reporter.__init__.__code__.co_argcount - 1
    return Reporter(*parts[:count])


@examples
@given(
    st.lists(st.tuples(findings.map(bounded), st.integers(1, 5)), min_size=1, max_size=4),
    st.integers(-2, 1),
)
def test_the_terminal(counted: list[tuple[Finding, int]], verbosity: int) -> None:
    """Each line is one line, and says nothing to the terminal."""
    words = reporter()
    lines = Summary(words).causes(counted, verbosity)
    for finding, count in counted:
        lines += [words.headline(finding, count), *words.details(finding)]
    lines += words.text(counted).split("\n")

    # A nodeid, and the path and name of a fixture, are of the length that the user gave them.
    assert all(is_plain(line, limit=200_000) for line in lines)
    assert len(words.headline(counted[0][0])) <= 12 * LIMIT


keys = st.builds(Key, st.sampled_from(KINDS), texts, texts, texts, st.integers(1, 10**8), texts)
comments = st.lists(texts.map(lambda text: "# " + clean(text).strip()), max_size=2).map(tuple)
entries = st.builds(
    Entry,
    keys,
    st.lists(texts, max_size=3).map(lambda of: tuple(sorted(set(of)))),
    comments,
    st.booleans(),
)


@examples
@given(st.lists(entries, max_size=4, unique_by=lambda entry: entry.key))
def test_a_baseline_is_read_as_it_was_written(written: list[Entry]) -> None:
    text = render(written)

    assert not STEERS.search(text.replace("\n", ""))
    read = parse(text.encode(), KINDS)
    assert {entry.key: (entry.tests, entry.sometimes) for entry in read} == {
        entry.key: (entry.tests, entry.sometimes) for entry in written
    }


@examples
@given(st.binary(max_size=200) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_file_for_a_baseline(data: bytes) -> None:
    for before in (b"", b"pending-task a.py f\n    code: "):
        try:
            read = parse(before + data, KINDS)
        except BadBaselineError as exc:
            assert re.match(r"[0-9]+: ", str(exc))
        else:
            assert all(entry.key.kind in KINDS for entry in read)


@examples
@given(findings.map(bounded))
def test_a_key_is_short(finding: Finding) -> None:
    key = key_of(finding, reporter().relative, Sources(lambda path: ()))

    assert sum(map(len, (key.path, key.function, key.code, key.subject))) <= 4 * 310
    assert parse(render([Entry(key)]).encode(), KINDS)[0].key == key


# -- the reports ---------------------------------------------------------------


def suffixes() -> list[str]:
    """The formats there are, by introspection."""
    if importlib.util.find_spec("pytest_asyncio_traps.reports") is not None:
        formats: Any = importlib.import_module("pytest_asyncio_traps.reports.formats")
        return [suffix for suffix in formats.FORMATS if not formats.missing(suffix)]
    options: Any = importlib.import_module("pytest_asyncio_traps.options")
    return list(options._WRITERS)


def write(path: Path, counted: list[tuple[Finding, int]], said: dict[str, str]) -> None:
    """Write a report, whoever writes it."""
    versions = {"tool": "1", "pytest": "9"}
    if importlib.util.find_spec("pytest_asyncio_traps.reports") is not None:
        run: Any = importlib.import_module("pytest_asyncio_traps.reports.run")
        writing: Any = importlib.import_module("pytest_asyncio_traps.reports.writing")
        root = Path("/some")
        fault: Any = importlib.import_module("pytest_asyncio_traps.core.faults").Fault
        faults = [fault(part, text, text, part) for part, text in said.items()]
        writing.write(path, run.Run(counted, said, faults, versions, root, reporter().relative))
        return
    jsonreport: Any = importlib.import_module("pytest_asyncio_traps.jsonreport")
    jsonreport.write(path, jsonreport.render(counted, said, versions, reporter().relative))


def joined(text: str) -> str:
    """``text``, with two halves of a character that stand side by side as one: so JSON reads them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class Tags(HTMLParser):
    """The names of tags and attributes in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}


@settings(examples, max_examples=25)
@given(
    st.lists(st.tuples(findings.map(bounded), st.integers(1, 5)), max_size=4),
    st.dictionaries(texts, texts, max_size=2),
)
@pytest.mark.parametrize("suffix", suffixes())
def test_a_report(suffix: str, counted: list[tuple[Finding, int]], said: dict[str, str]) -> None:
    """It is well formed, and nothing of the user's is more in it than text."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "report" + suffix)
        write(path, counted, said)
        text = path.read_bytes().decode("utf-8")
        assert [file.name for file in Path(folder).iterdir()] == [path.name]

    # What JSON leaves as it is (a delete, and nothing below a blank) steers nothing.
    assert not STEERS.search(text.replace("\n", "").replace("\x7f", ""))
    if suffix == ".html":
        tags = Tags()
        tags.feed(text)
        assert tags.names.isdisjoint({"evil-tag", "onload"})
        return
    read = json.loads(text)
    if suffix == ".json":
        told = [joined(f["summary"]) for f in read["findings"]]
        assert told == [joined(f.summary) for f, _ in counted]
        told = [joined(f["nodeid"]) for f in read["findings"]]
        assert told == [joined(f.owner.nodeid) for f, _ in counted]
