"""The HTML report, as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from pytest_asyncio_traps.core.faults import Fault
from pytest_asyncio_traps.model.finding import (
    Consent,
    Owner,
    Place,
)
from pytest_asyncio_traps.reports.run import Run
from pytest_asyncio_traps.traps import KINDS, TRAPS

from ..run import Suite
from .samples import HOSTILE, PENDING_TASK, finding, hang, make, slow

VOID = {"meta", "input", "br", "rect", "line", "link", "img"}


class Page(HTMLParser):
    """The tags of a page, in their order, which has to be sound."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.pieces: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)

    def loads(self) -> list[str]:
        """What a browser would fetch, or go to."""
        names = ("src", "srcset", "href", "xlink:href", "data", "action", "poster", "background")
        return [
            f"{tag} {value}"
            for tag, attributes in self.tags
            for name, value in attributes.items()
            if name in names and not (tag == "a" and (value or "").startswith("#"))
        ]


def read(suite: Suite, name: str = "traps.html") -> Page:
    return Page((suite.pytester.path / name).read_text(encoding="utf-8"))


# -- what a user sees -----------------------------------------------------------


def test_a_cause(suite: Suite) -> None:
    """Kind, line, code with the guilty line marked, what to do, how to allow it, and the tests."""
    suite.test(PENDING_TASK, "--asyncio-traps-report=traps.html").no_fault()

    page = read(suite)
    line = suite.line_of("here")
    assert "1 finding of 1 cause in 1 test." in page.text
    assert "1 failed 0 warned 0 allowed 0 known" in page.text
    assert f"pending-task test_it.py:{line} test_it" in page.text
    assert "task running 'poll' was left pending" in page.text
    assert f"> {line} task = asyncio.create_task(poll()) # here" in page.text
    assert "waiting at test_it.py:4 , in poll" in page.text
    assert "> 4 await asyncio.sleep(3600)" in page.text
    assert "Still pending when its loop was shut down; the runner cancelled it." in page.text
    assert "start it in an asyncio.TaskGroup" in page.text
    assert '@pytest.mark.asyncio_allow("pending-task", reason="...")' in page.text
    assert "allow:pending-task" in page.text
    assert "test_it.py::test_it teardown failed" in page.text
    assert "async def test_good" in page.text


def test_nothing_was_found(suite: Suite) -> None:
    suite.test("def test_it(): pass", "--asyncio-traps-report=traps.html").clean()

    page = read(suite)
    assert "No trap was sprung." in page.text
    assert "Causes" not in page.text
    assert page.count("form") == 0


def test_causes_are_ranked(suite: Suite) -> None:
    """What most tests sprang comes first; what fails nothing comes behind the rest, with reasons."""
    suite.test(
        """
        import asyncio, pytest

        async def work(): pass

        @pytest.mark.asyncio_allow("never-awaited", reason="it is <meant> so")
        @pytest.mark.parametrize("n", range(5))
        async def test_allowed(n): work()

        async def test_one(): asyncio.get_running_loop().create_task(asyncio.sleep(3600))

        @pytest.mark.parametrize("n", range(3))
        async def test_many(n): asyncio.get_running_loop().create_task(asyncio.sleep(3600))
        """,
        "--asyncio-traps-report=traps.html",
    )

    page = read(suite)
    tests = re.findall(r"(\d+) tests? (failed|allowed)", page.text)
    assert tests == [("3", "failed"), ("1", "failed"), ("5", "allowed")]
    assert page.text.index("Known or allowed") > page.text.index("1 test failed")
    assert "by the marker: it is <meant> so" in page.text


def test_a_slow_step_has_a_timeline(suite: Suite) -> None:
    """The lines at which it stood, the stack, and the time in all."""
    suite.test(
        """
        import asyncio, time

        def helper():
            time.sleep(0.4)  # here

        async def test_it():
            await asyncio.sleep(0.1)
            helper()  # called
        """,
        "--asyncio-traps-report=traps.html",
    ).no_fault()

    page = read(suite)
    called, line = suite.line_of("called"), suite.line_of("here")
    assert re.search(
        rf"Where it stood, in \d+ looks \d+ % test_it.py:{line} , in helper time.sleep\(0.4\)",
        page.text,
    )
    assert (
        f"The stack that most looks have found test_it.py:{called} , in test_it helper() # called "
        f"test_it.py:{line} , in helper time.sleep(0.4) # here"
    ) in page.text
    assert re.search(r"0\.[4-9]\d\d s in all: 0\.\d\d\d s counted", page.text)
    bars = [a for tag, a in page.tags if tag == "g" and str(a.get("class")).startswith("bar")]
    forms = [str(a["class"]).removeprefix("bar ") for a in bars]
    assert forms.count("step") == 1
    assert forms.count("user") >= 2
    assert "idle" in forms  # the test slept before


