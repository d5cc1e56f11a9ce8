"""What a suspended task waits for: another task, a lock, a queue, a timer, a job, a connection.

The coroutines of asyncio that a task awaits refer to what they wait for, see `links`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import socket
from asyncio import base_events
from asyncio.subprocess import Process
from types import CellType, FunctionType
from typing import Any, Final

from ..compat import asyncio as private
from ..model.task_tree import Wait
from .jobs import function_name, function_of
from .links import Link
from .objects import (
    ask,
    ask_text,
    call,
    callbacks_of,
    children_of,
    class_name,
    extra_of,
    function_code,
    is_a,
    is_done,
)
from .paths import ASYNCIO
from .stacks import KINDS

#: How deep tasks are looked for in gather() of gather().
_DEEPEST: Final = 100

#: How many callbacks of a future are looked at: there may be one for each task that waits for it.
_MOST_CALLBACKS: Final = 20

#: asyncio's classes whose methods tasks wait in, with the kind of `Wait` for each.
_CLASSES: Final[tuple[tuple[type, str], ...]] = (
    (asyncio.Queue, "queue"),
    (asyncio.Event, "event"),
    (asyncio.Condition, "condition"),
    (asyncio.Semaphore, "semaphore"),
    (asyncio.Lock, "lock"),
    (asyncio.Barrier, "barrier"),
    (asyncio.TaskGroup, "tasks"),
    (asyncio.StreamReader, "transport"),
    (asyncio.StreamWriter, "transport"),
    (Process, "process"),
    (asyncio.AbstractServer, "server"),
)

_time: Final = base_events.BaseEventLoop.time


# -- what a task waits for -----------------------------------------------------------------------


def wait_of(task: Any, links: list[Link], waiter: Any) -> Wait:
    """What ``task``, which awaits ``links``, waits for; ``waiter`` is the future at their end.

    `Wait.awaits` are the ids of tasks, which may be done. `Wait.holders` is left empty.
    """
    if waiter is None or is_done(waiter):
        return Wait("ready", "its next step")
    inner = _asyncios_part(links)
    futures = _futures_awaited(task, inner, waiter)
    awaits = [future for future in futures if is_a(future, asyncio.Task)]
    wait = _in_known_class(inner) or _in_function(inner) or _on_future(waiter, bool(awaits))
    if wait.kind in ("tasks", "future") and not awaits:
        jobs = [job.text for future in futures if (job := _job(future)) is not None]
        if jobs:
            more = f" and {len(jobs) - 1:,} more" if len(jobs) > 1 else ""
            wait = Wait("executor", wait.text, f"{jobs[0]}{more}")
    return wait._replace(awaits=tuple(dict.fromkeys(map(id, awaits))))


def _asyncios_part(links: list[Link]) -> list[Link]:
    """The innermost links, as far as they are asyncio's own code."""
    first = len(links)
    while first and links[first - 1].is_asyncios:
        first -= 1
    return links[first:]


def _in_known_class(links: list[Link]) -> Wait | None:
    if links and links[0].code.co_name in private.AS_COMPLETED:
        refs = [obj for link in links for obj in link.referents]
        queue = next((obj for obj in refs if is_a(obj, asyncio.Queue)), None)
        return Wait("tasks", "asyncio.as_completed()", subject=id(queue))
    for link in links:
        for obj in link.referents:
            if type(obj) is FunctionType or is_a(obj, asyncio.Future):
                continue  # most of them are
            for cls, kind in _CLASSES:
                if is_a(obj, cls):
                    if kind == "tasks":
                        return Wait(kind, "the tasks of a TaskGroup", subject=id(obj))
                    text = f"{class_name(obj)}.{_method(links, obj)}()"
                    return Wait(kind, text, _state(kind, obj), id(obj))
    return None


def _method(links: list[Link], obj: Any) -> str:
    """The outermost public method of ``obj`` among ``links``."""
    names = [link.code.co_name for link in links if any(ref is obj for ref in link.referents)]
    public = [name for name in names if not name.startswith("_")]
    return public[0] if public else {"__aenter__": "acquire"}.get(names[0], names[0])


def _state(kind: str, obj: Any) -> str:
    """The state of one of asyncio's objects. An object of a subclass may run the user's code."""
    if module_of_class(obj) != "asyncio":
        return ""
    if kind == "queue":
        size, most = call(obj, "qsize"), ask(obj, "maxsize")
        if type(size) is int:
            return f"{_count(size, 'item')}{f' of {most}' if most else ''}"
    elif kind == "barrier":
        return f"{ask(obj, 'n_waiting')} of {ask(obj, 'parties')} wait"
    elif kind == "process":
        return f"pid {ask(obj, 'pid')}"
    elif kind == "transport":
        return peer_of(ask(obj, private.WRITER_TRANSPORT))
    return ""


def module_of_class(obj: Any) -> str:
    """The package that the class of ``obj`` comes from."""
    return ask_text(type(obj), "__module__").partition(".")[0]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def peer_of(transport: Any) -> str:
    """The other end of one of asyncio's transports; empty if it is not known."""
    if module_of_class(transport) not in ("asyncio", "uvloop"):
        return ""
    return address_text(extra_of(transport, "peername"))


