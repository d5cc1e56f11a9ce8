"""Private names of CPython and asyncio are written in `compat` only, and in `loops`.

`loops` replaces asyncio's own methods, and reads private attributes at every operation: see the
section on the boundary in ARCHITECTURE.rst.
"""

from __future__ import annotations

import ast
import asyncio
import concurrent.futures.thread
import importlib
import pkgutil
import queue
import re
import threading
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_asyncio_traps.compat.assumptions import ASSUMPTIONS, Assumption

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_asyncio_traps"

#: Private in name only: documented, or an idiom of named tuples.
DOCUMENTED = {
    "_asdict",
    "_current_frames",
    "_fields",
    "_get_running_loop",
    "_getframe",
    "_getframemodulename",
    "_make",
    "_replace",
    "_set_running_loop",
    # Of `threading.Thread` and `queue.Queue`, but here attributes of the plugin's own objects.
    "_main_thread",
    "_owner",
}


def _private(name: str) -> bool:
    return re.fullmatch(r"_[a-z]\w*", name) is not None


def _names_of_python() -> set[str]:
    """Private names that asyncio, threading, queue, warnings and executors define or use."""
    modules = [threading, queue, warnings, concurrent.futures.thread]
    for info in pkgutil.iter_modules(asyncio.__path__):
        if info.name != "__main__" and not info.name.startswith("windows"):
            modules.append(importlib.import_module(f"asyncio.{info.name}"))
    found: set[str] = set()
    for module in modules:
        for name, value in vars(module).items():
            found.add(name)
            if isinstance(value, type):
                found.update(dir(value))
                for function in vars(value).values():
                    if isinstance(function, types.FunctionType):
                        found.update(function.__code__.co_names)
    return {name for name in found if _private(name)} - DOCUMENTED


FOREIGN = _names_of_python()


def names_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Private names of Python that ``tree`` reads or writes out, unless it defines them itself."""
    own: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                own.add(node.attr)
        elif isinstance(node, (ast.Name, ast.arg)):
            own.add(node.id if isinstance(node, ast.Name) else node.arg)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            line, name = node.lineno, node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            line, name = node.lineno, node.value
        elif isinstance(node, ast.alias):
            line, name = node.lineno, node.name
        else:
            continue
        if name in FOREIGN and name not in own:
            yield line, name


MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in ("compat", "loops")
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_names_no_private_part_of_python(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert list(names_in(tree)) == [], "take it from pytest_asyncio_traps.compat"


@pytest.mark.parametrize(
    "code", ["task._fut_waiter", "ask(task, '_fut_waiter')", "from threading import _active"]
)
def test_the_check_can_fail(code: str) -> None:
    assert list(names_in(ast.parse(code)))


def test_the_table_of_the_architecture_page_is_complete() -> None:
    """One row per assumption, in their order, with what depends on it and what is lost."""
    text = (ROOT / "ARCHITECTURE.rst").read_text(encoding="utf-8")
    rows = re.findall(r"   \* - (.*)\n     - (.*)\n     - (.*)\n", text)

    assert rows[0] == ("Assumption", "Used by", "Lost without it")
    assert rows[1:] == [(a.name, a.users, a.lost or "(a slower way)") for a in ASSUMPTIONS]


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda a: str(a.name))
def test_the_modules_that_depend_on_it_exist(assumption: Assumption) -> None:
    for user in assumption.users.split(", "):
        path = PACKAGE.joinpath(*user.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), user
