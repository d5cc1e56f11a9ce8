"""Puts a call into functions of the plugin, whichever they are.

A point is a function, method, lambda or nested function of the package. All of them are found
in the source, so that what is added later is there by itself. The call goes to one built-in
name: in a survey it notes that the point was reached, and from where, else it raises.

It stands where the function begins. A function that stands in the place of one of asyncio's or
Python's is called by whoever wants that one, and has nobody before it to catch what it raises;
so there the call stands at the beginning of each of its guarded blocks.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

PACKAGE = Path(__file__).parents[2] / "pytest_asyncio_traps"
NAME = "pytest_asyncio_traps"

#: The built-in name that is called with the point's own.
REACHED = "__asyncio_traps_point__"

#: What catches and tells the faults of all others. Where it fails, nobody is left to do so.
GUARDS = (
    "core.faults:",
    "session.guards:",
    "session.fault_reports:",
    "compat.xdist:output_of",
    "core.events:_make_notify",
    "core.events:part_of",
)

#: Functions of `compat` that are not only called by probes.
_NO_PROBES = {
    "compat.asyncio:serving_loops",
    "compat.asyncio:awaiters_of",
    "compat.cpython:find_interpreters",
    "compat.cpython:executor_job_class",
}


def is_probe(point: str) -> bool:
    """Whether ``point`` is of a probe: a fault there is a blind spot, and not reported."""
    return point.startswith(("compat.asyncio:", "compat.cpython:")) and point not in _NO_PROBES


#: What C code calls, of Python or of uvloop: to look at, it is called by whoever calls that.
CALLED_BY_C = {
    "loops.handles:AtHandle.__lt__",
    "loops.uvloop.callbacks:make_step.step",
    *(f"loops.uvloop.callbacks:Step.__{name}__" for name in ("getattr", "repr", "str", "format")),
    *(f"core.destructors:WarningProbe.{name}" for name in ("match", "came_from", "passed")),
}

#: By qualified name, what passes for a function of asyncio's: see `_pass_for` in loops/stdlib/steps.py.
_DISGUISED = {"_make_run.<locals>._run": "loops.stdlib.steps:_make_run._run"}

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class InjectedError(Exception):
    """What a point raises."""


@cache
def modules() -> dict[str, Path]:
    """The modules of the package, by their short names: ``core.watch``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


@cache
def points_of(module: str) -> dict[str, int]:
    """The points of a module, as ``core.watch:Watch.report``, and the line that each begins in.

    One more of the same name has a number.
    """
    return {name: _first_line(node) for name, node in _walk(module, _parse(module))}


def all_points() -> list[str]:
    """Every point there is, in the order of the source."""
    return [point for module in modules() for point in points_of(module)]


def module_of(point: str) -> str:
    return point.partition(":")[0]


@cache
def _by_line() -> dict[tuple[str, int, str], str]:
    found: dict[tuple[str, int, str], str] = {}
    for module, path in modules().items():
        for point, line in points_of(module).items():
            name = point.rpartition(":")[2].rpartition(".")[2].partition("#")[0]
            found.setdefault((str(path), line, name), point)
    return found


def point_of(code: CodeType) -> str | None:
    """The point that ``code`` belongs to, if it is the package's."""
    point = _by_line().get((code.co_filename, code.co_firstlineno, code.co_name))
    return point or _DISGUISED.get(code.co_qualname)


def inject(
    points: Collection[str], call: Callable[[str], None], in_blocks: Collection[str] = ()
) -> None:
    """Have each of ``points`` call ``call`` with its name: at its beginning, or ``in_blocks``."""
    setattr(builtins, REACHED, call)
    wanted = {module_of(point) for point in points}
    new: dict[tuple[str, str, int], CodeType] = {}
    for module in wanted:
        try:
            importlib.import_module(f"{NAME}.{module}" if module else NAME)
        except ImportError:
            continue  # what it needs is an extra, and is not installed: nothing reaches it
        tree = _parse(module)
        for point, node in list(_walk(module, tree)):
            if point in points:
                _insert(node, point, point in in_blocks)
        ast.fix_missing_locations(tree)
        path = str(modules()[module])
        for code in _codes(compile(tree, path, "exec", dont_inherit=True)):
            new[path, code.co_qualname, code.co_firstlineno] = code
    for function in [obj for obj in gc.get_objects() if type(obj) is FunctionType]:
        code = function.__code__
        function.__code__ = new.get((code.co_filename, code.co_qualname, code.co_firstlineno), code)


def has_blocks(point: str) -> bool:
    """Whether ``point`` has a guarded block of its own."""
    tree = _parse(module_of(point))
    return any(_blocks(node) for name, node in _walk(module_of(point), tree) if name == point)


def _parse(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def _first_line(node: _Function) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _walk(module: str, tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    seen: Counter[str] = Counter()

    def walk(node: ast.AST, within: str) -> Iterator[tuple[str, _Function]]:
        for child in ast.iter_child_nodes(node):
            name = within
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                own = "<lambda>" if isinstance(child, ast.Lambda) else child.name
                name = f"{within}.{own}" if within else own
            if isinstance(child, _FUNCTIONS):
                seen[name] += 1
                if seen[name] > 1:
                    name += f"#{seen[name]}"
                yield f"{module}:{name}", child
            yield from walk(child, name)

    yield from walk(tree, "")


def _blocks(node: _Function) -> list[list[ast.stmt]]:
    """The guarded blocks of a function, without those of functions within it."""
    found: list[list[ast.stmt]] = []

    def walk(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.With) and any("guard" in ast.unparse(i) for i in child.items):
                found.append(child.body)
            if isinstance(child, ast.Try) and any(
                isinstance(statement, ast.Expr)
                and any(name in ast.unparse(statement) for name in ("record(", "note("))
                for handler in child.handlers
                for statement in handler.body
            ):
                found.append(child.body)
            if not isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                walk(child)

    walk(node)
    return found


def _insert(node: _Function, point: str, in_blocks: bool) -> None:
    if isinstance(node, ast.Lambda):
        call = ast.copy_location(_call(point), node.body)
        node.body = ast.copy_location(ast.BoolOp(ast.Or(), [call, node.body]), call)
        return
    for block in _blocks(node) if in_blocks else [node.body]:
        block.insert(0, ast.copy_location(ast.Expr(_call(point)), block[0]))


def _call(point: str) -> ast.Call:
    return ast.Call(ast.Name(REACHED, ast.Load()), [ast.Constant(point)], [])


def _codes(code: CodeType) -> Iterator[CodeType]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from _codes(const)
