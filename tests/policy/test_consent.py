"""Rules, markers, strict, and tests that have dealt with a trap themselves."""

from __future__ import annotations

import pytest

from ..cases import cases
from ..run import XDIST, Suite

TRAP = """
import asyncio, pytest

async def work(): pass

async def test_it():
    work()
"""


@pytest.mark.parametrize(
    ("args", "action", "code"),
    [
        ((), "fail", 1),
        (("--asyncio-traps=warn",), "warn", 0),
        (("--asyncio-traps=allow",), "allow", 0),
        (("--asyncio-traps=allow:never-awaited",), "allow", 0),
        (("--asyncio-traps=allow:pending-task",), "fail", 1),
        (("--asyncio-traps=allow:never-awaited:'work'",), "allow", 0),
        (("--asyncio-traps=allow:never-awaited:'play'",), "fail", 1),
        (("--asyncio-traps=allow", "--asyncio-traps=fail:never-awaited"), "fail", 1),
        (("--asyncio-traps=fail:never-awaited", "--asyncio-traps=allow"), "allow", 0),
        (("--asyncio-traps=warn", "--asyncio-strict"), "fail", 1),
    ],
)
def test_the_last_matching_rule_wins(
    suite: Suite, args: tuple[str, ...], action: str, code: int
) -> None:
    outcome = suite.test(TRAP, *args)

    assert outcome.only()["action"] == action
    assert outcome.report["counts"][action] == 1
    assert outcome.result.ret == code


def test_off_reports_nothing(suite: Suite) -> None:
    outcome = suite.test(TRAP, "--asyncio-traps=off:never-awaited")

    outcome.clean()


def test_the_command_line_comes_after_the_ini(suite: Suite) -> None:
    suite.pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_traps =\n    warn\n    allow:never-awaited\n"
    )

    assert suite.test(TRAP).only()["action"] == "allow"
    assert suite.run("--asyncio-traps=fail").only()["action"] == "fail"


def test_warn_is_told_in_the_warnings_summary(suite: Suite) -> None:
    """With a category of its own; a filter that makes errors of warnings does not fail the test."""
    text = """
        import asyncio

        async def test_it():
            task = asyncio.create_task(asyncio.sleep(3600))  # here
            await asyncio.sleep(0)
        """

    outcome = suite.test(text, "--asyncio-traps=warn", "-W", "error")

    outcome.result.assert_outcomes(passed=1, warnings=1)
    line = suite.line_of("here")
    outcome.result.stdout.fnmatch_lines(
        [f"*test_it.py:{line}: AsyncioTrapWarning: pending-task: *"]
    )


@pytest.mark.parametrize(
    "marker",
    [
        '@pytest.mark.asyncio_allow("never-awaited", reason="known")',
        '@pytest.mark.asyncio_allow("pending-task", "never-awaited", reason="known")',
        '@pytest.mark.asyncio_allow(reason="known")',
        """@pytest.mark.asyncio_allow("never-awaited", match="'work'", reason="known")""",
    ],
)
def test_an_allow_marker(suite: Suite, marker: str) -> None:
    text = TRAP.replace("async def test_it", f"{marker}\nasync def test_it")

    outcome = suite.test(text, "--asyncio-strict")

    assert outcome.only()["action"] == "allow"
    assert outcome.result.ret == 0


def test_an_allow_marker_that_does_not_match(suite: Suite) -> None:
    marker = '@pytest.mark.asyncio_allow("never-awaited", match="play")'

    outcome = suite.test(TRAP.replace("async def test_it", f"{marker}\nasync def test_it"))

    assert outcome.only()["action"] == "fail"


def test_strict_wants_reasons_and_no_idle_rules(suite: Suite) -> None:
    marked = TRAP.replace(
        "async def test_it", '@pytest.mark.asyncio_allow("never-awaited")\nasync def test_it'
    )

    assert suite.test(marked).result.ret == 0
    strict = suite.run("--asyncio-strict")
    assert strict.result.ret == pytest.ExitCode.USAGE_ERROR
    strict.result.stderr.fnmatch_lines(["*test_it.py::test_it*no reason*"])

    idle = suite.test(
        "def test_it(): pass", "--asyncio-strict", "--asyncio-traps=allow:pending-task"
    )
    assert idle.result.ret == 1
    idle.result.stdout.fnmatch_lines(["*'allow:pending-task' allowed nothing*"])


