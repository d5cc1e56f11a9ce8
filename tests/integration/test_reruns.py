"""Plugins that run a test again, or in parts: the findings of each run are its own."""

from __future__ import annotations

import pytest

from ..run import Outcome, Suite
from .mixed import MIXED, NAMED, in_summary, names, need, reference, run_of

# -- pytest-rerunfailures -----------------------------------------------------

RERUN = """
import asyncio, pytest, pytest_asyncio

KEPT = []
TRIES = {}

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)

@pytest.fixture
def first(request):
    TRIES[request.node.name] = TRIES.get(request.node.name, 0) + 1
    return TRIES[request.node.name] == 1
"""


def rerun(suite: Suite, text: str, *args: str) -> Outcome:
    """Run ``text`` with one rerun."""
    need("pytest_rerunfailures")
    plugins = ("pytest_rerunfailures", "xdist") if "-n1" in args else ("pytest_rerunfailures",)
    outcome = suite.test(RERUN + text, "-rA", "--reruns=1", *args, plugins=plugins)
    outcome.no_fault()
    return outcome


FLAKY = """
async def test_in_call(first):
    if first:
        work()

async def test_in_teardown(first):
    if first:
        task = asyncio.create_task(poll())
        await work()

def test_in_loop(first):
    if first:
        KEPT.append(asyncio.new_event_loop())

async def test_innocent(first): await work()
"""


@pytest.mark.parametrize("args", [(), ("-n1",)], ids=["alone", "xdist"])
def test_a_trap_sprung_the_first_time_only(suite: Suite, args: tuple[str, ...]) -> None:
    """It is found, the test runs again, and the run ends well."""
    if args:
        need("xdist")
    outcome = rerun(suite, FLAKY, *args)

    assert names(outcome) == ["test_in_call", "test_in_loop", "test_in_teardown"]
    assert [finding["count"] for finding in outcome.findings] == [1, 1, 1]
    assert outcome.result.parseoutcomes()["rerun"] == 3
    assert {word for word, _ in in_summary(outcome)} == {"PASSED"}
    assert outcome.result.ret == 0


def test_a_trap_sprung_each_time(suite: Suite) -> None:
    """Each try has its finding; the last one fails the run."""
    outcome = rerun(
        suite,
        """
async def test_in_call(): work()
async def test_in_teardown():
    task = asyncio.create_task(poll())
    await work()
async def test_innocent(): await work()
""",
    )

    assert names(outcome) == ["test_in_call"] * 2 + ["test_in_teardown"] * 2
    assert outcome.result.parseoutcomes()["rerun"] == 2
    red = [entry for entry in in_summary(outcome) if entry[0] in ("FAILED", "ERROR")]
    assert red == [("ERROR", "test_in_teardown"), ("FAILED", "test_in_call")]
    assert outcome.result.ret == 1


def test_a_trap_that_shows_when_no_rerun_can_come(suite: Suite) -> None:
    """A late finding is told once, as a failure of the test, whichever try it is from."""
    outcome = rerun(
        suite,
        """
async def test_passed(first):
    if first:
        KEPT.append(work())
async def test_failed(first):
    if first:
        KEPT.append(work())
        assert 1 == 2
async def test_innocent(first): await work()
""",
    )

    assert names(outcome) == ["test_failed", "test_passed"]
    assert {finding["when"] for finding in outcome.findings} == {"late"}
    assert outcome.result.parseoutcomes() == {"failed": 2, "passed": 3, "rerun": 1}
    assert outcome.result.ret == 1


def test_reruns_may_leave_traps_out(suite: Suite) -> None:
    """The name of what a trap raises can be given to --rerun-except."""
    outcome = rerun(suite, FLAKY, "--rerun-except=TrapsFound")

    assert "rerun" not in outcome.result.parseoutcomes()
    assert names(outcome) == ["test_in_call", "test_in_loop", "test_in_teardown"]
    assert outcome.result.ret == 1


# -- subtests, pytest-repeat --------------------------------------------------


