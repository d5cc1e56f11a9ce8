"""Which modules read that a watched loop is in debug mode."""

from __future__ import annotations

from pathlib import Path

import pytest_asyncio_traps.loops
from pytest_asyncio_traps.loops.debug import QUIET

PACKAGE = pytest_asyncio_traps.loops.__name__
FOLDER = Path(pytest_asyncio_traps.loops.__file__).parent


def test_all_modules_with_hooks_are_quiet() -> None:
    """A module that replaces methods of asyncio acts on its behalf, and reads False."""
    parts = [path.relative_to(FOLDER).with_suffix("").parts for path in FOLDER.rglob("*.py")]
    modules = {".".join(part for part in (PACKAGE, *p) if part != "__init__") for p in parts}

    assert {name for name in QUIET if name.startswith(PACKAGE)} == modules - {PACKAGE}
