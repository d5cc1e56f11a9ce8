"""Private parts and wording of asyncio: each stated once, with a probe.

Names that are read with `ask()` are constants here. `loops` replaces asyncio's own methods and has
to imitate them to the attribute. There, attributes are written out, since an indirection would cost
time at every operation; `HANDLES`, `LOOPS` and `SCHEDULING` cover them.

This file is longer than others because it is a table: one entry per private part.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from asyncio import (
    base_events,
    coroutines,
    events,
    format_helpers,
    futures,
    mixins,
    runners,
    selector_events,
    sslproto,
    streams,
    tasks,
)
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any, Final

from .assumptions import Assumption

# Their private names are unknown to type checkers.
_base_events: Any = base_events
_mixins: Any = mixins
_tasks: Any = tasks
_selector_events: Any = selector_events


def _code(function: object) -> CodeType | None:
    code = getattr(function, "__code__", None)
    return code if type(code) is CodeType else None


def _names(function: object) -> tuple[str, ...]:
    """The global names and attributes that ``function`` uses, in the order of their first use."""
    code = _code(function)
    return code.co_names if code is not None else ()


def _all_names(function: object) -> set[str]:
    """The same, including functions that are defined in it."""
    names: set[str] = set()
    waiting: list[object] = [_code(function)]
    while waiting:
        code = waiting.pop()
        if type(code) is CodeType:
            names.update(code.co_names)
            waiting += code.co_consts
    return names


# -- handles: the objects that loops keep for callbacks ------------------------------------------

_HANDLE_SLOTS: Final = {
    "_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "__weakref__",
    "_context",
}  # fmt: skip
_TIMER_SLOTS: Final = {"_scheduled", "_when"}
_HANDLE_INIT: Final = (
    "contextvars", "copy_context", "_context", "_loop", "_callback", "_args", "_cancelled",
    "_repr", "get_debug", "format_helpers", "extract_stack", "sys", "_getframe",
    "_source_traceback",
)  # fmt: skip
#: What `asyncio.Handle._run` uses.
HANDLE_RUN: Final = (
    "_context", "run", "_callback", "_args", "SystemExit", "KeyboardInterrupt", "BaseException",
    "format_helpers", "_format_callback_source",
    *(("_source_traceback", "_loop") if sys.version_info < (3, 13) else
      ("_loop", "get_debug", "_source_traceback")),
    "call_exception_handler",
)  # fmt: skip


def _has_known_handles() -> bool:
    return (
        set(events.Handle.__slots__) == _HANDLE_SLOTS
        and set(events.TimerHandle.__slots__) == _TIMER_SLOTS
        and _names(events.Handle.__init__) == _HANDLE_INIT
    )


#: The slots of handles and what their constructors do. `loops.handles` fills handles in without
#: calling a constructor.
HANDLES: Final = Assumption(
    "slots and constructors of handles",
    "loops.handles, loops.stdlib, core.creation, traps.lingering_timer",
    "the lines that scheduled callbacks",
    "this Python makes its handles in another way",
    _has_known_handles,
)

#: Attributes of handles.
HANDLE_CALLBACK: Final = "_callback"
HANDLE_ARGS: Final = "_args"
HANDLE_CONTEXT: Final = "_context"

#: asyncio's own class, which the plugin replaces: the base of all timers.
TIMER_BASE: Final = events.TimerHandle

#: The function that runs a step of a loop.
STEP: Final = "_run"

#: A step of a loop is a Python function, which can be replaced by one that takes the time.
STEPS: Final = Assumption(
    "Handle._run is written in Python",
    "loops.stdlib, core.stacks",
    "slow-callback: the steps of loops",
    "this Python runs its handles in C",
    lambda: _code(getattr(events.Handle, STEP)) is not None,
)

#: The step is replaced by a copy of what Python does. Any other step is called from a wrapper.
KNOWN_STEP: Final = Assumption(
    "what Handle._run does",
    "loops.handles, loops.stdlib.steps",
    "",
    "this Python runs its handles in another way",
    lambda: (
        _names(getattr(events.Handle, STEP)) == HANDLE_RUN
        and callable(format_helpers._format_callback_source)
    ),
)

# -- loops ---------------------------------------------------------------------------------------

_CALL_SOON: Final = ("events", "Handle", "_source_traceback", "_ready", "append")
_CALL_AT: Final = (
    "TypeError", "_check_closed", "_debug", "_check_thread", "_check_callback", "events",
    "TimerHandle", "_source_traceback", "heapq", "heappush", "_scheduled",
)  # fmt: skip
#: Attributes of loops that the replacements of their methods read and write.
_LOOP_FIELDS: Final = {"_closed", "_debug", "_ready", "_scheduled", "_thread_id"}


def _has_loop_fields() -> bool:
    return {*_LOOP_FIELDS, "set_debug"} <= _all_names(base_events.BaseEventLoop.__init__) | {
        "_debug"
    } and "_debug" in _names(base_events.BaseEventLoop.get_debug)


#: Whether a loop is closed, the thread that runs it, and its timers.
LOOP_CLOSED: Final = "_closed"
LOOP_THREAD: Final = "_thread_id"
LOOP_TIMERS: Final = "_scheduled"
#: The callbacks that a loop runs next, its selector, and the socket that wakes it up.
LOOP_READY: Final = "_ready"
LOOP_SELECTOR: Final = "_selector"
LOOP_WAKE_UP: Final = "_ssock"
#: The attribute of an event loop policy that creates a loop.
POLICY_FACTORY: Final = "_loop_factory"
#: The module of asyncio's classes in C.
C_MODULE: Final = "_asyncio"
#: The attribute by which a function counts as a coroutine function, up to Python 3.11.
IS_COROUTINE: Final = "_is_coroutine"

#: asyncio's loops have the attributes that the replacements of their methods use.
LOOPS: Final = Assumption(
    "attributes of asyncio's loops",
    "loops.stdlib, loops.futures, traps.wrong_thread, traps.unclosed_loop",
    "asyncio's loops: the lines that scheduled callbacks, futures and threads",
    "this Python's loops keep their state in another way",
    _has_loop_fields,
)

SELECTOR: Final = Assumption(
    "selector of asyncio's loops",
    "core.loop_state",
    "task trees: the descriptors that a loop waits on",
    "this Python's loops wait for descriptors in another way",
    lambda: (
        LOOP_SELECTOR in _names(selector_events.BaseSelectorEventLoop.__init__)
        and LOOP_WAKE_UP in _names(_selector_events.BaseSelectorEventLoop._make_self_pipe)
    ),
)

#: ``call_soon`` and ``call_at`` append handles to these queues. Otherwise the original methods
#: create the handles, which takes longer.
SCHEDULING: Final = Assumption(
    "what call_soon() and call_at() do",
    "loops.handles, loops.stdlib.scheduling",
    "",
    "this Python schedules callbacks in another way",
    lambda: (
        _names(_base_events.BaseEventLoop._call_soon) == _CALL_SOON
        and _names(base_events.BaseEventLoop.call_at) == _CALL_AT
    ),
)

#: The signals that a loop handles.
LOOP_SIGNALS: Final = "_signal_handlers"
#: Whether a handle was cancelled.
HANDLE_CANCELLED: Final = "_cancelled"
#: The local variable of ``run_until_complete()`` that holds what it waits for.
RUN_FUTURE: Final = "future"


def _shows_what_wakes_it() -> bool:
    loop: Any = asyncio.SelectorEventLoop
    waits: Any = selectors.DefaultSelector.select
    return (
        {LOOP_SELECTOR, "select", LOOP_READY, LOOP_TIMERS, HANDLE_CANCELLED}
        <= set(_names(_base_events.BaseEventLoop._run_once))
        and LOOP_WAKE_UP in _names(loop._make_self_pipe)
        and LOOP_SIGNALS in _names(loop.add_signal_handler)
        and RUN_FUTURE in _base_events.BaseEventLoop.run_until_complete.__code__.co_varnames
        and _code(waits) is not None
    )


#: What can wake a loop stands in these attributes, and a loop that waits is in this function.
WAKERS: Final = Assumption(
    "what wakes a loop",
    "profiler.observation, traps.deadlock",
    "deadlock",
    "this Python's loops wait in another way",
    _shows_what_wakes_it,
)

#: The method in which a loop runs its steps: it tells an exception of a step from a refusal to run.
RUN_ONCE: Final = "_run_once"

LOOP_RUNS: Final = Assumption(
    f"BaseEventLoop.{RUN_ONCE}",
    "loops.stdlib.lifecycle, core.stacks",
    "whether an exception from outside ended the run of a loop",
    f"this Python's loops have no {RUN_ONCE}",
    lambda: (
        RUN_ONCE in _names(base_events.BaseEventLoop.run_forever)
        or RUN_ONCE in _all_names(getattr(base_events.BaseEventLoop, "_run_forever_setup", None))
        or hasattr(base_events.BaseEventLoop, RUN_ONCE)
    ),
)

#: The switch of asyncio's debug mode that the constructor of a loop reads.
DEBUG_SWITCH: Final = "_is_debug_mode"

DEBUG_MODE: Final = Assumption(
    f"asyncio.coroutines.{DEBUG_SWITCH}",
    "loops.stdlib.debug_mode",
    "",
    f"this Python has no {DEBUG_SWITCH}",
    lambda: callable(getattr(coroutines, DEBUG_SWITCH)),
)

#: The methods of a loop that the interpreter calls for async generators.
ASYNCGEN_BEGINS: Final = "_asyncgen_firstiter_hook"
ASYNCGEN_DROPPED: Final = "_asyncgen_finalizer_hook"

ASYNCGEN_HOOKS: Final = Assumption(
    "hooks for async generators",
    "loops.generators, traps.unclosed_asyncgen",
    "unclosed-asyncgen",
    "this Python's loops follow their async generators in another way",
    lambda: all(
        callable(getattr(base_events.BaseEventLoop, name))
        for name in (ASYNCGEN_BEGINS, ASYNCGEN_DROPPED)
    ),
)

#: The private check of a loop that it is called from its own thread.
CHECK_THREAD: Final = "_check_thread"

THREAD_CHECK: Final = Assumption(
    f"BaseEventLoop.{CHECK_THREAD}",
    "traps.wrong_thread",
    "wrong-thread: calls that asyncio's debug mode refuses",
    f"this Python's loops have no {CHECK_THREAD}",
    lambda: callable(getattr(base_events.BaseEventLoop, CHECK_THREAD)),
)

#: The method of a loop that begins to accept connections, and the classes that have it.
START_SERVING: Final = "_start_serving"
SERVING_LOOPS: Final = (
    ("selector_events", "BaseSelectorEventLoop"),
    ("proactor_events", "BaseProactorEventLoop"),
)


def serving_loops() -> Iterator[type]:
    """The classes of loops whose `START_SERVING` can be replaced."""
    for module, name in SERVING_LOOPS:
        cls = getattr(sys.modules.get(f"asyncio.{module}"), name, None)
        if isinstance(cls, type) and START_SERVING in vars(cls):
            yield cls


SERVERS: Final = Assumption(
    f"the method {START_SERVING} of loops",
    "loops.stdlib.servers",
    "which test a server serves",
    f"this Python's loops have no {START_SERVING}",
    lambda: callable(getattr(asyncio.SelectorEventLoop, START_SERVING)),
)

#: The function with which `asyncio.Runner` cancels what is left, and the one that calls it.
CANCEL_ALL: Final = "_cancel_all_tasks"

RUNNERS: Final = Assumption(
    f"asyncio.runners.{CANCEL_ALL}",
    "traps.pending_task, traps.unclosed_asyncgen",
    "pending-task: tasks that asyncio.Runner cancels",
    f"asyncio.Runner does not call {CANCEL_ALL}",
    lambda: callable(getattr(runners, CANCEL_ALL)) and CANCEL_ALL in _names(asyncio.Runner.close),
)

#: The method of `asyncio.Runner` that is its handler for SIGINT, and cancels the main task.
ON_SIGINT: Final = "_on_sigint"

SIGINT_HANDLER: Final = Assumption(
    f"asyncio.Runner.{ON_SIGINT}",
    "session.hangs",
    "task trees: those of a test that Ctrl-C ends",
    f"asyncio.Runner has no {ON_SIGINT}",
    lambda: (
        ON_SIGINT in _names(asyncio.Runner.run) and callable(getattr(asyncio.Runner, ON_SIGINT))
    ),
)

# -- futures and tasks ---------------------------------------------------------------------------

#: The coroutine of a task. Its public method crashes Python 3.12.1 for a task that ended eagerly.
TASK_COROUTINE: Final = "_coro"
#: What a task waits for.
TASK_WAITER: Final = "_fut_waiter"
#: The exception of a future. The public method counts as its retrieval.
FUTURE_EXCEPTION: Final = "_exception"
#: Whether a future will complain about an exception that was not retrieved.
FUTURE_UNRETRIEVED: Final = "_log_traceback"
#: Whether a task complains when it is destroyed while it is pending.
TASK_COMPLAINS: Final = "_log_destroy_pending"
#: The callbacks of a future: functions, or pairs of a function and its context.
FUTURE_CALLBACKS: Final = "_callbacks"
#: The loop of a future or of another object of asyncio's.
LOOP: Final = "_loop"
#: The futures that ``gather()`` waits for.
GATHERED: Final = "_children"
#: Attributes of `asyncio.TaskGroup`.
GROUP_TASKS: Final = "_tasks"
GROUP_PARENT: Final = "_parent_task"
GROUP_CANCELS_PARENT: Final = "_parent_cancel_requested"
GROUP_BASE_ERROR: Final = "_base_error"

_WAITS: Final = "pending-task: which of several pending tasks is the cause"


class _Silent:
    """Stands in for a loop where a probe needs a future: it runs nothing and keeps messages."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> None:
        """Keep nothing: the callback would keep the task alive."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.told.append({name: type(value) for name, value in context.items()} | _message(context))


def _message(context: Mapping[str, Any]) -> dict[str, Any]:
    return {"message": context.get("message")}


async def _pending() -> None:
    await asyncio.Future(loop=_Silent())  # type: ignore[arg-type]


def _task_of(loop: _Silent) -> Any:
    # With a name, as the default names of the user's tasks are numbered.
    return asyncio.Task(_pending(), loop=loop, name="probe")  # type: ignore[arg-type]


def _drop(task: Any) -> None:
    """End a task of a probe without a message."""
    setattr(task, TASK_COMPLAINS, False)
    task.get_coro().close()


def _probe_future() -> bool:
    future: asyncio.Future[None] = asyncio.Future(loop=_Silent())  # type: ignore[arg-type]

    def callback(_: object) -> None: ...

    future.add_done_callback(callback)
    entries = list(getattr(future, FUTURE_CALLBACKS))
    held = entries[0][0] if type(entries[0]) is tuple else entries[0]
    error = ValueError()
    future.set_exception(error)
    unretrieved = getattr(future, FUTURE_UNRETRIEVED) is True
    known = getattr(future, FUTURE_EXCEPTION) is error
    future.exception()
    return held is callback and unretrieved and known


#: The state of a future can be read without changing it.
FUTURES: Final = Assumption(
    "attributes of futures",
    "core.objects, traps.unretrieved_exception",
    "unretrieved-exception of futures that something still refers to",
    "this Python's futures keep their state in another way",
    _probe_future,
)


def _probe_task() -> bool:
    task = _task_of(_Silent())
    try:
        return getattr(task, TASK_WAITER) is None and getattr(task, TASK_COROUTINE) is not None
    finally:
        _drop(task)


#: A task shows its coroutine and what it waits for.
TASKS: Final = Assumption(
    "attributes of tasks",
    "core.objects, core.awaits, traps.pending_task",
    _WAITS,
    "this Python's tasks do not show what they wait for",
    _probe_task,
)

#: ``asyncio.wait()`` waits for a future that stands in a closure of the callback which it adds.
WAIT_CALLBACK: Final = "_on_completion"
WAIT_CELL: Final = "waiter"

WAIT_CLOSURE: Final = Assumption(
    "closure of asyncio.wait()",
    "core.awaits",
    _WAITS,
    "asyncio.wait() keeps what it waits for in another way",
    lambda: any(
        type(const) is CodeType
        and const.co_name == WAIT_CALLBACK
        and WAIT_CELL in const.co_freevars
        for const in _tasks._wait.__code__.co_consts
    ),
)

GATHER: Final = Assumption(
    "children of gather()",
    "core.objects, core.awaits",
    _WAITS,
    "gather() does not show what it gathers",
    lambda: GATHERED in _names(_tasks._GatheringFuture.__init__),
)

#: The attributes of a TaskGroup. Whether a group has cancelled its own parent decides whether a
#: cancellation counts as swallowed: without them, that kind stays off.
TASK_GROUPS: Final = Assumption(
    "attributes of asyncio.TaskGroup",
    "core.awaits, traps.swallowed_cancellation",
    "swallowed-cancellation",
    "asyncio.TaskGroup keeps its state in another way",
    lambda: (
        {GROUP_TASKS, GROUP_PARENT, GROUP_CANCELS_PARENT, GROUP_BASE_ERROR}
        <= set(vars(asyncio.TaskGroup()))
    ),
)

#: The coroutines in which those wait that iterate over ``as_completed()``, and the attribute of the
#: iterator that holds the tasks, from Python 3.13 on.
AS_COMPLETED: Final = ("_wait_for_one", "__anext__")
AS_COMPLETED_TODO: Final = "_todo"
#: The callback by which ``run_until_complete()`` learns that its task has ended.
RUN_CALLBACKS: Final = ("_run_until_complete_cb", "done_cb")

RUN_CALLBACK: Final = Assumption(
    "callback of run_until_complete()",
    "core.task_tree",
    "task trees: which task is the test's own",
    "run_until_complete() learns of the end of its task in another way",
    lambda: callable(getattr(_base_events, RUN_CALLBACKS[0])),
)

COMPLETION_ITERATOR: Final = Assumption(
    "iterator of as_completed()",
    "core.waits",
    "task trees: the tasks that as_completed() waits for",
    "as_completed() keeps its tasks in another way",
    lambda: (
        AS_COMPLETED_TODO in _names(_tasks._AsCompletedIterator.__init__)
        and hasattr(_tasks._AsCompletedIterator, AS_COMPLETED[0])
        if hasattr(_tasks, "_AsCompletedIterator")
        else AS_COMPLETED[0]
        in _tasks.as_completed.__code__.co_varnames + _tasks.as_completed.__code__.co_cellvars
    ),
)

#: The function of `asyncio.tasks` that awaits a task which it has cancelled, up to Python 3.11.
CANCEL_AND_WAIT: Final = "_cancel_and_wait"

#: asyncio's registers of tasks. `asyncio.all_tasks()` takes longer where there are many loops.
SCHEDULED_TASKS: Final = "_scheduled_tasks"
#: The same register up to Python 3.11.
ALL_TASKS: Final = "_all_tasks"
EAGER_TASKS: Final = "_eager_tasks"

# -- what asyncio's messages say -----------------------------------------------------------------

#: The beginning of the message for a task that is destroyed while it is pending.
DESTROYED: Final = "Task was destroyed"
#: The end of the message for a future whose exception was not retrieved.
UNRETRIEVED: Final = "exception was never retrieved"
#: The argument of InvalidStateError for a future that is completed twice, as a regular expression.
#: C and Python say different things, and other things when a result is read too early.
COMPLETED_TWICE: Final = r"invalid state$|(FINISHED|CANCELLED): "
#: The message for a client that was refused, in debug mode only.
REFUSED_CLIENT: Final = "Error on transport creation for incoming connection"


def _says_destroyed() -> bool:
    loop = _Silent()
    task = _task_of(loop)
    coroutine = task.get_coro()
    del task
    coroutine.close()
    return any(str(told.get("message")).startswith(DESTROYED) for told in loop.told)


def _says_unretrieved() -> bool:
    loop = _Silent()
    future: asyncio.Future[None] = asyncio.Future(loop=loop)  # type: ignore[arg-type]
    future.set_exception(ValueError())
    del future
    return any(str(told.get("message")).endswith(UNRETRIEVED) for told in loop.told)


def _says_completed_twice() -> bool:
    loop: Any = _Silent()
    for cls in {asyncio.Future, getattr(futures, "_PyFuture", asyncio.Future)}:
        future: Any = cls(loop=loop)
        future.set_result(None)
        try:
            future.set_result(None)
        except asyncio.InvalidStateError as exc:
            text = exc.args[0] if len(exc.args) == 1 else ""
            # Not by `COMPLETED_TWICE`: compiling it takes longer than all other probes.
            if text != "invalid state" and not text.startswith(("FINISHED: ", "CANCELLED: ")):
                return False
        else:
            return False
    return True


#: The two messages are told apart by their texts; where a text differs, by the keys of the
#: context, which other callers of an exception handler may use as well.
MESSAGES: Final = Assumption(
    "messages of tasks and futures",
    "core.contexts",
    "pending-task, unretrieved-exception: some of what asyncio's exception handler is told",
    "asyncio's messages about tasks and futures have other words",
    lambda: _says_destroyed() and _says_unretrieved(),
)

COMPLETION_ERRORS: Final = Assumption(
    "text of InvalidStateError",
    "core.contexts, traps.invalid_state",
    "invalid-state",
    "asyncio's InvalidStateError has other words",
    _says_completed_twice,
)

#: What asyncio raises where an object of one loop is used in another, and where a loop is closed.
ATTACHED_ELSEWHERE: Final = "attached to a different loop"
TASK_GOT: Final = "Task "  # how the one before begins
BOUND_ELSEWHERE: Final = "is bound to a different event loop"
BELONGS_ELSEWHERE: Final = "belongs to a different loop"
CLOSED: Final = "Event loop is closed"
#: The methods by which an object of `asyncio.mixins` finds its loop, and by which a loop finds
#: that it is closed. They raise two of these errors.
BINDS: Final = "_get_loop"
CHECK_CLOSED: Final = "_check_closed"


def _texts(owner: object, prefix: str) -> str:
    """What the functions of ``owner`` whose names begin with ``prefix`` say, joined."""
    found = ""
    waiting: list[object] = [
        _code(value) for name, value in vars(owner).items() if name.startswith(prefix)
    ]
    while waiting:
        const = waiting.pop()
        if type(const) is str:
            found += const + "\n"
        elif type(const) is CodeType:
            waiting += const.co_consts
    return found


def _says_elsewhere() -> bool:
    py_task = getattr(tasks, "_PyTask", asyncio.Task)
    return (
        all(text in _texts(py_task, "_Task__step") for text in (TASK_GOT, ATTACHED_ELSEWHERE))
        and BOUND_ELSEWHERE in _texts(_mixins._LoopBoundMixin, BINDS)
        and BELONGS_ELSEWHERE in _texts(tasks, "ensure_future") + _texts(tasks, "_ensure_future")
        and CLOSED in _texts(base_events.BaseEventLoop, CHECK_CLOSED)
    )


ELSEWHERE: Final = Assumption(
    "texts about objects of another loop",
    "traps.wrong_loop",
    "wrong-loop: what asyncio itself refuses",
    "asyncio's errors about another loop have other words",
    _says_elsewhere,
)

# -- transports and servers ----------------------------------------------------------------------

#: The private classes through whose constructors every transport, server and subprocess goes: the
#: module, the name, what it is for, and the system, if the class exists on one only.
TRANSPORT_CLASSES: Final = (
    ("selector_events", "_SelectorTransport", "sockets", ""),
    ("base_subprocess", "BaseSubprocessTransport", "subprocesses", ""),
    ("sslproto", "_SSLProtocolTransport", "connections over TLS", ""),
    ("base_events", "Server", "servers", ""),
    ("proactor_events", "_ProactorBasePipeTransport", "sockets and pipes", "win32"),
    ("unix_events", "_UnixReadPipeTransport", "pipes that are read", "posix"),
    ("unix_events", "_UnixWritePipeTransport", "pipes that are written", "posix"),
)

#: Attributes of transports, protocols, streams and servers.
PROTOCOL: Final = "_protocol"
SERVER: Final = "_server"
SOCKET: Final = "_sock"
PIPE: Final = "_pipe"
SSL_PROTOCOL: Final = "_ssl_protocol"
APP_PROTOCOL: Final = "_app_protocol"
WRITER_TRANSPORT: Final = "_transport"
CLIENT_CALLBACK: Final = "_client_connected_cb"
#: The method of a transport that calls ``connection_lost()`` of its protocol.
CONNECTION_LOST: Final = "_call_connection_lost"


def _shows_connections() -> bool:
    transport = _selector_events._SelectorTransport
    return (
        {SOCKET, SERVER} <= _all_names(transport.__init__)
        and PROTOCOL in _names(transport.set_protocol)
        and callable(getattr(transport, CONNECTION_LOST))
        and SSL_PROTOCOL in _names(sslproto._SSLProtocolTransport.__init__)
        and APP_PROTOCOL in _all_names(sslproto.SSLProtocol._set_app_protocol)
        and WRITER_TRANSPORT in _names(streams.StreamWriter.__init__)
        and CLIENT_CALLBACK in _names(streams.StreamReaderProtocol.__init__)
    )


#: A transport shows its socket, protocol and server.
CONNECTIONS: Final = Assumption(
    "attributes of transports and streams",
    "core.creation, traps.unclosed_transport, traps.callback_exception, traps.pending_task",
    "unclosed-transport: which server or stream a connection belongs to",
    "this Python's transports keep their state in another way",
    _shows_connections,
)


# -- who awaits whom -----------------------------------------------------------------------------

_capture: Callable[..., Any] | None = getattr(asyncio, "capture_call_graph", None)


def awaiters_of(future: Any) -> list[Any] | None:
    """The futures that await ``future``, by asyncio's public call graph (from Python 3.14 on).

    None where there is no call graph of it; the caller then compares `TASK_WAITER`,
    `FUTURE_CALLBACKS`, `GATHERED` and `WAIT_CELL`.
    """
    if _capture is None:
        return None
    try:
        graph = _capture(future, limit=0)
        return [entry.future for entry in graph.awaited_by] if graph is not None else None
    except (TypeError, RuntimeError, RecursionError):  # no future of asyncio's, or a ring
        return None
