"""What warns passes the filters of warnings, as warnings do."""

from __future__ import annotations

import pytest

from ..run import Suite

# Python itself warns of neither: a filter for warnings at large meets nothing else.
TRAP = """
import asyncio, pytest

async def fail(): raise ValueError

async def test_it():
    asyncio.create_task(fail())  # here
    await asyncio.sleep(0)
    await asyncio.sleep(0)

async def test_other():
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
"""
MANY = "@pytest.mark.parametrize('n', range(3))\nasync def test_it(n)"
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
OURS = "pytest_asyncio_traps.AsyncioTrapWarning"


def told(outcome: pytest.RunResult) -> list[str]:
    """The kinds in pytest's summary of warnings."""
    mark = "AsyncioTrapWarning: "
    return [line.partition(mark)[2].partition(":")[0] for line in outcome.outlines if mark in line]


@pytest.mark.parametrize(
    ("filters", "kinds", "failed"),
    [
        ((), ["unretrieved-exception", "pending-task"], []),
        ((f"error::{OURS}",), [], ["unretrieved-exception", "pending-task"]),
        ((f"ignore::{OURS}",), [], []),
        ((f"default::{OURS}",), ["unretrieved-exception", "pending-task"], []),
        (("error",), ["unretrieved-exception", "pending-task"], []),
        (
            ("error::Warning", "error::pytest.PytestWarning"),
            ["unretrieved-exception", "pending-task"],
            [],
        ),
        (("ignore",), [], []),
        ((f"error::{OURS}", f"ignore::{OURS}"), [], []),
        ((f"ignore::{OURS}", "error"), [], []),
        ((f"ignore:unretrieved-exception:{OURS}",), ["pending-task"], []),
        ((f"error:unretrieved-exception:{OURS}",), ["pending-task"], ["unretrieved-exception"]),
        (("error:UNRETRIEVED-exception",), ["pending-task"], ["unretrieved-exception"]),
        ((f"error::{OURS}:elsewhere",), ["unretrieved-exception", "pending-task"], []),
        ((f"error::{OURS}:test_it:6",), ["pending-task"], ["unretrieved-exception"]),
        (("ignore::DeprecationWarning",), ["unretrieved-exception", "pending-task"], []),
    ],
)
@pytest.mark.parametrize("where", ["command line", "ini"])
def test_filters(
    suite: Suite, filters: tuple[str, ...], kinds: list[str], failed: list[str], where: str
) -> None:
    """The last one that matches wins; one that speaks of warnings at large fails nothing."""
    # With -p, pytest warns that asyncio is the name of a module, too.
    filters = (*filters, "ignore::pytest.PytestAssertRewriteWarning")
    args = [arg for text in filters for arg in ("-W", text)]
    if where == "ini":
        lines = "".join(f"    {text}\n" for text in filters)
        suite.pytester.makeini(f"{INI}filterwarnings =\n{lines}")
        args = []

    outcome = suite.test(TRAP, "--asyncio-traps=warn", *args)

    assert told(outcome.result) == kinds
    assert [f["kind"] for f in outcome.findings if f["action"] == "fail"] == failed
    assert outcome.kinds == ["unretrieved-exception", "pending-task"]
    assert outcome.result.ret == bool(failed)
    outcome.no_fault()


def test_what_a_filter_fails_is_told_like_any_trap(suite: Suite) -> None:
    """At the user's line, and not as an exception of the plugin's."""
    outcome = suite.test(TRAP, "--asyncio-traps=warn", "-W", f"error::{OURS}")

    outcome.result.assert_outcomes(passed=1, failed=1, errors=1)
    line = suite.line_of("here")
    outcome.result.stdout.fnmatch_lines(
        [
            "E   unretrieved-exception: task running 'fail' ended in ValueError, which nobody retrieved",
            f"test_it.py:{line}: unretrieved-exception",
        ]
    )


