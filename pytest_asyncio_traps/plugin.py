"""The hooks of the plugin; each hands on within a few lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from . import bridge, hookspecs, options, xdist
from .fixtures import asyncio_traps, debug_loop
from .guards import Guarded, early_faults, faults_of, guarded
from .kinds import kinds_of
from .lifecycle import Lifecycle, lifecycle_key
from .markers import LINES
from .rules import BadRuleError

if TYPE_CHECKING:
    from .adoption import Adoption

__all__ = ["asyncio_traps", "debug_loop"]


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    return guarded(function, faults_of)


def _guarded_early(function: Callable[..., Any]) -> Callable[..., Any]:
    return guarded(function, early_faults)


@_guarded_early
def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@_guarded_early
def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


@_guarded
@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Explain a kind, where that is all that was asked for."""
    kind = config.getoption("--asyncio-traps-explain")
    if kind is None:
        return None
    from . import explain  # most runs can do without

    kinds = kinds_of(config)
    kinds.ask(config)
    kinds.check()
    try:
        text = explain.explain(kind, kinds.traps) if kind else explain.overview(kinds.traps)
    except BadRuleError as exc:
        raise pytest.UsageError(f"asyncio-traps: {exc}{kinds.excuse()}") from None
    sys.stdout.write(f"{text}\n")
    return 0


@_guarded
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Hook in before the first conftest.py imports the code under test, and takes names from it."""
    kinds_of(early_config).ask(early_config)
    try:
        # A conftest.py may still add kinds, so any may be named.
        settings = options.read_settings(early_config, early_config.known_args_namespace, None)
    except pytest.UsageError:
        return  # pytest_configure says so, when pytest is ready to
    _begin(early_config, settings)


@_guarded
def pytest_configure(config: pytest.Config) -> None:
    for line in LINES:
        config.addinivalue_line("markers", line)
    kinds = kinds_of(config)
    kinds.ask(config)
    kinds.check()
    try:
        settings = options.read_settings(config, config.option, kinds.names)
    except pytest.UsageError as exc:
        raise pytest.UsageError(f"{exc}{kinds.excuse()}") from None
    lifecycle = config.stash.get(lifecycle_key, None)
    if lifecycle is None and faults_of(config).all_off():
        return  # what has failed before is not tried again
    if lifecycle is None or lifecycle.settings != settings:
        # Loaded by a conftest.py, or one of those has changed what was asked for.
        if lifecycle is not None:
            lifecycle.stop()
        lifecycle = _begin(config, settings)
    lifecycle.welcome()
    register = config.pluginmanager.register
    register(Hooks(lifecycle), "asyncio_traps_hooks")
    if settings.strict:
        register(StrictHooks(lifecycle), "asyncio_traps_strict")
    adoption = lifecycle.adoption
    if adoption is not None and adoption.follows:
        register(BaselineHooks(lifecycle, adoption), "asyncio_traps_baseline")
    if lifecycle.is_worker:
        register(WorkerHooks(lifecycle), "asyncio_traps_worker")


def _begin(config: pytest.Config, settings: options.Settings) -> Lifecycle:
    lifecycle = Lifecycle(config, settings, faults_of(config), kinds_of(config))
    lifecycle.start()
    config.stash[lifecycle_key] = lifecycle
    config.add_cleanup(lifecycle.stop)
    return lifecycle


class Hooks(Guarded):
    """The hooks of a run that has been configured."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    def pytest_plugin_registered(self, plugin: object) -> None:
        self.lifecycle.kinds.refuse_late(self.lifecycle.config, plugin)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        self.lifecycle.watch.witness.begin_test()  # within pytest's own recording of warnings
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        with self.lifecycle.collecting(collector):
            return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.lifecycle.collected(session.items)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.lifecycle.deselected(items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        with self.lifecycle.fixture(fixturedef):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        __tracebackhide__ = True
        self.lifecycle.begin_test(item)
        yield from self._phase("setup")
        self.lifecycle.refuse_bad_marker()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        __tracebackhide__ = True
        self.lifecycle.prepare_call(item)
        yield from self._phase("call")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        __tracebackhide__ = True
        yield from self._phase("teardown")

    def _phase(self, when: str) -> Generator[None]:
        __tracebackhide__ = True
        lifecycle = self.lifecycle
        lifecycle.in_phase = True
        try:
            yield
        except pytest.skip.Exception:
            lifecycle.close_phase(when)
            lifecycle.raise_for_phase()
            raise
        except (KeyboardInterrupt, pytest.exit.Exception):
            lifecycle.cut_short()
            lifecycle.close_phase(when)
            raise
        except BaseException:
            lifecycle.close_phase(when)
            raise
        lifecycle.close_phase(when)
        if lifecycle.phase is not None:
            lifecycle.raise_for_phase()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.excinfo is not None or self.lifecycle.phase is not None or not report.passed:
            self.lifecycle.amend(item, call, report)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        if self.lifecycle.verdicts.late and not self.lifecycle.is_worker:
            self.lifecycle.emit_late()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config) -> None:
        config.pluginmanager.register(ControllerHooks(self.lifecycle), "asyncio_traps_controller")

    def pytest_enter_pdb(self) -> None:
        self.lifecycle.excuse_debugger()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        self._finish(session)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        # Before others write their reports. A run that was stopped half-way still has
        # its fixtures, and what they leave is to be seen.
        try:
            with self.faults.guard("the end of the run"):
                bridge.end_fixtures(session, self.faults.theirs)
        finally:
            with self.faults.guard("the end of the run"):
                ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
                self._finish(session, interrupted=not ended)
            if self.lifecycle.is_worker:
                xdist.say_last_words(self.lifecycle)
            else:
                self.lifecycle.write_reports()

    def _finish(self, session: pytest.Session, interrupted: bool = False) -> None:
        if self.lifecycle.is_worker:
            self.lifecycle.finish_worker()
        else:
            self.lifecycle.finish(session, interrupted)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        self.lifecycle.summarize(terminalreporter)


# A hook that nobody needs in this run is not there, since each costs something at every test.


class StrictHooks(Guarded):
    """What ``--asyncio-strict`` has to know besides."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.lifecycle.verdicts.note_run(report)


class BaselineHooks(Guarded):
    """What a baseline has to know besides, to say which of its entries are over."""

    def __init__(self, lifecycle: Lifecycle, adoption: Adoption) -> None:
        super().__init__(lifecycle.watch.faults)
        self.adoption = adoption
        self._guard = lifecycle.watch.faults.guard("baseline")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        report = yield
        with self._guard:
            self.adoption.collected(collector, report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        with self._guard:
            self.adoption.select(items)
        return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        with self._guard:
            self.adoption.leave(session.items)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        with self._guard:
            self.adoption.cut(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        with self._guard:
            self.adoption.note(report)


class WorkerHooks(Guarded):
    """In a worker of pytest-xdist."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        xdist.send_along(self.lifecycle, report)


class ControllerHooks(Guarded):
    """In the controller of pytest-xdist."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        yield
        xdist.take_from(self.lifecycle, report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        xdist.hear_last_words(self.lifecycle, node)
