"""The target of the entry point ``asyncio_traps``: imports the plugin through `finder`.

This folder must not have an ``__init__.py``. pytest marks the regular packages of the distribution
for assertion rewriting, but not its namespace packages. In a marked package, pytest would compile
this very module before `finder` is in place.
"""

from __future__ import annotations

from typing import Any

from .finder import finder


def _load() -> Any:
    """The plugin, or a substitute if its import fails: pytest must start in any case."""
    with finder:  # during a run, the plugin itself keeps the finder in place
        try:
            from pytest_asyncio_traps import plugin
        except Exception as exc:
            from .failed import FailedPlugin

            return FailedPlugin(exc)
        return plugin


plugin = _load()
