"""Keeps a fault of the plugin from the runs and tests of its user, and tells it.

pytest calls a hook, and what that raises ends the run. So every hook of the plugin is guarded:
one that fails does nothing from there on, as if it were not there, and the hooks that it
wraps do their work. What is no fault passes: the outcomes of tests, what the user's code
raised, and an answer to what the user has asked for.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import pytest

from ..compat.pytest import add_error
from ..core.faults import Fault, Faults
from ..model.text import clean
from ..options import is_strict

#: Where a run keeps its `FaultReporter`.
fault_reporter_key: pytest.StashKey[FaultReporter] = pytest.StashKey()

#: Where the faults of a worker of pytest-xdist travel, in its last words.
_KEY = "_asyncio_traps_faults"

#: The attribute that says of a hook that it guards itself.
_WITHIN = "_asyncio_traps_guarded_within"

_Hook = TypeVar("_Hook", bound=Callable[..., Any])

#: The faults of hooks that are called before there is a run.
_early = Faults()


class Guarded:
    """A plugin whose hooks are guarded, those of its subclasses included."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def __init_subclass__(cls) -> None:
        for name, function in list(vars(cls).items()):
            if name.startswith("pytest_") and not hasattr(function, _WITHIN):
                setattr(cls, name, guarded(function))


def guarded_within(function: _Hook) -> _Hook:
    """The hook ``function``, which is guarded by what stands in it."""
    setattr(function, _WITHIN, True)
    return function


def guarded(
    function: Callable[..., Any], faults_of: Callable[..., Faults] | None = None
) -> Callable[..., Any]:
    """The hook ``function``, a wrapper or a plain one, without its faults.

    They are kept where ``faults_of`` says, given the same arguments; those of a method, in its
    object's ``faults``. This is called many times in each test, and so is written out.
    """
    part = function.__name__

    def plain(*args: Any) -> Any:
        __tracebackhide__ = True
        faults = args[0].faults if faults_of is None else faults_of(*args)
        if part in faults.texts:
            return None
        try:
            return function(*args)
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record(part, exc)
            return None

    def wrapper(*args: Any) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        faults = args[0].faults if faults_of is None else faults_of(*args)
        inner = None
        if part not in faults.texts:
            try:
                inner = function(*args)
                next(inner)
            except Exception as exc:
                inner = None
                if not faults.is_ours(exc):
                    raise
                faults.record(part, exc)
        if inner is None:
            return (yield)
        try:
            result = yield
        except BaseException as theirs:
            try:
                inner.throw(theirs)
            except StopIteration as stop:
                return stop.value
            except Exception as exc:
                if exc is theirs or not faults.is_ours(exc):
                    raise
                faults.record(part, exc)
            raise  # what the wrapped hooks have raised
        try:
            inner.send(result)
        except StopIteration as stop:
            return stop.value
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record(part, exc)
        return result

    return functools.wraps(function)(wrapper if inspect.isgeneratorfunction(function) else plain)


def faults_of(config: pytest.Config) -> Faults:
    """The faults of the run of ``config``."""
    return fault_reporter_of(config).faults


def fault_reporter_of(config: pytest.Config) -> FaultReporter:
    """What tells the faults of the run of ``config``."""
    teller = config.stash.get(fault_reporter_key, None)
    if teller is None:
        faults = Faults()
        teller = config.stash[fault_reporter_key] = FaultReporter(faults, config)
        faults.passes = (pytest.UsageError,)
        faults.isolated.add("pytest_cmdline_main")
        faults.texts.update(_early.texts)
        faults.since.update(_early.since)
        _early.texts.clear()
        config.pluginmanager.register(teller, "asyncio_traps_faults")
        # Cleanups run in reverse: this one comes after all that may still fail.
        config.add_cleanup(teller.tell_the_rest)
    return teller


def early_faults(*args: Any) -> Faults:
    """The faults of hooks that are called before there is a run."""
    return _early


class FaultReporter:
    """Reports faults: what it takes for that is not guarded, and no more than it takes.

    In strict mode a fault fails the run: what was not watched was not proved.
    """

    def __init__(self, faults: Faults, config: pytest.Config) -> None:
        self.faults = faults
        #: The faults of kinds and hooks that others have added.
        self.third_party: Faults | None = None
        #: Called before the faults of a worker of pytest-xdist are sent: what may still fail.
        self.before_last_words: list[Callable[[], None]] = []
        self._config = config
        self._session: pytest.Session | None = None
        self._told: set[tuple[bool, str]] = set()

    @property
    def strict(self) -> bool:
        """Whether a fault fails the run. Does not use the settings, which may have failed."""
        try:
            return is_strict(self._config)
        except Exception:  # not even the options are declared
            return "--asyncio-strict" in self._config.invocation_params.args

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is None:
            self._fail_run()
            return
        for call in self.before_last_words:
            call()
        if self.faults.texts:
            output[_KEY] = [list(fault) for fault in self.faults.all()]
            self._told.update((False, part) for part in self.faults.texts)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.faults.receive(getattr(node, "workeroutput", {}).get(_KEY, []))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for heading, news, lines in self._news():
            terminalreporter.section(heading, red=True)
            for line in lines:
                terminalreporter.line(line)
            if self.strict:
                for fault in news:
                    add_error(terminalreporter, _NAME, _shortly(fault))
        self._fail_run()

    def tell_the_rest(self) -> None:
        """What has failed since the summary, or where there was none."""
        for heading, _, lines in self._news():
            sys.stderr.write("\n".join([heading, *lines, ""]))
        self._fail_run()

    def _all(self) -> list[tuple[bool, Fault]]:
        third_party = self.third_party.all() if self.third_party is not None else []
        return [(False, fault) for fault in self.faults.all()] + [(True, f) for f in third_party]

    def _fail_run(self) -> None:
        """In strict mode, have the run end as a failure if there is a fault."""
        session = self._session
        if session is not None and self.strict and self._all():
            good = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
            if session.exitstatus in good:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _news(self) -> Iterator[tuple[str, list[Fault], list[str]]]:
        """What was not reported yet: its heading, the faults, and the lines that say so."""
        for third_party, heading in ((False, _HEADING), (True, _HEADING_FOREIGN)):
            news = [
                fault
                for is_foreign, fault in self._all()
                if is_foreign is third_party and (third_party, fault.part) not in self._told
            ]
            if news:
                self._told.update((third_party, fault.part) for fault in news)
                yield heading, news, _worded_foreign(news) if third_party else _worded(news)


_NAME = "pytest-asyncio-traps"
_HEADING = f"a fault of {_NAME}"
_HEADING_FOREIGN = f"a fault of what extends {_NAME}"


def _shortly(fault: Fault) -> str:
    """A fault on one line."""
    return clean(
        f"fault in {fault.part}: {fault.text.rstrip().rpartition(chr(10))[2]} "
        f"(off since {fault.since}: {fault.off})"
    )


def _worded(news: list[Fault]) -> list[str]:
    lines = []
    for fault in news:
        lines.append(
            clean(f"Its part {fault.part!r} failed. Off since {fault.since}: {fault.off}.")
        )
        lines += fault.text.rstrip().splitlines()
    lines.append(
        "Your tests kept their outcomes. Please report this at the project's issue "
        "tracker, with what stands above."
    )
    return lines


def _worded_foreign(news: list[Fault]) -> list[str]:
    lines = []
    for fault in news:
        what = f"{fault.part} failed; your tests kept their outcomes."
        lines.append(clean(f"{what} Off since {fault.since}. What it raised:"))
        lines += fault.text.rstrip().splitlines()
    return lines