@pytest.mark.parametrize(
    ("args", "judged"),
    [
        ((".",), True),
        (("-k", "other"), False),
        (("-m", "not slow"), False),
        (("test_it.py",), False),
        (("test_it.py::test_other",), False),
        (("--deselect", "test_it.py::test_it"), False),
        (("--ignore", "test_it.py"), False),
        (("--collect-only",), False),
    ],
)
@pytest.mark.parametrize("ways", cases([(), ("-n1",)], [()]))
def test_a_run_of_a_part_calls_no_rule_idle(
    suite: Suite, args: tuple[str, ...], judged: bool, ways: tuple[str, ...]
) -> None:
    """What the rule is for may be in the other part."""
    suite.write(
        test_it="def test_it(): pass\n\ndef test_other(): pass", test_b="def test_b(): pass"
    )
    outcome = suite.run(
        *("--asyncio-strict", "--asyncio-traps=allow:pending-task", *args, *ways),
        plugins=XDIST,
    )

    assert outcome.result.ret == int(judged)
    told = "'allow:pending-task' allowed nothing" in outcome.result.stdout.str()
    assert told is judged


def test_strict_names_an_idle_marker(suite: Suite) -> None:
    """Unless the run was not one of all its tests."""
    marker = '@pytest.mark.asyncio_allow("pending-task", reason="once")'
    text = f"import pytest\n{marker}\nclass TestIt:\n    def test_a(self): pass\n    def test_b(self): pass\n"

    idle = suite.test(text, "--asyncio-strict")
    assert idle.result.ret == 1
    idle.result.stdout.fnmatch_lines(
        ["  test_it.py::*: unused marker: asyncio_allow('pending-task', reason='once') *"]
    )
    assert suite.run("--asyncio-strict", "-k", "test_a").result.ret == 0
    assert suite.run("--asyncio-strict", "test_it.py::TestIt::test_a").result.ret == 0
    assert suite.run().result.ret == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--asyncio-traps=ignore",), "*unknown action 'ignore'*"),
        (("--asyncio-traps=fail:nothing",), "*unknown kind 'nothing'*"),
        (("--asyncio-traps=fail:pending-task:(",), "*not a regular expression*"),
        (("--asyncio-slow-callback-duration=-1",), "*must be more than 0*"),
        (("--asyncio-slow-callback-duration=soon",), "*not a number of seconds*"),
        (("--asyncio-slow-callback-duration=nan",), "*must be more than 0*"),
        (("--asyncio-traps-report=report.txt",), "*the suffix must be*"),
        (("--asyncio-traps-report=nowhere/report.json",), "*there is no folder*"),
        (("-oasyncio_traps=what",), "*unknown action 'what'*"),
        (("-oasyncio_slow_callback_duration=0",), "*must be more than 0*"),
    ],
)
def test_bad_options_are_usage_errors(suite: Suite, args: tuple[str, ...], message: str) -> None:
    """One line, before any test runs."""
    outcome = suite.test("def test_it(): assert 0", *args)

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([f"ERROR: asyncio-traps: {message}"])
    assert "test_it" not in outcome.result.stdout.str()


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('asyncio_allow("nothing")', "*unknown kind 'nothing'*"),
        ('asyncio_allow(match="(")', "*not a regular expression*"),
        ('asyncio_allow(because="x")', "*unknown argument 'because'*"),
        ("asyncio_allow(reason=1)", "*reason must be a string*"),
        ("asyncio_slow_callback_duration(-1)", "*must be more than 0*"),
        ("asyncio_slow_callback_duration()", "*takes one argument*"),
    ],
)
def test_bad_markers_are_usage_errors(suite: Suite, marker: str, message: str) -> None:
    """Named with the test they stand on."""
    outcome = suite.test(f"import pytest\n@pytest.mark.{marker}\ndef test_it(): assert 0\n")

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([f"ERROR: asyncio-traps: test_it.py::test_it: {message}"])


