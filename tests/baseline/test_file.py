"""The text of a baseline: what is written is read, and what is broken is named."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_asyncio_traps.baseline.file import (
    HEADER,
    BadBaselineError,
    Entry,
    Key,
    key_of,
    parse,
    render,
)
from pytest_asyncio_traps.model.finding import Finding, Owner, Place
from pytest_asyncio_traps.model.sources import Sources
from pytest_asyncio_traps.traps import KINDS

#: The same ones in each run, however slow the machine.
examples = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)

#: Any text there is: control characters, lone surrogates, quotes, nothing at all.
ANY = st.text(st.characters(), max_size=20) | st.sampled_from(
    [
        "",
        " ",
        '"',
        "#",
        "\\",
        "a b",
        "x\r",
        "\ud83d\ude00",
        "\ufeff",
        "\u2028",
        "é",
        "code: x",
        "\\x41",
    ]
)
KEYS = st.builds(Key, st.sampled_from(KINDS), ANY, ANY, ANY, st.integers(1, 999_999_999), ANY)
TESTS = st.lists(ANY, max_size=4).map(lambda tests: tuple(sorted({*tests})))
ENTRIES = st.builds(Entry, KEYS, TESTS, sometimes=st.booleans())


def read(text: str) -> tuple[Entry, ...]:
    return parse(text.encode(), KINDS)


@examples
@given(st.lists(ENTRIES, max_size=5, unique_by=lambda entry: entry.key))
def test_what_is_written_is_read(entries: list[Entry]) -> None:
    """Whatever users have in names and code; and it is written the same way again."""
    text = render(entries)

    assert sorted(parse(text.encode(), KINDS), key=lambda e: e.key) == sorted(
        entries, key=lambda e: e.key
    )
    assert render(parse(text.encode(), KINDS)) == text
    assert parse(text.replace("\n", "\r\n").encode(), KINDS) == parse(text.encode(), KINDS)


@examples
@given(st.lists(ENTRIES, max_size=5, unique_by=lambda entry: entry.key))
def test_a_file_is_text_of_plain_lines(entries: list[Entry]) -> None:
    """Nothing in it steers a terminal or breaks a line of a diff."""
    lines = render(entries).split("\n")

    assert all(line.isprintable() for line in lines)
    assert lines == [*"\n".join(lines).splitlines(), ""]
    assert not any(line.endswith(" ") for line in lines)


@examples
@given(st.binary(max_size=200) | st.text(st.characters(codec="utf-8")).map(str.encode))
def test_anything_is_read_or_refused(data: bytes) -> None:
    """With the line and a reason, and never otherwise."""
    try:
        parse(data, KINDS)
    except BadBaselineError as exc:
        number, _, reason = str(exc).partition(": ")
        assert 1 <= int(number) <= data.count(b"\n") + 1
        assert reason


@examples
@given(st.lists(ENTRIES, min_size=1, max_size=3), st.data())
def test_a_damaged_file_is_read_or_refused(entries: list[Entry], data: st.DataObject) -> None:
    text = render(entries)
    at = data.draw(st.integers(0, len(text)))
    damaged = (
        text[:at] + data.draw(st.text(st.sampled_from('"\\#:\n x1'), max_size=3)) + text[at + 1 :]
    )

    with contextlib.suppress(BadBaselineError):
        assert all(entry.key.kind in KINDS for entry in read(damaged))


def test_the_file_reviews_well() -> None:
    entries = [
        Entry(
            Key("pending-task", "app/poller.py", "Poller.start", "create_task(poll())", 2, "poll"),
            ("tests/test_b.py", "tests/test_a.py::TestA::test_it"),
            ("# see ticket 7",),
        ),
        Entry(Key("never-awaited", "a b.py", "<lambda>", '"work" + \x1b')),
    ]

    assert render(entries).split("\n") == [
        *HEADER,
        "",
        'never-awaited "a b.py" <lambda>',
        '    code: "\\"work\\" + \\x1b"',
        "",
        "# see ticket 7",
        "pending-task app/poller.py Poller.start",
        "    code: create_task(poll())",
        "    number: 2",
        "    about: poll",
        "    test: tests/test_a.py::TestA::test_it",
        "    test: tests/test_b.py",
        "",
    ]


def test_the_order_of_the_entries_does_not_matter() -> None:
    keys = [Key(kind, path, "f") for kind in KINDS[:3] for path in ("a.py", "b.py")]

    assert render(map(Entry, keys)) == render(map(Entry, reversed(keys)))


def test_what_people_and_tools_do_to_a_file() -> None:
    """Blank lines, tabs, a mark at the beginning, an entry that a merge has left twice."""
    text = """\ufeff
# mine
pending-task   a.py\tf\r
\tcode:x\r
    # his
    test:   t.py::a

