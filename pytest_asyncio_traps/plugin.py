"""The hooks of the plugin; each hands on within a few lines.

PYTEST_DONT_REWRITE: see `pytest_asyncio_traps_loader.finder`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asyncio_traps_loader.finder import finder

from . import hookspecs, options
from .compat import pytest as bridge
from .compat.pytest_asyncio import UnsetScopeWarning
from .fixtures import asyncio_traps, debug_loop
from .model.text import as_writable
from .policy.kinds import kinds_of
from .policy.markers import LINES
from .policy.rules import BadRuleError
from .session.guards import (
    Guarded,
    early_faults,
    fault_reporter_of,
    faults_of,
    guarded,
    guarded_within,
)
from .session.lifecycle import Lifecycle, lifecycle_key

if TYPE_CHECKING:
    from .baseline.run import BaselineRun

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
    from .reports import explain  # most runs can do without

    kinds = kinds_of(config)
    kinds.ask(config)
    kinds.check()
    try:
        text = explain.explain(kind, kinds.traps) if kind else explain.overview(kinds.traps)
        sys.stdout.write(f"{as_writable(text, sys.stdout)}\n")
    except BadRuleError as exc:
        raise pytest.UsageError(f"asyncio-traps: {exc}{kinds.excuse()}") from None
    except Exception as exc:
        # Whoever asks for a page does not want the tests to run instead.
        faults_of(config).record("pytest_cmdline_main", exc)
        return int(pytest.ExitCode.INTERNAL_ERROR)
    return 0


@_guarded
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Hook in before the first conftest.py imports the code under test, and takes names from it."""
    _keep_finder(early_config)
    kinds_of(early_config).ask(early_config)
    try:
        # A conftest.py may still add kinds, so any may be named.
        settings = options.read_settings(early_config, early_config.known_args_namespace, None)
    except pytest.UsageError:
        return  # pytest_configure says so, when pytest is ready to
    _begin(early_config, settings)


_unset_scope = pytest.StashKey[UnsetScopeWarning]()


@_guarded
@pytest.hookimpl(specname="pytest_configure", tryfirst=True)
def pytest_configure_before_others(config: pytest.Config) -> None:
    warning = config.stash[_unset_scope] = UnsetScopeWarning()
    warning.demote(config)


@_guarded
@pytest.hookimpl(specname="pytest_configure", trylast=True)
def pytest_configure_after_others(config: pytest.Config) -> None:
    if _unset_scope in config.stash:
        config.stash[_unset_scope].restore()


@_guarded
def pytest_configure(config: pytest.Config) -> None:
    _keep_finder(config)
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
    if lifecycle is None and faults_of(config).is_all_off():
        return  # what has failed before is not tried again
    if lifecycle is None or lifecycle.settings != settings:
        # Loaded by a conftest.py, or one of those has changed what was asked for.
        if lifecycle is not None:
            lifecycle.stop()
        lifecycle = _begin(config, settings)
    lifecycle.arm_third_party()
    register = config.pluginmanager.register
    hooks = Hooks(lifecycle)
    register(hooks, "asyncio_traps_hooks")
    hooks.need_reports()
    if settings.strict:
        register(StrictHooks(lifecycle), "asyncio_traps_strict")
    baseline = lifecycle.pipeline.baseline
    if baseline is not None and baseline.follows:
        register(BaselineHooks(lifecycle, baseline), "asyncio_traps_baseline")
    if lifecycle.is_worker:
        from .session.workers import WorkerHooks  # most runs can do without

        register(WorkerHooks(lifecycle), "asyncio_traps_worker")


_finder_key: pytest.StashKey[bool] = pytest.StashKey()


def _keep_finder(config: pytest.Config) -> None:
    """Have the finder there until the run of ``config`` ends: some modules are imported late."""
    if _finder_key not in config.stash:
        config.stash[_finder_key] = True
        finder.enter()
        config.add_cleanup(finder.leave)


