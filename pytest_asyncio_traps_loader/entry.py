"""What the entry point ``asyncio_traps`` names: the plugin, imported by way of the finder.

This folder has no ``__init__.py``. pytest marks the packages of the distribution for assertion
rewriting, but not its namespace packages; a module of a marked package would be compiled by pytest
before it could do anything about that.
"""

from __future__ import annotations

from typing import Any

from .finder import finder


def _load() -> Any:
    """The plugin, or what stands in for it: its import must not keep pytest from starting."""
    with finder:  # from there on it is the plugin's, for as long as a run lasts
        try:
            from pytest_asyncio_traps import plugin
        except Exception as exc:
            from .failed import FailedPlugin

            return FailedPlugin(exc)
        return plugin


plugin = _load()