def test_the_command_line_comes_after_the_ini_and_markers_come_last(suite: Suite) -> None:
    suite.pytester.makeini(f"{INI}filterwarnings = error::{OURS}\n")
    marked = TRAP.replace(
        "async def test_it", f'@pytest.mark.filterwarnings("error::{OURS}")\nasync def test_it'
    )

    assert suite.test(TRAP, "--asyncio-traps=warn").result.ret == 1
    quiet = suite.run("--asyncio-traps=warn", "-W", f"ignore::{OURS}")
    assert (quiet.result.ret, told(quiet.result)) == (0, [])
    outcome = suite.test(marked, "--asyncio-traps=warn", "-W", f"ignore::{OURS}")
    assert [f["nodeid"] for f in outcome.findings if f["action"] == "fail"] == [
        "test_it.py::test_it"
    ]


def test_a_late_finding_fails_the_test_that_sprang_it(suite: Suite) -> None:
    """By the filters of that test, while no test runs any more."""
    outcome = suite.test(
        f"""
        import pytest

        KEPT = []
        async def work(): pass

        @pytest.mark.filterwarnings("error::{OURS}")
        async def test_first(): KEPT.append(work())

        @pytest.mark.filterwarnings("ignore::{OURS}")
        async def test_second(): KEPT.append(work())

        def test_last(): pass
        """,
        "--asyncio-traps=warn",
    )

    outcome.result.assert_outcomes(passed=3, failed=1)
    outcome.result.stdout.fnmatch_lines(["FAILED test_it.py::test_first - never-awaited: *"])
    assert told(outcome.result) == []


@pytest.mark.parametrize("spread", [(), ("-n2",)])
def test_what_belongs_to_no_test_fails_the_run(suite: Suite, spread: tuple[str, ...]) -> None:
    """It warns by itself; only a filter that names it makes more of it."""
    plugins = ("xdist",) if spread else ()
    if spread:
        pytest.importorskip("xdist")
    text = """
        import asyncio

        async def fail(): raise ValueError
        async def main():
            asyncio.create_task(fail())
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        asyncio.run(main())
        def test_it(): pass
        """

    assert suite.test(text, "-W", "error", *spread, plugins=plugins).result.ret == 0
    outcome = suite.test(text, "-W", f"error::{OURS}", *spread, plugins=plugins)
    assert outcome.result.ret == 1
    outcome.result.stdout.fnmatch_lines(["These errors belong to no test, and fail the run:"])


def test_once(suite: Suite) -> None:
    text = TRAP.replace("async def test_it()", MANY)

    outcome = suite.test(text, "--asyncio-traps=warn", "-W", f"once::{OURS}")

    assert told(outcome.result) == ["unretrieved-exception", "pending-task"]
    assert outcome.report["counts"]["warn"] == 4


def test_a_module_of_a_package(suite: Suite) -> None:
    """A filter may name it, as far as its name can be told from its path."""
    folder = suite.pytester.mkpydir("app")
    (folder / "core.py").write_text("async def work(): pass\ndef drop(): work()\n")
    text = "from app.core import drop\nasync def test_it(): drop()\n"
    args = ("--asyncio-traps=warn", "-W")

    assert suite.test(text, *args, f"error::{OURS}:app.core").result.ret == 1
    assert suite.test(text, *args, f"error::{OURS}:app.other").result.ret == 0


def test_without_pytests_own_filters(suite: Suite) -> None:
    outcome = suite.test(TRAP, "--asyncio-traps=warn", "-p", "no:warnings", "-W", f"error::{OURS}")

    assert outcome.result.ret == 0


def test_strict_and_known_come_before_filters(suite: Suite) -> None:
    ignore = ("--asyncio-traps=warn", "-W", f"ignore::{OURS}", "--asyncio-traps-baseline=known.txt")
    error = (*ignore, "-W", f"error::{OURS}")

    assert suite.test(TRAP, *error, "--asyncio-traps-update-baseline").result.ret == 0
    assert suite.run(*error).report["counts"]["baseline"] == 2
    (suite.pytester.path / "known.txt").write_text("")
    assert suite.run(*ignore, "--asyncio-strict").result.ret == 1
