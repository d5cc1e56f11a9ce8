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
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pytest

from .core.faults import Faults

#: Where a run keeps its `Faults`.
faults_key: pytest.StashKey[Faults] = pytest.StashKey()

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
            faults.note(part, exc)
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
                faults.note(part, exc)
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
                faults.note(part, exc)
            raise  # what the wrapped hooks have raised
        try:
            inner.send(result)
        except StopIteration as stop:
            return stop.value
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.note(part, exc)
        return result

    return functools.wraps(function)(wrapper if inspect.isgeneratorfunction(function) else plain)


def faults_of(config: pytest.Config) -> Faults:
    """The faults of the run of ``config``."""
    faults = config.stash.get(faults_key, None)
    if faults is None:
        faults = config.stash[faults_key] = Faults()
        faults.passes = (pytest.UsageError,)
        faults.apart.add("pytest_cmdline_main")
        faults.texts.update(_early.texts)
        _early.texts.clear()
        teller = Teller(faults, config)
        config.pluginmanager.register(teller, "asyncio_traps_faults")
        # Cleanups run in reverse: this one comes after all that may still fail.
        config.add_cleanup(teller.tell_the_rest)
    return faults


def early_faults(*args: Any) -> Faults:
    """The faults of hooks that are called before there is a run."""
    return _early


class Teller:
    """Tells the faults: what it takes for that is not guarded, and no more than it takes."""

    def __init__(self, faults: Faults, config: pytest.Config) -> None:
        self._faults = faults
        self._config = config
        self._told: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None and self._faults.texts:
            output[_KEY] = dict(self._faults.texts)
            self._told.update(self._faults.texts)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for part, text in getattr(node, "workeroutput", {}).get(_KEY, {}).items():
            self._faults.heard.setdefault(part, text)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        lines = self._news()
        if lines:
            terminalreporter.section("a fault of pytest-asyncio-traps", red=True)
            for line in lines:
                terminalreporter.line(line)

    def tell_the_rest(self) -> None:
        """What has failed since the summary, or where there was none."""
        lines = self._news()
        if lines:
            sys.stderr.write("\n".join(["a fault of pytest-asyncio-traps", *lines, ""]))

    def _news(self) -> list[str]:
        lines = []
        for part, text in {**self._faults.heard, **self._faults.texts}.items():
            if part not in self._told:
                self._told.add(part)
                apart = part in self._faults.apart
                off = "was switched off" if apart else "was switched off, and all else with it"
                lines += [f"Its part {part!r} failed and {off}.", *text.rstrip().splitlines()]
        if lines:
            lines.append(
                "Your tests kept their outcomes. Please report this at the project's issue "
                "tracker, with what stands above."
            )
        return lines
