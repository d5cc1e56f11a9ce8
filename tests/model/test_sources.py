"""Lines of source, by their text and what they stand in."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_asyncio_traps.model.finding import Place
from pytest_asyncio_traps.model.lines import line_at, lines_of
from pytest_asyncio_traps.model.sources import SourceLine, Sources

#: The same ones in each run, however slow the machine.
examples = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)

CODE = '''\
import asyncio
work()

def spawn(coro):
    return asyncio.create_task(coro)

class Poller:
    task = work()

    async def start(self):
        work()  # a comment
        if self:
            work()
\twork()
        def inner():
            work()
        text = """
at the margin \\""" ''\'
    def no_function():
        """ + "it's"  # """
        work()

    @deco(work())
    async def stop(self):
        call = lambda: work()
        run(
    work(),
        )

work()
'''


def spot(line: int, function: str, code: str = CODE) -> SourceLine:
    return Sources(lambda path: code.splitlines(keepends=True)).find(Place("/a.py", line, function))


@pytest.mark.parametrize(
    ("line", "function", "expected"),
    [
        (2, "<module>", SourceLine("<module>", "work()", 1)),
        (5, "spawn", SourceLine("spawn", "return asyncio.create_task(coro)", 1)),
        (4, "spawn", SourceLine("spawn", "def spawn(coro):", 1)),
        (8, "Poller", SourceLine("Poller", "task = work()", 1)),
        (11, "start", SourceLine("Poller.start", "work() # a comment", 1)),
        (13, "start", SourceLine("Poller.start", "work()", 1)),
        (14, "start", SourceLine("Poller.start", "work()", 2)),
        (16, "inner", SourceLine("Poller.start.inner", "work()", 1)),
        (23, "Poller", SourceLine("Poller", "@deco(work())", 1)),
        (24, "stop", SourceLine("Poller.stop", "async def stop(self):", 1)),
        (25, "<lambda>", SourceLine("Poller.stop.<lambda>", "call = lambda: work()", 1)),
        (30, "<module>", SourceLine("<module>", "work()", 2)),
        (99, "gone", SourceLine("gone", "", 1)),
        (0, "none", SourceLine("none", "", 1)),
    ],
)
def test_a_line_in_words(line: int, function: str, expected: SourceLine) -> None:
    assert spot(line, function) == expected


def test_a_shift_of_lines_changes_nothing() -> None:
    for line, function in ((5, "spawn"), (11, "start"), (16, "inner"), (30, "<module>")):
        assert spot(line + 3, function, "\n# new\nNEW = 1\n" + CODE) == spot(line, function)


def test_new_indentation_of_a_line_changes_nothing() -> None:
    code = CODE.replace("    return asyncio", "    if coro:\n        return  asyncio")

    assert spot(6, "spawn", code) == spot(5, "spawn")


def test_no_source() -> None:
    assert Sources().find(Place("<string>", 3, "f")) == SourceLine("f", "", 1)


def test_the_file_is_read_once() -> None:
    reads = []

    def read(path: str) -> list[str]:
        reads.append(path)
        return ["a\n", "b\n"]

    sources = Sources(read)

    assert [sources.find(Place("/a.py", n, "f")).code for n in (1, 2, 3)] == ["a", "b", ""]
    assert reads == ["/a.py"]


@examples
@given(st.text(), st.integers(-3, 30), st.text())
def test_any_text_will_do(code: str, line: int, function: str) -> None:
    found = spot(line, function, code)

    assert found.number >= 1
    assert found.code == " ".join(found.code.split())


@pytest.mark.parametrize(
    "path", ["\ud800.py", "a\0b.py", "", "<no such thing>", "no/such/file.py", "x" * 9999]
)
def test_a_name_of_no_file_has_no_lines(path: str) -> None:
    """Code may be compiled under any name; Python itself raises for some."""
    assert list(lines_of(path)) == []
    assert line_at(Place(path, 1, "f")) == ""


def test_a_line_that_is_not_there() -> None:
    for number in (0, -1, 10**9):
        assert line_at(Place(__file__, number, "f")) == ""
    assert line_at(Place(__file__, 1, "f")).strip()
