"""What the plugin did not watch was not proved: its own faults, and how little goes with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from pytest_asyncio_traps import options
from pytest_asyncio_traps_loader.failed import FailedPlugin

from ..run import XDIST, Suite

SUITE = """
import asyncio

async def work(): pass

def test_first(): pass

def test_lost():
    work()

async def test_later():
    await work()
"""

#: Where a fault may come up, as code of a conftest.py; and in which reports it can still stand.
FAULTS = {
    "a kind": (
        """
        from pytest_asyncio_traps.traps.pending_task import PendingTask
        PendingTask._users_tasks = lambda *args: 1 / 0
        """,
        ("pending-task", "'pending-task' only"),
    ),
    "what all kinds rely on": (
        """
        from pytest_asyncio_traps.core.object_tracker import ObjectTracker
        ObjectTracker.scan = lambda *args: 1 / 0
        """,
        ("tracker", "all kinds"),
    ),
    "a hook": (
        """
        from pytest_asyncio_traps.session.phases import Phases
        close = Phases.close
        Phases.close = lambda self, when: 1 / 0 if when == "call" else close(self, when)
        """,
        ("pytest_runtest_call", "all kinds"),
    ),
    "the end of the run": (
        """
        from pytest_asyncio_traps.session.lifecycle import Lifecycle
        Lifecycle.finish_worker = lambda *args: 1 / 0
        """,
        ("the end of the run", "all kinds"),
    ),
}


@pytest.mark.parametrize("args", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("name", FAULTS)
def test_strict(suite: Suite, name: str, args: tuple[str, ...]) -> None:
    """The run fails, whatever its tests did: on the terminal, by its status and in each report."""
    code, (part, off) = FAULTS[name]
    suite.write(conftest=code, test_it="async def test_it(): pass\ndef test_plain(): pass\n")

    outcome = suite.run(
        *("--asyncio-strict", "--asyncio-traps-report=traps.sarif", *args),
        *("--asyncio-traps-report=traps.html",) * bool(find_spec("jinja2")),
        plugins=XDIST,
    )

    result = outcome.result
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, errors=len(outcome.report["faults"]))
    result.stdout.fnmatch_lines(
        ["*short test summary info*", f"ERROR pytest-asyncio-traps - fault in {part}: *"]
    )
    faults = outcome.report["faults"]
    assert (part, off) in [(fault["part"], fault["off"]) for fault in faults]
    assert all("ZeroDivisionError" in fault["text"] and fault["since"] for fault in faults)
    folder = suite.pytester.path
    (run,) = json.loads((folder / "traps.sarif").read_text(encoding="utf-8"))["runs"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    said = [n["message"]["text"] for n in invocation["toolExecutionNotifications"]]
    assert any(repr(part) in text and off in text for text in said)
    if find_spec("jinja2"):
        page = (folder / "traps.html").read_text(encoding="utf-8")
        assert "ZeroDivisionError" in page


@pytest.mark.parametrize("name", FAULTS)
def test_not_strict(suite: Suite, name: str) -> None:
    """The tests keep their outcomes, and the terminal says so, in red, at the end."""
    code, (part, off) = FAULTS[name]
    suite.write(conftest=code, test_it="async def test_it(): pass\ndef test_plain(): pass\n")

    outcome = suite.run("--color=yes")

    assert outcome.result.ret == 0
    outcome.result.assert_outcomes(passed=2)
    text = outcome.result.stdout.str()
    assert "\x1b[31m" in next(line for line in text.splitlines() if "a fault of" in line)
    assert f"Its part '{part}' failed. Off since" in text
    assert off in text
    assert [fault["part"] for fault in outcome.report["faults"]] == [part]


@pytest.mark.parametrize("args", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_fault_after_the_summary(suite: Suite, args: tuple[str, ...]) -> None:
    """What fails while everything is put back fails a strict run, too."""
    suite.write(
        conftest="""
        from pytest_asyncio_traps.core.origins import OriginTracking
        OriginTracking.disarm = lambda *args: 1 / 0
        """,
        test_it="def test_it(): pass",
    )

    plugins = XDIST
    strict = suite.run("--asyncio-strict", *args, plugins=plugins).result
    plain = suite.run(*args, plugins=plugins).result

    assert strict.ret == pytest.ExitCode.TESTS_FAILED
    assert plain.ret == 0
    for result in (strict, plain):
        assert "ZeroDivisionError" in result.stdout.str() + result.stderr.str()


def test_a_fault_of_a_third_party_kind(suite: Suite) -> None:
    """What extends the plugin is watched no more, either."""
    suite.write(
        conftest="""
        from pytest_asyncio_traps import Trap

        class Odd(Trap):
            kind, title, advice = "odd", "it is odd", "Even it out."
            def arm(self):
                1 / 0

        def pytest_asyncio_traps_kinds():
            return [Odd]
        """,
        test_it="def test_it(): pass",
    )

    strict, plain = suite.run("--asyncio-strict"), suite.run()

    assert strict.result.ret == pytest.ExitCode.TESTS_FAILED
    strict.result.stdout.fnmatch_lines(["ERROR pytest-asyncio-traps - fault in odd: *"])
    assert [fault["part"] for fault in strict.report["faults"]] == ["odd"]
    assert plain.result.ret == 0


def test_strict_by_the_ini_file(suite: Suite) -> None:
    """``asyncio_traps_strict`` does as the option does."""
    code, _ = FAULTS["a hook"]
    suite.write(conftest=code, test_it="def test_it(): pass")
    ini = "[pytest]\nasyncio_default_fixture_loop_scope = function\nasyncio_traps_strict = true\n"
    suite.pytester.makeini(ini)

    assert suite.run().result.ret == pytest.ExitCode.TESTS_FAILED


# -- as little as possible --------------------------------------------------------


def test_a_kind_that_cannot_be_armed(suite: Suite) -> None:
    """It takes nothing with it, and leaves nothing behind."""
    suite.write(
        sitecustomize="",
        conftest="""
        from pytest_asyncio_traps.session.lifecycle import lifecycle_key

        def pytest_sessionstart(session):
            watch = session.config.stash[lifecycle_key].watch
            kinds = {getattr(handler.__self__, "kind", None)
                     for handlers in watch.events.listening.values() for handler in handlers}
            assert "pending-task" in kinds and "unclosed-transport" not in kinds, kinds
        """,
        fail_to_arm="""
        from pytest_asyncio_traps.traps.unclosed_transport import UnclosedTransport
        arm = UnclosedTransport.arm

        def fail(self):
            arm(self)
            1 / 0

        UnclosedTransport.arm = fail
        """,
        test_it=SUITE,
    )

    outcome = suite.run("--asyncio-strict", plugins=("fail_to_arm", "asyncio", "asyncio_traps"))

    outcome.result.assert_outcomes(passed=2, failed=1, errors=1)
    assert outcome.kinds == ["never-awaited"]
    (fault,) = outcome.report["faults"]
    assert (fault["part"], fault["off"]) == ("unclosed-transport", "'unclosed-transport' only")
    assert fault["since"] == "the start of the run"


#: What another Python or pytest may lack, and what is then said not to be watched.
LACKING = {
    "a private class of asyncio": (
        "import asyncio.sslproto as s; s.Tls = s._SSLProtocolTransport; del s._SSLProtocolTransport",
        "unclosed-transport of connections over TLS",
    ),
    "an instruction": ("import dis; dis.opmap.pop('RETURN_GENERATOR', None)", None),
    "what pytest makes failures of": (
        "import _pytest._code.code as c; c.Renamed = c.ReprEntry\n"
        "import sys, types\n"
        "module = types.ModuleType(c.__name__)\n"
        "module.__dict__.update({k: v for k, v in vars(c).items() if k != 'ReprEntry'})\n"
        "import _pytest.reports\n"
        "sys.modules[c.__name__] = module",
        "the lines of code in failures",
    ),
}


@pytest.mark.parametrize("name", LACKING)
def test_what_a_python_lacks(suite: Suite, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is a blind spot with a reason: no fault, and pytest starts."""
    code, what = LACKING[name]
    suite.write(lacking=code, test_it="async def work(): pass\n\ndef test_lost():\n    work()\n")
    suite.pytester.path.joinpath("lacking.py").write_text(code, encoding="utf-8")

    outcome = suite.run("-v", plugins=("lacking", "pytest_asyncio.plugin", "asyncio_traps"))

    outcome.no_fault()
    assert outcome.kinds == ["never-awaited"]
    assert outcome.report["faults"] == []
    outcome.result.assert_outcomes(failed=1)
    if what is not None:
        spots = {spot["what"]: spot["reason"] for spot in outcome.report["blind_spots"]}
        assert spots.get(what), spots
        outcome.result.stdout.fnmatch_lines([f"Not watched: {what}: *"])