def test_findings_of_workers_arrive_with_their_timelines(suite: Suite) -> None:
    pytest.importorskip("xdist")
    suite.test(
        """
        import time

        async def test_it(): time.sleep(0.3)
        async def test_other(): time.sleep(0.3)
        """,
        "-n2",
        "--asyncio-traps-report=traps.html",
        plugins=("xdist",),
    ).no_fault()

    assert read(suite).text.count("Where it stood") == 2


def test_what_could_not_be_watched_and_what_failed(tmp_path: Path) -> None:
    def change(run: Run) -> Run:
        return Run(
            run.findings,
            {"the <far> side": "it is dark"},
            [Fault("a part", "Traceback\n  <line>\nValueError: x", "all kinds", "test_b")],
            run.versions,
            run.root,
            run.relative,
        )

    page = Page(make(tmp_path, [], change=change).read_text(encoding="utf-8"))
    assert "the <far> side: it is dark." in page.text
    about = "a part, off since test_b: all kinds"
    assert f"{about} Traceback <line> ValueError: x" in page.text


def test_without_jinja2_the_run_does_not_begin(suite: Suite) -> None:
    """One error, which says what to install; and the other formats do without."""
    suite.fresh = True
    suite.write(
        sitecustomize="""
        import importlib.machinery

        class Finder:
            real = importlib.machinery.PathFinder.find_spec

            def __call__(self, name, *args):
                return None if name == "jinja2" else self.real(name, *args)

        importlib.machinery.PathFinder.find_spec = Finder()
        """
    )

    for more in ((), ("-n2",)):
        outcome = suite.test(
            "def test_it(): print('it ran')",
            "-s",
            "--asyncio-traps-report=traps.html",
            *more,
            plugins=("xdist",) if more else (),
        )

        assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
        text = outcome.result.stdout.str() + outcome.result.stderr.str()
        assert text.count("ERROR: ") == 1
        assert "--asyncio-traps-report traps.html: jinja2 is not installed: " in text
        assert "pip install 'pytest-asyncio-traps[html]'" in text
        assert "it ran" not in text
        assert not (suite.pytester.path / "traps.html").exists()


def test_a_fault_in_the_report_is_ours(suite: Suite) -> None:
    """The tests keep their outcomes, the other report is written, and the old file stays."""
    (suite.pytester.path / "traps.html").write_text("old")
    suite.pytester.makeconftest(
        """
        from pytest_asyncio_traps.reports import as_html

        def broken(run): raise ValueError("no page today")

        as_html.render = broken
        """
    )
    outcome = suite.test("def test_it(): pass", "--asyncio-traps-report=traps.html")

    assert outcome.result.ret == 0
    outcome.result.stdout.fnmatch_lines(
        ["*a fault of pytest-asyncio-traps*", "Its part 'report *traps.html' failed*"]
    )
    assert (suite.pytester.path / "traps.html").read_text() == "old"
    assert outcome.report["schema"] == 1


# -- tests that hung ---------------------------------------------------------------


def test_a_task_tree(tmp_path: Path) -> None:
    """What ended the test, what would have to happen, each task, and where one is shown again."""
    (tmp_path / "app_plain.py").write_text("await something()\n", encoding="utf-8")
    page = Page(make(tmp_path, [], hangs=[hang(1, tmp_path, tasks=3)]).read_text("utf-8"))

    assert "1 task tree of tests that hung. No trap was sprung." in page.text
    assert "tests/test_1.py::test_plain interrupted by Ctrl-C in its call" in page.text
    assert "To go on: something has to happen: plain." in page.text
    assert "Loop_plain of the function fixture plain in thread plain" in page.text
    assert "asleep; 3 callbacks are ready; next timer in 1.5 s (plain); waits on" in page.text
    assert "1: plain runs chain_plain the test waits for it waits for a task" in page.text
    assert "created at app_plain.py:1 , in work_0_plain await something()" in page.text
    assert "waits for Queue.get() plain (0 items plain) ; no step for 1.5 s or more" in page.text
    assert "equal: plain and 1,999 like it runs equal_plain" in page.text
    assert "held by left: plain runs left_plain a cycle: it is above" in page.text
    assert "Main thread at app_plain.py:1 , in work_0_plain" in page.text
    assert "5 more tasks were not read" in page.text
    links = {a["href"] for tag, a in page.tags if tag == "a"}
    assert links == {f"#{a['id']}" for _, a in page.tags if a.get("id") == "tree-1-task-5"}