def address_text(address: object) -> str:
    """The address of a socket as it is usually written."""
    if type(address) is tuple and len(address) >= 2:
        return f"{address[0]}:{address[1]}"
    return address if type(address) is str else ""


def _in_function(links: list[Link]) -> Wait | None:
    """What a function of asyncio waits for, other than a method of a known class."""
    for link in links:
        timer = next((obj for obj in link.referents if is_a(obj, private.TIMER_BASE)), None)
        if link.code.co_name == "sleep" and timer is not None:
            return Wait("sleep", "asyncio.sleep()", _time_left(timer))
        if link.code.co_name.startswith("sock_"):
            sock = next((obj for obj in link.referents if type(obj) is socket.socket), None)
            peer = address_text(call(sock, "getpeername"))
            return Wait("transport", f"loop.{link.code.co_name}()", peer)
        if link.code.co_name == "to_thread":
            job = next((obj for obj in link.referents if is_a(obj, functools.partial)), None)
            return Wait("executor", f"a thread that runs {function_name(job)}")
    if links:
        name = links[0].code.co_qualname.replace(".<locals>", "")
        kind = "tasks" if name in ("wait", "wait_for", "gather") else "call"
        return Wait(kind, f"asyncio.{name}()")
    return None


def _time_left(timer: Any) -> str:
    now, when = now_of(ask(timer, private.LOOP)), call(timer, "when")
    if now is None or type(when) not in (int, float):
        return ""
    return f"{max(0.0, when - now):.1f} s left"


def now_of(loop: Any) -> float | None:
    """The time of ``loop``; None if a class of the user's would have to be asked."""
    if ask(type(loop), "time") is not _time:
        return None
    now: float = _time(loop)
    return now


def _on_future(waiter: Any, awaits: bool) -> Wait:
    """What a task waits for that awaits ``waiter`` itself."""
    if children_of(waiter):
        return Wait("tasks", "asyncio.gather()")
    if is_a(waiter, asyncio.Task):
        return Wait("tasks", "a task")
    job = _job(waiter)
    if job is not None:
        return job
    if awaits:
        return Wait("tasks", "asyncio.shield()")
    return Wait("future", f"a {class_name(waiter)}", subject=id(waiter))


def _job(future: Any) -> Wait | None:
    """The job of an executor that ``future`` stands for, if it stands for one."""
    job = concurrent_future_of(future)
    if job is None:
        return None
    function = function_of(future, job)
    text = f"an executor that runs {function}" if function else "a job of an executor"
    return Wait("executor", text, subject=id(job))


def concurrent_future_of(future: Any) -> Any:
    """The concurrent future that asyncio has chained to ``future``, or None."""
    for obj in _closures(future):
        if is_a(obj, concurrent.futures.Future):
            return obj
    return None


def fed_by(task: Any) -> list[int]:
    """The ids of what the end of ``task`` completes or fills, as `Wait.subject` has them.

    A concurrent future, for which a task of another loop may wait, and up to Python 3.12 the queue
    of ``as_completed()``.
    """
    return [
        id(obj)
        for obj in _closures(task)
        if is_a(obj, concurrent.futures.Future) or is_a(obj, asyncio.Queue)
    ]


def _closures(future: Any) -> list[Any]:
    """What the callbacks of ``future`` that are asyncio's own keep in their closures."""
    found = []
    for callback in callbacks_of(future)[:_MOST_CALLBACKS]:
        code = function_code(callback)
        if code is not None and KINDS[code.co_filename] == ASYNCIO:
            found += _cell_contents(ask(callback, "__closure__"))
    return found


def _cell_contents(cells: Any) -> list[Any]:
    found = []
    for cell in cells if type(cells) is tuple else ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # empty
            pass
    return found


def _futures_awaited(task: Any, links: list[Link], waiter: Any) -> list[Any]:
    """The futures whose end ``task`` waits for: itself, or by a function or class of asyncio's."""
    found: list[Any] = []
    candidates = [waiter, *_closures(waiter)]
    for link in links:
        candidates += link.referents
        if link.code.co_name in private.AS_COMPLETED:
            candidates += [ask(obj, private.AS_COMPLETED_TODO) for obj in link.referents]
        candidates += _cell_contents(tuple(o for o in link.referents if type(o) is CellType))
    # From Python 3.14 on, wait() and shield() have the task that calls them in a variable.
    candidates = [obj for obj in candidates if obj is not task]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for obj in candidates:
            if type(obj) is asyncio.Task:  # there may be very many
                found.append(obj)
            elif is_a(obj, asyncio.Future):
                found.append(obj)
                inner += [] if is_a(obj, asyncio.Task) else children_of(obj)
            elif is_a(obj, asyncio.TaskGroup):
                members = ask(obj, private.GROUP_TASKS)
                inner += list(members) if type(members) is set else []
            elif type(obj) in (set, list):
                inner += [o for o in list(obj) if is_a(o, asyncio.Future)]
        if not inner:
            break
        candidates = inner
    unique = {id(future): future for future in found}
    return [future for future in unique.values() if not is_done(future)]