BROKEN = """
import pytest_asyncio_traps_loader.finder as finder

def find_spec(self, name, path=None, target=None):
    if name == "pytest_asyncio_traps.core.watch":
        raise ERROR("it is broken")

finder.Finder.find_spec = find_spec
"""


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("error", ["ImportError", "SyntaxError", "ZeroDivisionError"])
def test_the_plugin_cannot_be_imported(suite: Suite, error: str, strict: bool) -> None:
    """The tests run without it, options, markers and fixtures included; a strict run fails."""
    suite.write(
        broken=BROKEN.replace("ERROR", error),
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.asyncio_allow("pending-task", reason="it is a test")
        @pytest.mark.asyncio_slow_callback_duration(5)
        async def test_async(asyncio_traps):
            with asyncio_traps.expect("never-awaited"):
                pass
            assert not asyncio_traps.findings and not asyncio_traps.records

        def test_loop(debug_loop):
            debug_loop.run_until_complete(asyncio.sleep(0))
        """,
    )
    args = ("--strict-markers", "--asyncio-traps=fail", *("--asyncio-strict",) * strict)

    result = suite.run(*args, plugins=("broken", "asyncio", "asyncio_traps")).result

    result.assert_outcomes(passed=2, errors=int(strict))
    assert result.ret == int(strict)
    result.stdout.fnmatch_lines(["*a fault of pytest-asyncio-traps*", f"*{error}: it is broken*"])
    if strict:
        result.stdout.fnmatch_lines(["ERROR pytest-asyncio-traps - fault in its import: *"])


def accepted(add: Callable[[pytest.Parser], None]) -> tuple[dict[str, tuple[bool, bool]], set[str]]:
    """By option, whether it may stand alone and whether it takes a value; and the ini values."""
    parser = pytest.Parser(_ispytest=True)
    add(parser)

    def parses(*args: str) -> bool:
        try:
            parser.parse_known_args(list(args))
        except (pytest.UsageError, SystemExit):
            return False
        return True

    names = [option.names()[0] for option in parser.getgroup("asyncio-traps").options]
    forms = {name: (parses(name), parses(f"{name}=x")) for name in names}
    return forms, set(parser._inidict)


def test_its_stand_in_knows_the_same_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert accepted(options.add_options) == accepted(FailedPlugin(ImportError()).pytest_addoption)


def test_its_stand_in_explains_nothing(suite: Suite) -> None:
    """Whoever asks for a page gets the reason, and not a run of the tests."""
    suite.write(broken=BROKEN.replace("ERROR", "ImportError"), test_it="def test_it(): pass")

    result = suite.pytester.runpytest_subprocess(
        *("-p", "broken", "-p", "asyncio_traps", "--asyncio-traps-explain", "pending-task")
    )

    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert "could not be imported" in result.stderr.str()
    assert "test_it.py" not in result.stdout.str()
