"""A pytest plugin that counts, for each function that we replace, the tests that enter it.

It uses `sys.monitoring`, which adds no frame between a function and its caller.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from pytest_asyncio_traps.core.patches import Patches

PACKAGE = str(Path(sys.modules[Patches.__module__].__file__ or "").parent.parent)


class Hooks:
    """Records which test enters which hook. A hook is a replacement that `Patches` installs."""

    def __init__(self) -> None:
        # A code object may be installed under several names. It is listed under the first one.
        self._names: dict[CodeType, str] = {}
        self._places: defaultdict[str, set[str]] = defaultdict(set)
        self._touched: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._module = "(outside of tests)"
        # Python 3.12 and later; `vars`, because type checkers target Python 3.11.
        monitoring = self._monitoring = vars(sys)["monitoring"]
        self._tool = next(n for n in range(6) if monitoring.get_tool(n) is None)
        monitoring.use_tool_id(self._tool, "conformance")
        monitoring.register_callback(
            self._tool, monitoring.events.PY_START, self._entered
        )  # fmt: skip

    def _entered(self, code: CodeType, offset: int) -> Any:
        self._touched[self._names[code]][self._module] += 1
        return self._monitoring.DISABLE  # one event for each test is enough

    def add(self, name: str, hook: object) -> None:
        """Monitor ``hook``, which is installed as ``name``."""
        for part, code in _codes(name, hook, set()):
            first = self._names.setdefault(code, part)
            self._places[first].add(part)
            _ = self._touched[first]
            self._monitoring.set_local_events(
                self._tool, code, self._monitoring.events.PY_START
            )  # fmt: skip

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._module = nodeid.partition("::")[0].rpartition("/")[2]
        self._monitoring.restart_events()
        for callback in gc.callbacks:
            self.add("gc.callbacks", callback)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._monitoring.free_tool_id(self._tool)
        with open(os.environ["CONFORMANCE_HOOKS"], "w", encoding="utf-8") as file:
            json.dump({self._title(name): tests for name, tests in self._touched.items()}, file)

    def _title(self, name: str) -> str:
        more = len(self._places[name]) - 1
        return f"{name} and {more} more" if more else name


def _codes(name: str, hook: object, seen: set[int]) -> Iterator[tuple[str, CodeType]]:
    """The code objects of the plugin in ``hook``: a function, or a class with its methods."""
    if id(hook) in seen:
        return
    seen.add(id(hook))
    if isinstance(hook, type):
        for attribute, value in vars(hook).items():
            if isinstance(value, FunctionType) and _is_ours(value.__code__):
                yield f"{hook.__name__}.{attribute} (asyncio_traps)", value.__code__
        return
    function = getattr(hook, "__func__", hook)
    if not isinstance(function, FunctionType) or not _is_ours(function.__code__):
        return
    yield name, function.__code__
    for cell in function.__closure__ or ():
        try:
            inner = cell.cell_contents
        except ValueError:
            continue
        # A class whose instances the hook returns, such as that of loop.create_future().
        if isinstance(inner, type):
            yield from _codes(name, inner, seen)


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(PACKAGE)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(HOOKS, "conformance-hooks")


def _watch_patches() -> Hooks:
    hooks = Hooks()
    original = Patches.set

    @functools.wraps(original)
    def set_(self: Patches, target: Any, name: str, value: object) -> None:
        original(self, target, name, value)
        of = getattr(target, "__qualname__", getattr(target, "__name__", type(target).__name__))
        module = getattr(target, "__module__", None)
        hooks.add(f"{module}.{of}.{name}" if module else f"{of}.{name}", value)

    Patches.set = set_  # type: ignore[method-assign]
    return hooks


HOOKS = _watch_patches()
