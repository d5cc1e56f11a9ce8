"""The entry point of the plugin: pytest's hooks up to the moment when the run is configured.

`pytest_asyncio_traps.session.hooks` has the hooks of the run itself.

PYTEST_DONT_REWRITE: see `pytest_asyncio_traps_loader.finder`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from pytest_asyncio_traps_loader.finder import finder

from . import hookspecs, options
from .compat.pytest_asyncio import UnsetScopeWarning
from .fixtures import asyncio_traps, debug_loop
from .model.text import as_writable
from .policy.kinds import kinds_of
from .policy.markers import LINES
from .policy.rules import BadRuleError
from .session.fault_reports import early_faults, fault_reporter_of, faults_of
from .session.guards import guarded
from .session.hooks import Hooks
from .session.lifecycle import Lifecycle, lifecycle_key

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
    """Run ``--asyncio-traps-explain``, if it is given, in the place of the tests."""
    kind = config.getoption("--asyncio-traps-explain")
    if kind is None:
        return None
    from .reports import explain  # not needed in most runs

    kinds = kinds_of(config)
    kinds.collect(config)
    kinds.check()
    try:
        text = explain.explain(kind, kinds.traps) if kind else explain.overview(kinds.traps)
        sys.stdout.write(f"{as_writable(text, sys.stdout)}\n")
    except BadRuleError as exc:
        raise pytest.UsageError(f"asyncio-traps: {exc}{kinds.hint()}") from None
    except Exception as exc:
        # Returning None would run the tests, which the user has not asked for.
        faults_of(config).record("pytest_cmdline_main", exc)
        return int(pytest.ExitCode.INTERNAL_ERROR)
    return 0


@_guarded
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Arm before the first conftest.py imports the code under test, which may copy functions."""
    _keep_finder(early_config)
    kinds_of(early_config).collect(early_config)
    try:
        # A conftest.py may still add kinds, so any may be named.
        settings = options.read_settings(early_config, early_config.known_args_namespace, None)
    except pytest.UsageError:
        return  # pytest_configure reads them again, and raises when pytest can show the error
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
    kinds.collect(config)
    kinds.check()
    try:
        settings = options.read_settings(config, config.option, kinds.names)
    except pytest.UsageError as exc:
        raise pytest.UsageError(f"{exc}{kinds.hint()}") from None
    lifecycle = config.stash.get(lifecycle_key, None)
    if lifecycle is None and faults_of(config).is_all_off():
        return  # what has failed before is not tried again
    if lifecycle is None or lifecycle.settings != settings:
        # A conftest.py has loaded the plugin, or has changed the options.
        if lifecycle is not None:
            lifecycle.arming.stop()
        lifecycle = _begin(config, settings)
    lifecycle.arming.arm_third_party()
    _register_hooks(config, lifecycle)


def _register_hooks(config: pytest.Config, lifecycle: Lifecycle) -> None:
    """Register the hooks that this run needs, as each hook costs something at every test."""
    register = config.pluginmanager.register
    hooks = Hooks(lifecycle)
    register(hooks, "asyncio_traps_hooks")
    hooks.need_reports()
    baseline = lifecycle.pipeline.baseline
    if lifecycle.settings.strict or baseline is not None:
        from .session.optional_hooks import BaselineHooks, StrictHooks

        if lifecycle.settings.strict:
            register(StrictHooks(lifecycle), "asyncio_traps_strict")
        if baseline is not None and baseline.follows:
            register(BaselineHooks(lifecycle, baseline), "asyncio_traps_baseline")
    lifecycle.hangs.arm()
    if lifecycle.is_worker:
        from .session.workers import WorkerHooks

        register(WorkerHooks(lifecycle), "asyncio_traps_worker")


_finder_key: pytest.StashKey[bool] = pytest.StashKey()


def _keep_finder(config: pytest.Config) -> None:
    """Keep the finder until the run of ``config`` ends, since some modules are imported late."""
    if _finder_key not in config.stash:
        config.stash[_finder_key] = True
        finder.enter()
        config.add_cleanup(finder.leave)


def _begin(config: pytest.Config, settings: options.Settings) -> Lifecycle:
    lifecycle = Lifecycle(config, settings, faults_of(config), kinds_of(config))
    lifecycle.arming.start()
    config.stash[lifecycle_key] = lifecycle
    config.add_cleanup(lifecycle.arming.stop)
    reporter = fault_reporter_of(config)
    reporter.third_party = lifecycle.kinds.faults
    # A worker of pytest-xdist disarms before it sends its faults, since that may fail as well.
    reporter.before_sending[:] = [lifecycle.arming.stop]
    return lifecycle
