"""The function of pytest-timeout that both of its methods call before they end a test."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final

_MODULE: Final = "pytest_timeout"

#: It prints the stacks of all threads. It is called in the main thread by the method ``signal``,
#: and by ``thread`` in a thread of its own, which then ends the process.
DUMP_STACKS: Final = "dump_stacks"


def timeout_module() -> ModuleType | None:
    """pytest-timeout, if it is loaded and has `DUMP_STACKS`."""
    module = sys.modules.get(_MODULE)
    return module if callable(getattr(module, DUMP_STACKS, None)) else None
