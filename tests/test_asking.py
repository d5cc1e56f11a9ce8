"""One rule: what belongs to the user is asked through `pytest_asyncio_traps.core.objects`.

A task, a loop or a callback may be of a class of the user's, whose attributes and methods raise,
lie or do something. This reads the source of the plugin and finds code that asks such an object
directly. What it finds wrongly, since the object is the plugin's own, stands in `ALLOWED`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_asyncio_traps"
#: Where objects of the user's are met.
FOLDERS = ("core", "loops", "profiler", "traps")
MODULES = sorted(
    [
        *(path for name in FOLDERS for path in (PACKAGE / name).rglob("*.py")),
        *(
            PACKAGE / "session" / f"{name}.py"
            for name in ("arming", "lifecycle", "owners", "phases", "runners")
        ),
    ]
)

#: Attributes and methods of tasks, futures, handles, loops, transports, coroutines, generators,
#: functions, cells and exceptions that a class of the user's may have made its own.
NAMES = frozenset(
    [
        "get_name",
        "get_coro",
        "get_loop",
        "get_context",
        "get_stack",
        "done",
        "cancelled",
        "cancelling",
        "uncancel",
        "add_done_callback",
        "remove_done_callback",
        "is_closing",
        "get_extra_info",
        "is_closed",
        "is_running",
        "get_exception_handler",
        "sockets",
        "when",
        "cr_await",
        "gi_yieldfrom",
        "gi_code",
        "gi_frame",
        "ag_suspended",
        "__self__",
        "__func__",
        "__code__",
        "__closure__",
        "__cause__",
        "__context__",
        "__traceback__",
        "exceptions",
        "_exception",
        "_coro",
        "_fut_waiter",
        "_callbacks",
        "_children",
        "_protocol",
        "_transport",
        "_server",
        "_sock",
        "_pipe",
        "_ssl_protocol",
        "_app_protocol",
        "_parent_task",
        "_base_error",
        "_client_connected_cb",
    ]
)

#: Built-in functions that run an object's own code, whatever it is.
BUILTINS = frozenset({"getattr", "hasattr", "setattr", "isinstance", "issubclass", "repr", "str"})

#: Of these, the ones that are asked of what is the plugin's, Python's or pytest's own.
OWN = frozenset(
    [
        "asyncio",
        "asyncio.BaseEventLoop",
        "asyncio.Handle",
        "asyncio.Task",
        "asyncio.coroutines",
        "asyncio.tasks",
        "base_events",
        "base_events.BaseEventLoop",
        "events",
        "events.Handle",
        "handles.BASE",
        "sys",
        "os",
        "_thread",
        "threading",
        "warnings",
        "logging.Logger",
        "signal",
        "loop_class",
        "plain_call_soon",
        "importlib.import_module(f'asyncio.{module}')",
        "self",
        "self._visible",
        "self._local",
        "self.__slots__",
        "cls",
        "target",
        "busy",
        "original",
        "wrapper",
        "static",
        "member",
        "finding",
        "finding.owner",
        "finding.notes",
        "callback_",
        "collector",
        "value",
        "text",
        "code",
        "key",
        "trap",
        "session",
    ]
)

#: What is found wrongly, by module, with the reason.
ALLOWED: dict[str, dict[str, str]] = {
    "core/object_tracker.py": {"isinstance(ref, _TrackedRef)": "the plugin's own references"},
    "core/type_filter.py": {
        "getattr(hash_, '__module__', None)": "a metaclass's function, looked at before it is run",
    },
    "core/class_hooks.py": {
        "repr(ask(self.func, '__func__', self.func))": "a plain function",
    },
    "core/faults.py": {
        "isinstance(exc, Exception)": "what was raised in the plugin's code",
        "isinstance(exc, self.passes)": "likewise",
        "getattr(exc, _FROM_USER_CODE, None)": "in a try of its own",
        "setattr(exc, _FROM_USER_CODE, True)": "likewise",
    },
    "core/holders.py": {"obj.__self__": "of a built-in method, which no class can change"},
    "core/interruptions.py": {
        "exc.__traceback__": "the exception that is being caught",
        "getattr(handler, name, None)": "in a try of its own",
        "getattr(type(handler), '__call__', None)": "of its class",
    },
    "core/blocked.py": {"getattr(module, 'Bdb', None)": "a module"},
    "core/paths.py": {"getattr(sys.modules.get(name), '__file__', None)": "a module"},
    "core/refs.py": {"isinstance(ref, IdKeyedRef)": "the plugin's own references"},
    "core/reprs.py": {
        "repr(obj)": "in a try of its own",
        "str(obj)": "in a try of its own",
    },
    "core/trap.py": {
        "f.__code__": "a function of a kind's class",
        "isinstance(f, FunctionType)": "likewise",
    },
    "core/checking.py": {
        "isinstance(note, str)": "a note of a finding, from a kind",
        "isinstance(seconds, (int, float))": "a field of a finding, from a kind",
        "isinstance(seconds, bool)": "likewise",
        "isinstance(exc, str)": "likewise",
        "isinstance(notes, (tuple, list))": "likewise",
        "isinstance(finding.at_location, bool)": "likewise",
        "isinstance(getattr(finding, name), str)": "likewise",
        "isinstance(value.path, str)": "likewise",
        "isinstance(value.function, str)": "likewise",
        "isinstance(value.line, int)": "likewise",
    },
    "core/creation.py": {"isinstance(tenure, Tenure)": "after `ask`"},
    "core/double_completion.py": {
        "isinstance(completion, DoubleCompletion)": "after `ask`",
    },
    "core/events.py": {
        "getattr(own, name)": "a class of the plugin's",
        "getattr(Listener, name)": "likewise",
        "getattr(handler, '__self__', None)": "a method of a kind",
        "getattr(getattr(handler, '__self__', None), 'kind', 'loops')": "likewise",
    },
    "core/mocks.py": {
        "mock.AsyncMockMixin._execute_mock_call.__code__": "a function of Python's",
    },
    "core/ownership.py": {"isinstance(tenure, Tenure)": "after `ask`"},
    "core/threads.py": {
        "get.__code__": "a function of the plugin's",
        "put_.__code__": "likewise",
    },
    "core/origins.py": {"isinstance(depth, int)": "an argument, in the place of Python's check"},
    "core/warning_monitor.py": {
        "sink.__self__": "a method of a built-in class, by its exact type",
        "getattr(type(value), '__module__', None)": "of its class",
    },
    "core/objects.py": {},
    "session/arming.py": {},
    "session/lifecycle.py": {"str(exc)": "a usage error"},
    "session/owners.py": {},
    "session/phases.py": {
        "issubclass(w.category, (RuntimeWarning, ResourceWarning))": "a category, which is a class",
        "call.when": "pytest's",
        "report.when": "pytest's",
        "hasattr(report, 'wasxfail')": "pytest's",
    },
    "session/runners.py": {},
    "loops/debug.py": {"getattr(sys.modules.get(path), '__name__', path)": "a module"},
    "loops/__init__.py": {"str(ask(base, '__module__'))": "after `ask`"},
    "loops/handles.py": {
        "isinstance(instance, original)": "in the place of Python's own question",
        "issubclass(subclass, original)": "likewise",
    },
    "loops/futures.py": {
        "getattr(future, '_asyncio_traps_code', None)": "the plugin's own class",
        "future.cancelled": "the plugin's own class",
    },
    "loops/tasks.py": {
        "getattr(parent, '_asyncio_traps_code', None)": "in the try of `create_task`",
        "getattr(parent, '_asyncio_traps_made', None)": "likewise",
        "getattr(parent, '_asyncio_traps_outer', ())": "likewise",
    },
    "loops/stdlib/steps.py": {"run.__code__": "a function of the plugin's"},
    "loops/uvloop/callbacks.py": {
        "getattr(self.args[-1], name)": "it passes for the callback, in every respect",
        "repr(self.args[-1])": "likewise",
        "str(self.args[-1])": "likewise",
        "step.__code__": "a function of the plugin's",
    },
    "loops/uvloop/endpoints.py": {"isinstance(made, tuple)": "what uvloop returns"},
    "traps/blocking_call.py": {
        "isinstance(host, (str, bytes))": "an argument, before the call that takes it",
        "isinstance(host, bytes)": "likewise",
        "str(frame.f_globals.get('__name__', ''))": "a module's name",
    },
    "traps/invalid_state.py": {"completion.cancelled": "the plugin's own"},
    "traps/unclosed_loop.py": {"getattr(loop, private.LOOP_CLOSED)": "in a try of its own"},
    "traps/unclosed_transport.py": {"watch.is_running": "the plugin's own"},
    "traps/never_awaited.py": {
        "watch.is_running": "the plugin's own",
    },
    "core/unawaited_warning.py": {
        "hook.__code__": "Python's own function, as `is_pythons` has found",
        "hook.__closure__": "likewise",
    },
    "traps/unclosed_asyncgen.py": {"isinstance(begun, _Begun)": "the plugin's own references"},
    "traps/wrong_thread.py": {
        "repr(str(thread_id))": "a number",
        "str(thread_id)": "a number",
        "repr(shorten(text_of(ask(thread, 'name', '')) or '', 200))": "plain text",
    },
    "traps/callback_exception.py": {"str(ask(function, '__module__'))": "after `ask`"},
    "traps/unretrieved_exception.py": {
        "getattr(next((vars(cls)[_FLAG] for cls in asyncio.Future.__mro__ if _FLAG in vars(cls)),"
        " None), '__get__', None)": "a class of asyncio's",
        "asyncio.Future.done": "a method of asyncio's own class",
    },
}


def asked(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the text of each question that is put to an object directly."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if node.attr in NAMES and ast.unparse(node.value) not in OWN:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = ast.unparse(node.args[0]) if node.args else ""
            if node.func.id in BUILTINS and first not in OWN:
                yield node.lineno, ast.unparse(node)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module(path: Path) -> None:
    """It puts no question to an object of the user's but through `objects`."""
    if name_of(path) == "core/objects.py":
        pytest.skip("here the questions are put")
    allowed = ALLOWED.get(name_of(path), {})
    tree = ast.parse(path.read_text(encoding="utf-8"))

    wrong = [f"{name_of(path)}:{line}: {text}" for line, text in asked(tree) if text not in allowed]

    assert wrong == [], "ask through pytest_asyncio_traps.core.objects, or allow it with a reason"


def test_nothing_is_allowed_in_vain() -> None:
    for name, allowed in ALLOWED.items():
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        assert set(allowed) <= {text for _, text in asked(tree)}, name


@pytest.mark.parametrize(
    "code",
    ["task.get_name()", "loop.is_closed()", "getattr(obj, 'x', None)", "isinstance(task, Task)"],
)
def test_the_check_finds_it(code: str) -> None:
    """It is one that can fail."""
    assert [*asked(ast.parse(code))]
