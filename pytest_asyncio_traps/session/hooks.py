"""The hooks of a run that has been configured. Each calls the part that does the work.

Each hook costs something at every test. Those that few runs need are in
`pytest_asyncio_traps.session.optional_hooks`, or are registered when they are needed first.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from ..compat.pytest import end_fixtures, finish_teardown, is_from_pytest
from ..traps.deadlock import is_ended
from .guards import Guarded, guarded_within
from .header import header_lines
from .lifecycle import Lifecycle

#: A method of `Hooks` around a phase.
_PhaseHook = Callable[..., Generator[None, object, object]]


def _phase_hook(when: str) -> _PhaseHook:
    """The hook around the phase ``when`` of a test.

    It guards itself in blocks, and calls no helpers where there is nothing to report. Generators
    around these three hooks, as `guarded` makes them, would add 12 calls to the 32 that a plain
    test costs (see tests/test_price.py).
    """
    part = f"pytest_runtest_{when}"

    @guarded_within
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def around_phase(self: Hooks, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        faults, lifecycle = self.faults, self.lifecycle
        if part in faults.texts:
            return (yield)
        try:
            if when == "setup":
                lifecycle.owners.begin_test(item)
                lifecycle.phases.begin_test()
                lifecycle.arming.begin_test()
                if lifecycle.owners.is_test_case or not self.began:
                    self.began = True
                    self.spare_reports()
            elif when == "call" and lifecycle.owners.is_test_case:
                lifecycle.owners.enter_test_case(item)
            lifecycle.phases.when = when
            lifecycle.phases.running = True
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record(part, exc)
            return (yield)
        try:
            result = yield
        except BaseException as raised:
            try:
                self.fail_phase(item, when, raised)
            except Exception as exc:
                if not faults.is_ours(exc):
                    raise
                faults.record(part, exc)
            raise
        try:
            if lifecycle.phases.close(when):
                self.need_reports()
                lifecycle.phases.fail_for_traps(item, when)
            if when == "setup" and lifecycle.usage_error is not None:
                pytest.fail(lifecycle.usage_error, pytrace=False)
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record(part, exc)
        return result

    return around_phase


class Hooks(Guarded):
    """The hooks that every run needs."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle
        #: Whether the first test has begun.
        self.began = False
        self._report_hooks = ReportHooks(lifecycle, self)
        self._deferred_hooks: DeferredHooks | None = None
        #: Whether the hook for reports is registered, as it is when the first test begins.
        self._reports_on = False

    def pytest_report_header(self) -> list[str]:
        lifecycle = self.lifecycle
        return header_lines(
            lifecycle.settings,
            lifecycle.kinds.traps,
            lifecycle.watch.blind_spots,
            lifecycle.config.invocation_params.dir,
        )

    # -- collection -------------------------------------------------------

    def pytest_plugin_registered(self, plugin: object) -> None:
        self.lifecycle.kinds.refuse_late(self.lifecycle.config, plugin)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        # Within pytest's own recording of warnings.
        self.lifecycle.watch.warning_monitor.begin_test()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        with self.lifecycle.owners.collecting(collector):
            return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.lifecycle.items_selected(session.items)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.lifecycle.items_deselected(items)

    # -- tests ------------------------------------------------------------

    @guarded_within
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        # Guarded as `_phase_hook` is, and for the same reason.
        faults = self.faults
        if "pytest_fixture_setup" in faults.texts:
            return (yield)
        try:
            tenure = self.lifecycle.owners.begin_fixture(fixturedef)
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record("pytest_fixture_setup", exc)
            return (yield)
        try:
            return (yield)
        finally:
            try:
                tenure.end_set_up()
            except Exception as exc:
                if not faults.is_ours(exc):
                    raise
                faults.record("pytest_fixture_setup", exc)

    pytest_runtest_setup: _PhaseHook = _phase_hook("setup")
    pytest_runtest_call: _PhaseHook = _phase_hook("call")
    pytest_runtest_teardown: _PhaseHook = _phase_hook("teardown")

    def pytest_enter_pdb(self) -> None:
        self.lifecycle.arming.pause_for_debugger()

    def fail_phase(self, item: pytest.Item, when: str, raised: BaseException) -> None:
        """The test, or a fixture, has ``raised`` something; `Phases.complete` sees to the report.

        Only a skip is replaced here by a failure for traps.
        """
        __tracebackhide__ = True
        if isinstance(raised, (KeyboardInterrupt, pytest.exit.Exception)):
            self.lifecycle.hangs.interrupted(raised)
            self.lifecycle.owners.cut_short()
        elif when == "teardown" and is_ended(raised):
            with self.faults.user_code:
                finish_teardown(raised, is_ended)
        self.need_reports()
        phases = self.lifecycle.phases
        if phases.close(when) and isinstance(raised, pytest.skip.Exception):
            self.need_reports()
            phases.fail_for_traps(item, when, raised)

    def need_reports(self) -> None:
        """Register the hooks for reports: there may be something to add to one."""
        if not self._reports_on:
            self._reports_on = True
            self._register(self._report_hooks, "asyncio_traps_reports")
        if self.lifecycle.pipeline.deferred and self._deferred_hooks is None:
            self._deferred_hooks = DeferredHooks(self.lifecycle)
            self._register(self._deferred_hooks, "asyncio_traps_late")

    def _register(self, plugin: object, name: str) -> None:
        manager = self.lifecycle.config.pluginmanager
        try:
            with self.faults.user_code:
                manager.register(plugin, name)
        except Exception:
            # pluggy calls pytest_plugin_registered of others once the hooks are in place.
            if not manager.is_registered(plugin):
                raise

    def spare_reports(self) -> None:
        """Unregister the hook for reports until it is needed, unless others change reports.

        It is also needed for test cases of unittest, as no other hook sees what these raise.
        """
        hook = self.lifecycle.config.hook.pytest_runtest_makereport  # with those of all folders
        others = [
            impl
            for impl in hook.get_hookimpls()
            if impl.plugin is not self._report_hooks and not is_from_pytest(impl.function)
        ]
        if others or self.lifecycle.owners.is_test_case:
            self.need_reports()
        elif self._reports_on:
            self._reports_on = False
            self.lifecycle.config.pluginmanager.unregister(self._report_hooks)

    # -- the end of the run -----------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config) -> None:
        from .workers import ControllerHooks

        config.pluginmanager.register(ControllerHooks(self.lifecycle), "asyncio_traps_controller")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        self._finish(session)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        # Before others write their reports. A run that was stopped half-way still has fixtures
        # set up, and what these leave is reported as well.
        try:
            with self.faults.guard("the end of the run"):
                end_fixtures(session, self.faults.user_code)
        finally:
            with self.faults.guard("the end of the run"):
                ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
                self._finish(session, interrupted=not ended)
            if self.lifecycle.is_worker:
                from .workers import send_rest

                send_rest(self.lifecycle)
            else:
                with self.faults.guard("JUnit's report"):
                    self.lifecycle.end.add_to_junit()
                self.lifecycle.end.write_reports()

    def _finish(self, session: pytest.Session, interrupted: bool = False) -> None:
        if self.lifecycle.is_worker:
            self.lifecycle.finish_worker()
        else:
            self.lifecycle.finish(session, interrupted)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        self.lifecycle.end.summarize(terminalreporter)


class ReportHooks(Guarded):
    """The hook of a run in which there is something to add to reports."""

    def __init__(self, lifecycle: Lifecycle, hooks: Hooks) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle
        self._hooks = hooks

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        phases = self.lifecycle.phases
        if call.excinfo is not None or phases.result is not None or not report.passed:
            phases.complete(item, call, report)
            self._hooks.need_reports()  # an exception may carry what fails another test
        return report


class DeferredHooks(Guarded):
    """The hook of a run in which a test has failed after its end."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        if self.lifecycle.pipeline.deferred and not self.lifecycle.is_worker:
            self.lifecycle.pipeline.deferred.send(self.lifecycle.config)