def _begin(config: pytest.Config, settings: options.Settings) -> Lifecycle:
    lifecycle = Lifecycle(config, settings, faults_of(config), kinds_of(config))
    lifecycle.start()
    config.stash[lifecycle_key] = lifecycle
    config.add_cleanup(lifecycle.stop)
    teller = fault_reporter_of(config)
    teller.third_party = lifecycle.kinds.faults
    # A worker says its last words before it puts everything back, which may fail, too.
    teller.before_last_words[:] = [lifecycle.stop]
    return lifecycle


class Hooks(Guarded):
    """The hooks of a run that has been configured."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle
        self._report_hooks = ReportHooks(lifecycle, self)
        self._late_hooks: LateHooks | None = None
        #: Whether the hooks for reports are registered, as they are when the first test begins.
        self._reports_on = False
        self._began = False

    def pytest_plugin_registered(self, plugin: object) -> None:
        self.lifecycle.kinds.refuse_late(self.lifecycle.config, plugin)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        # Within pytest's own recording of warnings.
        self.lifecycle.watch.warning_monitor.begin_test()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        with self.lifecycle.collecting(collector):
            return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.lifecycle.collected(session.items)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.lifecycle.deselected(items)

    # These four run in each test, and so are guarded by what stands in them: a generator around
    # each of them would cost more than they do. The last three are alike, and have to stay so.

    @guarded_within
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        faults = self.faults
        if "pytest_fixture_setup" in faults.texts:
            return (yield)
        try:
            charge = self.lifecycle.charge_fixture(fixturedef)
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record("pytest_fixture_setup", exc)
            return (yield)
        try:
            return (yield)
        finally:
            try:
                charge.set_up()
            except Exception as exc:
                if not faults.is_ours(exc):
                    raise
                faults.record("pytest_fixture_setup", exc)

    @guarded_within
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        faults = self.faults
        if "pytest_runtest_setup" in faults.texts:
            return (yield)
        try:
            self.lifecycle.begin_test(item)
            if self.lifecycle.is_test_case or not self._began:
                self._began = True
                self._spare_reports()
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record("pytest_runtest_setup", exc)
            return (yield)
        try:
            result = yield
        except BaseException as raised:
            try:
                self._fail_phase("setup", raised)
            except Exception as exc:
                if not faults.is_ours(exc):
                    raise
                faults.record("pytest_runtest_setup", exc)
            raise
        try:
            if self.lifecycle.close_phase("setup"):
                self._settle_phase("setup")
            self.lifecycle.refuse_bad_marker()
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record("pytest_runtest_setup", exc)
        return result

    @guarded_within
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        faults = self.faults
        if "pytest_runtest_call" in faults.texts:
            return (yield)
        try:
            self.lifecycle.begin_call(item)
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record("pytest_runtest_call", exc)
            return (yield)
        try:
            result = yield
        except BaseException as raised:
            try:
                self._fail_phase("call", raised)
            except Exception as exc:
                if not faults.is_ours(exc):
                    raise
                faults.record("pytest_runtest_call", exc)
            raise
        try:
            if self.lifecycle.close_phase("call"):
                self._settle_phase("call")
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record("pytest_runtest_call", exc)
        return result

    @guarded_within
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        __tracebackhide__ = True
        faults = self.faults
        if "pytest_runtest_teardown" in faults.texts:
            return (yield)
        self.lifecycle.in_phase = True
        try:
            result = yield
        except BaseException as raised:
            try:
                self._fail_phase("teardown", raised)
            except Exception as exc:
                if not faults.is_ours(exc):
                    raise
                faults.record("pytest_runtest_teardown", exc)
            raise
        try:
            if self.lifecycle.close_phase("teardown"):
                self._settle_phase("teardown")
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record("pytest_runtest_teardown", exc)
        return result

    def _fail_phase(self, when: str, raised: BaseException) -> None:
        """A phase has ``raised`` something by itself. What that makes of it, its report says."""
        __tracebackhide__ = True
        if isinstance(raised, (KeyboardInterrupt, pytest.exit.Exception)):
            self.lifecycle.cut_short()
        self.need_reports()
        if self.lifecycle.close_phase(when) and isinstance(raised, pytest.skip.Exception):
            self._settle_phase(when)

    def _settle_phase(self, when: str) -> None:
        """A phase that has not failed by itself has shown something."""
        __tracebackhide__ = True
        self.need_reports()
        self.lifecycle.raise_for_phase(when)

    def need_reports(self) -> None:
        """There is something to say in a report, or may be."""
        if not self._reports_on:
            self._reports_on = True
            self._register(self._report_hooks, _REPORTS)
        if self.lifecycle.pipeline.policy.deferred and self._late_hooks is None:
            self._late_hooks = LateHooks(self.lifecycle)
            self._register(self._late_hooks, "asyncio_traps_late")

    def _register(self, plugin: object, name: str) -> None:
        manager = self.lifecycle.config.pluginmanager
        try:
            with self.faults.user_code:
                manager.register(plugin, name)
        except Exception:
            # Whoever is told of a plugin comes after its hooks are in place.
            if not manager.is_registered(plugin):
                raise

    def _spare_reports(self) -> None:
        """Do without the hook for reports until one is needed, if nobody else has any say there.

        What a test case raises, and what others make of a report, no other hook gets to see.
        """
        hook = self.lifecycle.config.hook.pytest_runtest_makereport  # every folder's
        others = [
            impl
            for impl in hook.get_hookimpls()
            if impl.plugin is not self._report_hooks
            and not getattr(impl.function, "__module__", "").startswith("_pytest.")
        ]
        if others or self.lifecycle.is_test_case:
            self.need_reports()
        elif self._reports_on:
            self._reports_on = False
            self.lifecycle.config.pluginmanager.unregister(self._report_hooks)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config) -> None:
        from .session.workers import ControllerHooks

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
                bridge.end_fixtures(session, self.faults.user_code)
        finally:
            with self.faults.guard("the end of the run"):
                ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
                self._finish(session, interrupted=not ended)
            if self.lifecycle.is_worker:
                from .session.workers import say_last_words

                say_last_words(self.lifecycle)
            else:
                self.lifecycle.pipeline.write_reports()

    def _finish(self, session: pytest.Session, interrupted: bool = False) -> None:
        if self.lifecycle.is_worker:
            self.lifecycle.finish_worker()
        else:
            self.lifecycle.finish(session, interrupted)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        self.lifecycle.pipeline.summarize(terminalreporter)


# A hook that nobody needs in this run is not there, since each costs something at every test.


_REPORTS = "asyncio_traps_reports"


class ReportHooks(Guarded):
    """For a run in which there is something to say in a report."""

    def __init__(self, lifecycle: Lifecycle, hooks: Hooks) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle
        self._hooks = hooks

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.excinfo is not None or self.lifecycle.phase is not None or not report.passed:
            self.lifecycle.amend(item, call, report)
            self._hooks.need_reports()  # an exception may carry what fails another test
        return report


class LateHooks(Guarded):
    """For a run in which a test has failed after its end."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        if self.lifecycle.pipeline.policy.deferred and not self.lifecycle.is_worker:
            self.lifecycle.pipeline.emit_late()


class StrictHooks(Guarded):
    """What ``--asyncio-strict`` has to know besides."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.lifecycle.pipeline.policy.note_run(report)


class BaselineHooks(Guarded):
    """What a baseline has to know besides, to say which of its entries are over."""

    def __init__(self, lifecycle: Lifecycle, baseline: BaselineRun) -> None:
        super().__init__(lifecycle.watch.faults)
        self.baseline = baseline
        self._guard = lifecycle.watch.faults.guard("baseline")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        report = yield
        with self._guard:
            self.baseline.collected(collector, report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        with self._guard:
            self.baseline.select(items)
        return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        with self._guard:
            self.baseline.leave(session.items)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        with self._guard:
            self.baseline.cut(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        with self._guard:
            self.baseline.note(report)
