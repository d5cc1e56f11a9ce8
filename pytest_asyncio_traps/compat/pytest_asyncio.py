"""pytest-asyncio: the fixtures that make its loops, and suites that have never used it.

When pytest is configured, pytest-asyncio warns if ``asyncio_default_fixture_loop_scope`` is unset.
Since pytest 9.2 the user's warning filters already apply then (and Python's own always did), so in
a suite with ``filterwarnings = error`` the warning ends the run before any test. Such a suite has
pytest-asyncio only because this plugin depends on it, so here that one warning is shown instead of
raised.
"""

from __future__ import annotations

import re
import sys
import warnings
from types import FunctionType
from typing import Any, cast

import pytest

_PLUGIN = "pytest_asyncio.plugin"
#: How the names of its fixtures end that make its loops, one fixture for each scope.
_MAKE_LOOPS = ("_scoped_runner", "_event_loop")
#: The name of pytest-asyncio's text, and the first line of the text for versions without the name.
_TEXT_NAME = "_DEFAULT_FIXTURE_LOOP_SCOPE_UNSET"
_TEXT = 'The configuration option "asyncio_default_fixture_loop_scope" is unset.\n'


def makes_loops(fixture: str) -> bool:
    """Whether ``fixture`` is the name of one of pytest-asyncio's own that make its loops.

    Where a later pytest-asyncio renames them, a report names the fixture instead of its scope.
    """
    return fixture.startswith("_") and fixture.endswith(_MAKE_LOOPS)


class UnsetScopeWarning:
    """The warning of one run, from before pytest-asyncio is configured until after that."""

    def __init__(self) -> None:
        self._inserted: object = None

    def demote(self, config: pytest.Config) -> None:
        """Have the warning shown where the filters in force would raise it."""
        plugin: Any = sys.modules.get(_PLUGIN)
        configure = getattr(plugin, "pytest_configure", None)
        if not isinstance(configure, FunctionType) or not config.pluginmanager.is_registered(
            plugin
        ):
            return
        if config.getini("asyncio_default_fixture_loop_scope"):
            return
        text = getattr(plugin, _TEXT_NAME, _TEXT)
        if not _is_raised(text, configure):
            return
        warnings.filterwarnings(
            "always",
            message=re.escape(text),
            category=pytest.PytestDeprecationWarning,
            module=re.escape(_PLUGIN) + "$",
        )
        self._inserted = _filters()[0]
        config.add_cleanup(self.restore)

    def restore(self) -> None:
        """Remove the filter that `demote` has added."""
        if self._inserted is not None:
            # By identity, and not by warnings.resetwarnings() or catch_warnings(): filters that
            # other plugins have added since then stay.
            filters = _filters()
            filters[:] = [item for item in filters if item is not self._inserted]
            self._inserted = None


def _filters() -> list[Any]:
    """The filters in force, which with context-aware warnings are those of the context."""
    of_context: Any = getattr(warnings, "_get_filters", None)  # from Python 3.14 on
    filters: Any = of_context() if of_context is not None else warnings.filters
    return cast("list[Any]", filters)


def _is_raised(text: str, configure: FunctionType) -> bool:
    """Whether the filters in force raise pytest-asyncio's warning of ``text``."""
    category = pytest.PytestDeprecationWarning
    shown_before = (text, category) in getattr(warnings, "onceregistry", {})
    try:
        with warnings.catch_warnings(record=True):
            warnings.warn_explicit(
                text,
                category,
                configure.__code__.co_filename,
                configure.__code__.co_firstlineno,
                module=_PLUGIN,
                registry={},
            )
    except category:
        return True
    finally:
        if not shown_before:  # an action "once" has noted the warning as shown
            getattr(warnings, "onceregistry", {}).pop((text, category), None)
    return False
