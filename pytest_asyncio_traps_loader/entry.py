"""What the entry point ``asyncio_traps`` names: the plugin, imported by way of the finder.

This folder has no ``__init__.py``. pytest marks the packages of the distribution for assertion
rewriting, but not its namespace packages; a module of a marked package would be compiled by pytest
before it could do anything about that.
"""

from __future__ import annotations

from .finder import finder

finder.install()

from pytest_asyncio_traps import plugin  # noqa: E402 - only now is it found by the finder

__all__ = ["plugin"]
