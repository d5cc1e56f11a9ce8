"""Imports the plugin from the bytecode that pip compiled.

pytest rewrites the assertions of every package whose distribution has a ``pytest11`` entry point:
it parses and compiles each module. If it cannot write the result to disk
(``PYTHONDONTWRITEBYTECODE``, a read-only site-packages), it does so at every start and in every
worker of pytest-xdist. The plugin has no assertions worth rewriting. So this finder precedes
pytest's on `sys.meta_path`, and has Python's default machinery import the plugin's modules.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

PACKAGE = "pytest_asyncio_traps"


class Finder:
    """Finds the modules of the plugin. Active while a run uses it; see `enter`."""

    def __init__(self) -> None:
        self._runs = 0

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of the plugin; None for other modules, so that other finders try."""
        if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
            return None
        return PathFinder.find_spec(name, path, target)

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def enter(self) -> None:
        """Activate the finder. Calls are counted, since runs may be nested."""
        self._runs += 1
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def leave(self) -> None:
        """Undo one call of `enter`. The last call deactivates the finder."""
        self._runs -= 1
        if self._runs <= 0 and self in sys.meta_path:
            sys.meta_path.remove(self)


finder = Finder()