pending-task a.py f
  code: x
  test: t.py::b"""

    assert read(text) == (
        Entry(Key("pending-task", "a.py", "f", "x"), ("t.py::a", "t.py::b"), ("# mine", "# his")),
    )
    assert read("") == read("\n# only this\n") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pending-task a.py", "1: an entry begins with a kind, a path and a function, not 2 words"),
        ("pending-task a.py f g", "1: an entry begins with a kind, a path and a function, not 4"),
        (
            "\npending-tusk a.py f",
            "2: unknown kind 'pending-tusk' (did you mean pending-task?), must be one of ",
        ),
        ("<<<<<<< HEAD", "1: unknown kind '<<<<<<<'"),
        ("    code: x", "1: a line of an entry stands before the first entry"),
        ("pending-task a.py f\n    cod: x", "2: unknown field 'cod', must be one of code, "),
        ("pending-task a.py f\n    code", "2: unknown field 'code'"),
        ("pending-task a.py f\n    code:", "2: code has no value"),
        ("pending-task a.py f\n code: x\n code: y", "3: code stands twice in an entry"),
        ("pending-task a.py f\n    number: 0", "2: '0' is not a number of a line, from 1 on"),
        ("pending-task a.py f\n    number: ²", "2: '²' is not a number of a line, from 1 on"),
        (
            "pending-task a.py f\n    sometimes: no",
            "2: sometimes is either yes or left out, not 'no'",
        ),
        ('pending-task a.py "f', "1: a quote is not closed"),
        ('pending-task "a.py"f', "1: a blank is missing after the closing quote"),
        ('pending-task a.py f\n    code: "x" y', "2: there is more after the closing quote"),
        ('pending-task a.py f\n    code: "\\q"', "2: unknown escape \\q"),
        ('pending-task a.py f\n    code: "\\xg1"', "2: unknown escape \\x"),
        ('pending-task a.py f\n    code: "\\U00110000"', "2: unknown escape \\U00110000"),
    ],
)
def test_a_broken_file_is_named(text: str, message: str) -> None:
    with pytest.raises(BadBaselineError) as excinfo:
        read(text)

    assert str(excinfo.value).startswith(message)


def test_a_file_that_is_not_utf_8() -> None:
    with pytest.raises(BadBaselineError, match=r"^2: not UTF-8"):
        parse(b"# one\n# \xe9\n", KINDS)


# -- keys -----------------------------------------------------------------------

TEST = Owner("test", "t.py::T::test[1]", "function", "t.py::T::test[1]")
LINES = ["def start():\n", "    spawn(poll())\n", "    spawn(poll())\n"]


def key(finding: Finding) -> Key:
    return key_of(finding, lambda path: path.removeprefix("/top/"), Sources(lambda path: LINES))


def finding(**changes: Any) -> Finding:
    made = Finding(
        "pending-task", "a task", "", TEST, Place("/top/app.py", 2, "start"), subject="poll"
    )
    return made._replace(**changes)


def test_the_key_of_a_finding() -> None:
    expected = Key("pending-task", "app.py", "start", "spawn(poll())", 1, "poll")

    assert key(finding()) == expected
    assert (
        key(finding(summary="other", notes=("x",), owner=Owner("session", "", "", ""))) == expected
    )
    assert key(finding(origin=Place("/top/app.py", 3, "start"))).number == 2
    assert key(finding(subject="pull")) != expected


def test_the_line_that_blocks_is_no_key() -> None:
    """It is a sample. Where nobody knows who made the task, the test stands for it."""
    slow = finding(kind="slow-callback", duration=0.2, at_location=True)
    other = slow._replace(location=Place("/top/app.py", 3, "start"))

    assert key(slow) == key(other)
    assert key(other._replace(origin=None, subject="")) == Key("slow-callback", "t.py", "T::test")


def test_without_a_line_the_owner_and_the_exception_are_the_key() -> None:
    bare = finding(origin=None, exception="ValueError: 0x7f", subject="")

    assert key(bare) == Key("pending-task", "t.py", "T::test", "ValueError")
    fixture = bare._replace(owner=Owner("fixture", "db", "session", "t.py::any"))
    assert key(fixture) == Key("pending-task", "", "db", "ValueError")


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/venv/lib/python3.13/site-packages/lib/core.py",
        ".venv/lib/python3.11/site-packages/lib/core.py",
        "C:\\venv\\Lib\\site-packages\\lib\\core.py",
    ],
)
def test_the_path_of_a_library_is_the_same_everywhere(path: str) -> None:
    assert key(finding(origin=Place(path, 1, "f"))).path == "site-packages/lib/core.py"
    assert key(finding(origin=Place("/top/my-site-packages/a.py", 1, "f"))).path == (
        "my-site-packages/a.py"
    )


def test_megabytes_are_cut() -> None:
    """A key tells causes apart; the file stays one that people can read."""
    made = key(finding(subject="x" * 1_000_000))

    assert len(made.subject) == 300