def test_a_trap_within_a_subtest(suite: Suite) -> None:
    """It is the test's, and the subtest's own failure stays what it is."""
    plugins: tuple[str, ...] = ()
    if not hasattr(pytest, "Subtests"):
        need("pytest_subtests")
        plugins = ("pytest_subtests.plugin",)
    outcome = suite.test(
        """
        import asyncio

        KEPT = []

        async def work(): await asyncio.sleep(0)
        async def poll(): await asyncio.sleep(3600)

        async def test_one_of_two(subtests):
            with subtests.test("first"):
                work()  # one
            with subtests.test("second"):
                await work()

        async def test_both(subtests):
            for number in range(2):
                with subtests.test("each", number=number):
                    task = asyncio.create_task(poll())  # both
                    await work()

        def test_late(subtests):
            for number in range(2):
                with subtests.test("each", number=number):
                    KEPT.append(work())  # late

        async def test_fails_as_well(subtests):
            with subtests.test("first"):
                work()  # fails as well
                assert 1 == 2

        async def test_innocent(subtests):
            for number in range(2):
                with subtests.test("each", number=number):
                    await work()
        """,
        "-rA",
        plugins=plugins,
    )

    assert [
        (f["kind"], f["nodeid"].rpartition("::")[2], f["count"], f["origin"]["line"])
        for f in outcome.findings
    ] == [
        ("never-awaited", "test_one_of_two", 1, suite.line_of("one")),
        ("pending-task", "test_both", 2, suite.line_of("both")),
        ("never-awaited", "test_fails_as_well", 1, suite.line_of("fails as well")),
        ("never-awaited", "test_late", 2, suite.line_of("late")),
    ]
    red = [entry for entry in in_summary(outcome) if entry[0] in ("FAILED", "ERROR")]
    assert red == [
        ("ERROR", "test_both"),
        ("FAILED", "test_fails_as_well"),
        ("FAILED", "test_late"),
        ("FAILED", "test_one_of_two"),
    ]
    assert ("PASSED", "test_innocent") in in_summary(outcome)
    outcome.result.stdout.fnmatch_lines(
        [
            "*SUBFAIL* test_it.py::test_fails_as_well*assert 1 == 2",
            "FAILED test_it.py::test_fails_as_well - never-awaited: *",
        ]
    )
    outcome.no_fault()


def test_each_repetition_has_its_own(suite: Suite) -> None:
    need("pytest_repeat")
    once = reference(suite)

    outcome = suite.test(MIXED, "-rA", *NAMED, "--count=3", plugins=("pytest_repeat",))

    thrice = run_of(outcome)
    assert len(thrice.findings) == 3 * len(once.findings)
    # unittest's tests are not repeated.
    assert len(thrice.outcomes) == 3 * len(once.outcomes) - 2
    for number in ("[1-3]", "[2-3]", "[3-3]"):
        assert once.findings == tuple(
            (kind, nodeid.replace(number, ""), when, line, owner, name.replace(number, ""))
            for kind, nodeid, when, line, owner, name in thrice.findings
            if nodeid.endswith(number)
        )
    assert thrice.code == once.code


# -- hypothesis ---------------------------------------------------------------


@pytest.mark.parametrize("seed", ["1", "2"])
def test_examples(suite: Suite, seed: str) -> None:
    """A trap that examples spring is told once, with its count, whether or not one fails."""
    need("hypothesis")
    outcome = suite.test(
        """
        import asyncio, gc
        from hypothesis import given, settings, strategies

        settings.register_profile("all", max_examples=20, deadline=None, database=None)
        settings.load_profile("all")

        KEPT = []

        async def work(): await asyncio.sleep(0)
        async def poll(): await asyncio.sleep(3600)
        async def boom(): raise ValueError("nobody reads this")

        @given(strategies.integers())
        async def test_innocent_1(number): await work()

        @given(strategies.integers(0, 10_000))
        async def test_forgets(number):
            work()  # forgets

        @given(strategies.integers(0, 10_000))
        async def test_leaves(number):
            task = asyncio.create_task(poll())  # leaves
            await work()

        @given(strategies.integers())
        def test_innocent_2(number): asyncio.run(work())

        @given(strategies.integers(0, 10_000))
        def test_raises(number):
            async def main():
                task = asyncio.create_task(boom())  # raises
                await asyncio.sleep(0.001)
            asyncio.run(main())

        @given(strategies.integers(0, 10_000))
        async def test_keeps(number):
            gc.disable()  # Python 3.11 may collect in the middle of making a coroutine
            KEPT.append(work())  # keeps
            gc.enable()

        @given(strategies.integers(0, 10_000))
        async def test_fails_by_itself(number):
            work()  # fails by itself
            assert number < 0

        @given(strategies.integers())
        async def test_innocent_3(number): await work()
        """,
        "-o",
        "asyncio_slow_callback_duration=5",  # a busy machine takes its time for an example
        f"--hypothesis-seed={seed}",
        plugins=("_hypothesis_pytestplugin",),
    )

    found = {f["nodeid"].rpartition("::test_")[2]: f for f in outcome.findings}
    assert len(found) == len(outcome.findings)
    assert {name: found[name]["kind"] for name in found} == {
        "forgets": "never-awaited",
        "leaves": "pending-task",
        "raises": "unretrieved-exception",
        "keeps": "never-awaited",
        "fails_by_itself": "never-awaited",
    }
    for name, finding in found.items():
        assert finding["origin"]["line"] == suite.line_of(name.replace("_", " "))
        if name != "fails_by_itself":
            assert finding["count"] == 20
    assert found["fails_by_itself"]["count"] > 1  # it was tried again
    assert found["keeps"]["when"] == "late"
    outcome.result.stdout.fnmatch_lines(["*never-awaited: *(20 times)*"])
    outcome.result.assert_outcomes(passed=5, failed=4, errors=1)
    outcome.no_fault()