def test_all_wrong_markers_are_named_at_once(suite: Suite) -> None:
    """Each once, however many tests a class has."""
    outcome = suite.test(
        """
        import pytest

        @pytest.mark.asyncio_allow("never-awaitd")
        def test_first(): pass

        @pytest.mark.asyncio_slow_callback_duration(-1)
        class TestIt:
            def test_a(self): pass
            def test_b(self): pass

        @pytest.mark.asyncio_allow("pending-task")
        def test_without_a_reason(): pass
        """,
        "--asyncio-strict",
    )

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines(
        [
            "ERROR: asyncio-traps: 3 errors:",
            "  test_it.py::test_first: *unknown kind 'never-awaitd' (did you mean never-awaited[?])*",
            "  test_it.py::TestIt::test_a: *must be more than 0 seconds, and finite",
            "  test_it.py::test_without_a_reason: *has no reason; --asyncio-strict requires one",
        ],
        consecutive=True,
    )


def test_all_wrong_options_are_named_at_once(suite: Suite) -> None:
    outcome = suite.test(
        "def test_it(): pass",
        *("--asyncio-traps=fial", "--asyncio-traps-hang=-1", "--asyncio-traps-report=a.txt"),
    )

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines(
        [
            "ERROR: asyncio-traps: 3 errors:",
            "  rule 'fial': unknown action 'fial' (did you mean fail[?]), must be one of *",
            "  --asyncio-traps-hang: *",
            "  --asyncio-traps-report a.txt: the suffix must be *",
        ],
        consecutive=True,
    )


def test_thresholds(suite: Suite) -> None:
    """The marker comes before the command line, that before the ini."""
    text = """
        import asyncio, time, pytest

        async def test_plain():
            time.sleep(0.3)

        @pytest.mark.asyncio_slow_callback_duration(5)
        async def test_patient():
            time.sleep(0.3)

        @pytest.mark.asyncio_slow_callback_duration(0.05)
        async def test_impatient():
            time.sleep(0.3)
        """

    plain = suite.test(text)
    patient = suite.run(
        "--asyncio-slow-callback-duration=5", "-oasyncio_slow_callback_duration=0.01"
    )

    assert [f["nodeid"][12:] for f in plain.findings] == ["test_plain", "test_impatient"]
    assert 0.15 < plain.findings[0]["duration"] < 1
    assert [f["nodeid"][12:] for f in patient.findings] == ["test_impatient"]


def test_filters_do_not_hide_a_trap(suite: Suite) -> None:
    for action in ("ignore", "error", "once"):
        outcome = suite.test(TRAP, "-W", f"{action}::RuntimeWarning")

        assert outcome.only()["kind"] == "never-awaited", action


def test_a_warning_that_a_test_asked_for_otherwise_is_not_dealt_with(suite: Suite) -> None:
    """pytest.warns(OtherWarning) hands on what it did not expect."""
    outcome = suite.test(
        """
        import pytest, warnings

        async def work(): pass

        async def test_it():
            with pytest.warns(DeprecationWarning):
                warnings.warn("old", DeprecationWarning)
                work()  # here
        """
    )

    assert outcome.only()["origin"]["line"] == suite.line_of("here")


def test_expect_consumes_a_finding(suite: Suite) -> None:
    outcome = suite.test(
        """
        async def work(): pass

        async def test_it(asyncio_traps):
            with asyncio_traps.expect("never-awaited", match="work"):
                work()
            assert asyncio_traps.findings == []
        """
    )

    outcome.clean()


def test_expect_fails_when_there_was_none(suite: Suite) -> None:
    outcome = suite.test(
        """
        async def work(): pass

        async def test_none(asyncio_traps):
            with asyncio_traps.expect("never-awaited"):
                pass

        async def test_other(asyncio_traps):
            with asyncio_traps.expect("never-awaited", match="play"):
                work()

        def test_unknown(asyncio_traps):
            with asyncio_traps.expect("nothing"):
                pass
        """
    )

    outcome.result.assert_outcomes(failed=3)
    outcome.result.stdout.fnmatch_lines(
        ["*expected the trap never-awaited, but*", "*matching 'play'*", "*unknown kind 'nothing'*"]
    )
    assert outcome.kinds == ["never-awaited"]
