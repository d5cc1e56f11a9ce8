"""The terminal's summary: findings by cause."""

from __future__ import annotations

import re

from ..run import Outcome, Suite

SUITE = """
import asyncio, pytest

async def work(): pass

def helper():
    work()

@pytest.mark.parametrize("number", range(3))
async def test_many(number):
    helper()

async def test_one():
    for _ in range(2):
        work()

@pytest.mark.asyncio_allow(reason="known")
@pytest.mark.parametrize("number", range(5))
async def test_allowed(number):
    work()

async def test_without_a_line():
    asyncio.Future().set_exception(ValueError())

work()
"""


def section(outcome: Outcome) -> list[str]:
    """The lines of the plugin's section, with ``N`` for the numbers of lines."""
    text = outcome.result.stdout.str()
    match = re.search(r"^=+ asyncio traps =+\n(.*?)^(?:===|\d+ )", text, re.DOTALL | re.MULTILINE)
    assert match, text
    return re.sub(r"\.py:\d+", ".py:N", match[1]).splitlines()


def test_causes_the_most_frequent_first(suite: Suite) -> None:
    """One sample in full of what several tests sprang; what was allowed stands behind."""
    outcome = suite.test(SUITE)

    lines = section(outcome)
    assert [line for line in lines if not line.startswith("    ")] == [
        "never-awaited test_it.py:N helper, 3 tests",
        "never-awaited test_it.py:N test_one, 1 test, 2 times",
        "unretrieved-exception test_it.py test_without_a_line, 1 test",
        "never-awaited test_it.py:N <module>, no test (warned)",
        "never-awaited test_it.py:N test_allowed, 5 tests (allowed)",
        "never-awaited: 5 failed, 1 warned, 5 allowed",
        "unretrieved-exception: 1 failed",
    ]
    assert lines[1:5] == [
        "        def helper():",
        "    >       work()",
        "    E   never-awaited: coroutine 'work' was never awaited",
        "    E     created at test_it.py:N, in helper",
    ]
    assert lines[8:10] == ["    test_it.py::test_many[0]", "    and 2 more (-v names them)"]
    assert sum(line.startswith("    >") for line in lines) == 1


def test_verbose_names_all(suite: Suite) -> None:
    """Each cause with a sample, and with all of its tests."""
    lines = section(suite.test(SUITE, "-v"))

    assert sum(line.startswith("    E   ") and line[8] != " " for line in lines) == 5
    assert [line for line in lines if line.startswith("    test_it.py::")] == [
        *(f"    test_it.py::test_many[{n}]" for n in range(3)),
        "    test_it.py::test_one",
        "    test_it.py::test_without_a_line",
        *(f"    test_it.py::test_allowed[{n}]" for n in range(5)),
    ]


def test_quiet_has_a_line_for_each_cause(suite: Suite) -> None:
    outcome = suite.test(SUITE, "-q")

    lines = section(outcome)
    assert lines[0] == "never-awaited test_it.py:N helper, 3 tests"
    assert len(lines) == 7
    assert len(section(suite.run("-qq"))) == 2


def test_a_long_run_stays_readable(suite: Suite) -> None:
    """Many causes are cut short, and the rest is counted."""
    text = "import asyncio\nasync def work(): pass\n"
    for number in range(90):
        text += f"async def test_{number}(): work()\n"
        text += f"def help_{number}(): work()\n"
        text += f"async def test_a_{number}(): help_{number}()\n"
        text += f"async def test_b_{number}(): help_{number}()\n"

    lines = section(suite.test(text, "--tb=no"))

    assert len(lines) < 100
    assert sum(line.startswith("    >") for line in lines) == 5
    assert lines[-2:] == [
        "... and 140 more causes, sprung by 190 tests (-v names them)",
        "never-awaited: 270 failed",
    ]


def test_odd_names_do_not_steer_the_terminal(suite: Suite) -> None:
    outcome = suite.test(
        r"""
        import asyncio, pytest

        async def work(): pass
        NAMES = {"work": work}
        exec(compile("def helper(): work()", "odd\x1b[31m.py", "exec"), NAMES)

        @pytest.mark.parametrize("text", ["\x1b]0;", "\udce9", "\n"])
        async def test_it(text):
            NAMES["helper"]()
        """,
        "-v",
    )

    lines = section(outcome)
    assert lines[0].startswith("never-awaited odd\\x1b[31m.py:N helper, 3 tests")
    assert "\x1b" not in "".join(lines)
    outcome.no_fault()