def test_only_the_first_trees_are_open(tmp_path: Path) -> None:
    """All can be opened without a script, and each reason has its words."""
    hangs = [hang(number, tmp_path) for number in range(12)]
    page = Page(make(tmp_path, [], hangs=hangs).read_text(encoding="utf-8"))

    trees = [a for tag, a in page.tags if tag == "details" and a.get("class") == "hang"]
    assert [("open" in a) for a in trees] == [True] * 3 + [False] * 9
    for words in (
        "has run for 12.5 s", "interrupted by Ctrl-C in", "ended by pytest.exit after 12.5 s",
        "ended by pytest-timeout in", "new plain in",
    ):  # fmt: skip
        assert words in page.text
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


# -- what it is made of -----------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 300])
def test_nothing_is_loaded(tmp_path: Path, count: int) -> None:
    """No address in any place from which a browser fetches; and a policy that forbids it."""
    path = make(tmp_path, [(finding(n, tmp_path), 1) for n in range(count)])
    text = path.read_text(encoding="utf-8")

    page = Page(text)
    assert page.loads() == []
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text, re.IGNORECASE)
    (policy,) = (
        a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert page.count("details") >= count


def test_everything_from_user_code_is_escaped(tmp_path: Path) -> None:
    """Names, paths, summaries, notes, reasons, stacks and code are text and nothing else."""
    findings = []
    for number, text in enumerate(HOSTILE):
        (tmp_path / "source.py").write_text(f"x = 1  # {text}\n", "utf-8", "backslashreplace")
        odd = finding(
            number,
            tmp_path,
            text,
            notes=(text,),
            exception=text,
            location=Place(f"{tmp_path}/source.py", 1, text),
            owner=Owner("fixture", text, text, f"{text}.py::{text}"),
            consent=Consent("marker", text),
            action=("fail", "warn", "allow", "baseline")[number % 4],
        )
        findings += [(odd, 1), (slow(100 + number, tmp_path, text), 2)]

    def change(run: Run) -> Run:
        odd = "".join(HOSTILE)
        return Run(
            findings,
            {odd: odd},
            [Fault(odd, odd, odd, odd)],
            run.versions,
            run.root,
            run.relative,
            hangs=[hang(number, tmp_path, text) for number, text in enumerate(HOSTILE)],
        )

    text = make(tmp_path, [], change=change).read_text(encoding="utf-8")

    page = Page(text)
    assert page.loads() == []
    assert page.count("script") == page.count("style") == page.count("h1") == 1
    assert page.count("img") == page.count("textarea") == 0
    handlers = [n for _, attributes in page.tags for n in attributes if n.startswith("on")]
    assert handlers == []
    assert str(1237 * 1237) not in page.text
    assert "{{ 1237 * 1237 }}{% raw %}" in page.text
    assert "&lt;&amp;&#60;" in page.text
    assert not re.search("[\u202e\x1b]", text)


def test_it_is_read_without_a_script(tmp_path: Path) -> None:
    """All causes are there to be opened; what needs the script is hidden until it runs."""
    page = Page(make(tmp_path, [(finding(n, tmp_path), 1) for n in range(20)]).read_text("utf-8"))

    hidden = [tag for tag, attributes in page.tags if "hidden" in attributes]
    assert hidden == ["form"]
    assert all(f"number {n}: plain" in page.text for n in range(20))


def test_each_kind_says_what_to_do(tmp_path: Path) -> None:
    findings = [(finding(n, tmp_path), 1) for n in range(len(KINDS))]
    page = Page(make(tmp_path, findings).read_text(encoding="utf-8"))

    anchors = {a["id"] for _, a in page.tags if "id" in a}
    assert anchors == {f"about-{kind}" for kind in KINDS}
    links = {a["href"] for tag, a in page.tags if tag == "a"}
    assert links == {f"#{anchor}" for anchor in anchors}
    for trap in TRAPS:
        assert trap.title in page.text


@pytest.mark.parametrize("suffix", [".html", ".sarif", ".json"])
def test_a_kind_that_is_in_no_list(tmp_path: Path, suffix: str) -> None:
    """It is written as it is, without a page of its own."""
    path = make(tmp_path, [(finding(0, tmp_path, kind="of-my-own", advice="Do not."), 1)], suffix)

    text = path.read_text(encoding="utf-8")
    assert "of-my-own" in text
    assert ("Do not." in text) is (suffix != ".json")


def test_each_consent_has_its_words(tmp_path: Path) -> None:
    for by in get_args(Consent.__annotations__["by"]) or ("marker", "rule", "baseline"):
        consented = finding(0, tmp_path, action="allow", consent=Consent(by, "because"))
        page = Page(make(tmp_path, [(consented, 1)]).read_text(encoding="utf-8"))
        assert f"by the {by}: because" in page.text
