"""The hook that sees findings, and may amend or drop them."""

from __future__ import annotations

import pytest

from ..run import Suite, guilty

LEAK = """
import asyncio

async def test_it():
    asyncio.create_task(asyncio.sleep(60))  # here
"""


def test_a_finding_is_amended(suite: Suite) -> None:
    """Before rules, markers and baseline look at it; and its new words are what is printed."""
    suite.write(
        conftest="""
        def pytest_asyncio_traps_finding(item, finding):
            assert item.name == "test_it"
            return finding._replace(summary="tea is ready", notes=("Mind the cups.",))
        """
    )
    outcome = suite.test(LEAK, "--asyncio-traps=warn", "--asyncio-traps=fail:pending-task:tea")

    assert outcome.only()["summary"] == "tea is ready"
    assert outcome.only()["action"] == "fail"
    outcome.result.stdout.fnmatch_lines(["E   pending-task: tea is ready", "E     Mind the cups."])
    outcome.no_fault()


def test_a_finding_is_dropped(suite: Suite) -> None:
    """Nothing is left of it, not even for those who come after."""
    suite.write(
        conftest="""
        import pytest
        from pytest_asyncio_traps import DROP

        @pytest.hookimpl(tryfirst=True)
        def pytest_asyncio_traps_finding(finding):
            return DROP
        """,
        second="def pytest_asyncio_traps_finding(item, finding): raise ValueError",
    )

    suite.test(LEAK, "-p", "second").clean()


@pytest.mark.parametrize("args", [(), ("-n2",)])
def test_each_finding_is_shown_once(suite: Suite, args: tuple[str, ...]) -> None:
    """Late ones too, and those of no test; under pytest-xdist by the worker that made it."""
    suite.write(
        conftest="""
        def pytest_configure(config):
            global there
            there = hasattr(config, "workerinput")

        def pytest_asyncio_traps_finding(item, finding):
            with open("seen.txt", "a") as file:
                print(finding.kind, item and item.name, there, file=file)
        """,
    )
    outcome = suite.test(
        """
        import asyncio
        kept = []

        async def work(): pass

        async def test_late(): kept.append(work())

        async def test_twice():
            for _ in range(2):
                asyncio.create_task(asyncio.sleep(60))

        async def test_good(): pass
        """,
        *args,
        "--dist=loadfile",
        plugins=("xdist",),
    )

    seen = sorted((suite.pytester.path / "seen.txt").read_text().splitlines())
    there = bool(args)
    assert seen == [f"never-awaited test_late {there}", f"pending-task test_twice {there}"]
    assert len(outcome.findings) == 2


def test_what_belongs_to_no_test_comes_without_an_item(suite: Suite) -> None:
    suite.write(
        conftest="""
        def pytest_asyncio_traps_finding(item, finding):
            assert item is None and finding.owner.type == "module"
            return finding._replace(summary="seen")
        """
    )
    outcome = suite.test("async def work(): pass\n\nwork()\n\ndef test_it(): pass")

    assert outcome.only()["summary"] == "seen"
    outcome.no_fault()
    outcome.result.stdout.no_fnmatch_line("*a fault of*")


def test_one_after_the_other(suite: Suite) -> None:
    """Each is given what the one before has left; a conftest.py is asked of its own folder only."""
    add = "def pytest_asyncio_traps_finding(finding): return finding._replace(notes=(*finding.notes, '{}'))"
    for name in ("one", "two"):
        folder = suite.pytester.mkdir(name)
        (folder / "conftest.py").write_text(add.format(name))
        (folder / f"test_{name}.py").write_text(LEAK)
    suite.write(
        first=f"import pytest\n\n@pytest.hookimpl(tryfirst=True)\n{add.format('first')}",
        last=f"import pytest\n\n@pytest.hookimpl(trylast=True)\n{add.format('last')}",
    )
    outcome = suite.run("-p", "first", "-p", "last", "--asyncio-traps=warn")

    lines = [line.strip() for line in outcome.result.outlines]
    told = [line for line in lines if line in ("first", "one", "two", "last")]
    assert told == ["first", "one", "last", "first", "two", "last"]


@pytest.mark.parametrize(
    "body",
    [
        "1 / 0",
        "return 7",
        "return finding._replace(kind='unheard-of')",
        "return finding._replace(summary=None)",
        "return finding._replace(notes='abc')",
        "return finding._replace(origin=('a', 1, 'f'))",
        "return finding._replace(duration=-1)",
        "return finding._replace(owner=finding.owner._replace(nodeid='x::y'))",
        "yield",
        "import pytest; pytest.skip('not today')",
    ],
)
def test_a_fault_of_the_hook_changes_nothing(suite: Suite, body: str) -> None:
    """It is told with its traceback, as a fault of whoever has the hook."""
    suite.write(conftest=f"def pytest_asyncio_traps_finding(item, finding):\n    {body}\n")
    outcome = suite.test(LEAK)

    assert guilty(outcome) == [("pending-task", "test_it", "fail")]
    assert outcome.only()["summary"] == "task running 'sleep' was left pending"
    outcome.result.assert_outcomes(passed=1, errors=1)
    outcome.no_fault()
    outcome.result.stdout.fnmatch_lines(
        ["*a fault of what extends*", "pytest_asyncio_traps_finding of *conftest.py failed; *"]
    )
    outcome.result.stdout.fnmatch_lines(["Traceback (most recent call last):"])
