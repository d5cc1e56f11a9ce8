"""The picture of living loops and tasks, taken from another thread."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from pytest_asyncio_traps.core import threads
from pytest_asyncio_traps.core.refs import IdKeyedRef
from pytest_asyncio_traps.core.task_tree import snapshot
from pytest_asyncio_traps.core.watch import Watch
from pytest_asyncio_traps.model.task_tree import Snapshot, TaskRecord, find_cycle, trees
from pytest_asyncio_traps.reports.task_tree import lines, verdict

Coro = Coroutine[Any, Any, Any]


def picture(*coroutines: Callable[[], Coro], settle: float = 0.0) -> Snapshot:
    """The snapshot, from another thread, of a loop that runs these; each task has its name."""
    watch, taken = Watch(), []
    asleep = threading.Event()
    seen = asyncio.Event()

    def look() -> None:
        asleep.wait()
        time.sleep(0.05)
        taken.append(snapshot(watch))
        loop.call_soon_threadsafe(seen.set)

    async def main() -> None:
        tasks = [asyncio.create_task(made(), name=made.__name__) for made in coroutines]
        await asyncio.sleep(settle)
        asleep.set()
        await seen.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop = asyncio.new_event_loop()
    IdKeyedRef.add(loop, watch._loops)
    thread = threading.Thread(target=look)
    thread.start()
    try:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asleep.set()
        thread.join()
        loop.close()
    return taken[0]


def by_name(taken: Snapshot) -> dict[str, TaskRecord]:
    return {task.name: task for task in taken.tasks().values()}


def names(taken: Snapshot, keys: tuple[int, ...]) -> set[str]:
    return {taken.tasks()[key].name for key in keys}


def test_what_each_primitive_shows() -> None:
    """Waits in asyncio's own classes and functions are named, with their state."""

    async def get() -> None:
        await asyncio.Queue[int](maxsize=3).get()

    async def put() -> None:
        queue = asyncio.Queue[int](maxsize=1)
        queue.put_nowait(1)
        await queue.put(2)

    async def event() -> None:
        await asyncio.Event().wait()

    async def condition() -> None:
        async with (condition := asyncio.Condition()):
            await condition.wait_for(lambda: False)

    async def semaphore() -> None:
        async with asyncio.Semaphore(0):
            pass

    async def join() -> None:
        queue = asyncio.Queue[int]()
        queue.put_nowait(1)
        await queue.join()

    async def fed() -> None:
        await asyncio.StreamReader().read()

    async def process() -> None:
        waits = [sys.executable, "-c", "input()"]
        child = await asyncio.create_subprocess_exec(*waits, stdin=asyncio.subprocess.PIPE)
        pids.append(child.pid)
        try:
            await child.wait()
        finally:
            child.kill()
            await child.wait()

    async def barrier() -> None:
        async with asyncio.Barrier(2):
            pass

    async def lock() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        await lock.acquire()

    async def sleep() -> None:
        await asyncio.sleep(3600)

    async def future() -> None:
        await asyncio.get_running_loop().create_future()

    pids: list[int] = []
    ways = (get, put, join, event, condition, semaphore, barrier, lock, sleep, future, fed, process)
    tasks = by_name(picture(*ways, settle=0.1))

    shown = {
        name: (task.wait.kind, task.wait.text, task.wait.detail) for name, task in tasks.items()
    }
    assert shown["get"] == ("queue", "Queue.get()", "0 items of 3")
    assert shown["put"] == ("queue", "Queue.put()", "1 item of 1")
    assert shown["join"] == ("queue", "Queue.join()", "1 item")
    assert shown["semaphore"] == ("semaphore", "Semaphore.acquire()", "")
    assert shown["fed"] == ("transport", "StreamReader.read()", "")
    assert shown["process"] == ("process", "Process.wait()", f"pid {pids[0]}")
    assert shown["event"] == ("event", "Event.wait()", "")
    assert shown["condition"] == ("condition", "Condition.wait_for()", "")
    assert shown["barrier"] == ("barrier", "Barrier.wait()", "1 of 2 wait")
    assert shown["lock"] == ("lock", "Lock.acquire()", "")
    assert shown["sleep"][:2] == ("sleep", "asyncio.sleep()")
    assert 3590 < float(shown["sleep"][2].removesuffix(" s left")) < 3600
    assert shown["future"] == ("future", "a Future", "")


def test_the_chain_of_awaits() -> None:
    """Each line at which a task is suspended, through async generators too, outermost first."""

    async def numbers() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    async def inner() -> None:
        async for _ in numbers():
            pass

    async def outer() -> None:
        await inner()

    chain = by_name(picture(outer))["outer"].chain

    assert [place.function for place in chain] == ["outer", "inner", "numbers"]
    assert {place.path for place in chain} == {__file__}


@pytest.mark.parametrize("how", ["task", "gather", "nested", "group", "wait", "wait_for", "shield"])
def test_who_awaits_whom(how: str) -> None:
    """Whatever a task waits with, the tasks that have to end first are known."""

    async def poll() -> None:
        await asyncio.sleep(3600)

    async def waits() -> None:
        if how == "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(poll(), name="polls")
            return
        task = asyncio.create_task(poll(), name="polls")
        ways: dict[str, Callable[[], Awaitable[Any]]] = {
            "task": lambda: task,
            "gather": lambda: asyncio.gather(task),
            "nested": lambda: asyncio.gather(asyncio.gather(task)),
            "wait": lambda: asyncio.wait([task]),
            "wait_for": lambda: asyncio.wait_for(task, 3600),
            "shield": lambda: asyncio.shield(task),
        }
        try:
            await ways[how]()
        finally:
            task.cancel()
            await asyncio.wait([task])

    taken = picture(waits, settle=0.02)

    assert names(taken, by_name(taken)["waits"].wait.awaits) == {"polls"}
    assert by_name(taken)["waits"].wait.kind == "tasks"


def test_as_completed() -> None:
    async def poll() -> None:
        await asyncio.sleep(3600)

    async def waits() -> None:
        tasks = [asyncio.create_task(poll(), name="polls"), asyncio.create_task(asyncio.sleep(0))]
        try:
            for done in asyncio.as_completed(tasks):
                await done
        finally:
            tasks[0].cancel()
            await asyncio.wait(tasks)

    taken = picture(waits, settle=0.02)

    assert names(taken, by_name(taken)["waits"].wait.awaits) == {"polls"}
    assert by_name(taken)["waits"].wait.text == "asyncio.as_completed()"


def test_who_holds_a_lock() -> None:
    """Two tasks that take two locks in opposite order are a cycle."""

    def locks() -> list[asyncio.Lock]:
        if not made:
            made.extend([asyncio.Lock(), asyncio.Lock()])
        return made

    async def take(first: int, second: int) -> None:
        async with locks()[first]:
            await asyncio.sleep(0.01)
            async with locks()[second]:
                pass

    async def one() -> None:
        await take(0, 1)

    async def other() -> None:
        await take(1, 0)

    made: list[asyncio.Lock] = []
    taken = picture(one, other, settle=0.05)
    tasks = by_name(taken)

    assert names(taken, tasks["one"].wait.holders) == {"other"}
    assert names(taken, tasks["other"].wait.holders) == {"one"}
    cycle = find_cycle(tasks["one"], taken.tasks())
    assert [task.name for task in cycle] == ["one", "other"]


def test_a_job_of_an_executor() -> None:
    done = threading.Event()

    def work() -> None:
        done.wait()

    def submit() -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(None, work)

    async def to_thread() -> None:
        await asyncio.to_thread(work)

    async def in_executor() -> None:
        await submit()

    async def within_time() -> None:
        await asyncio.wait_for(submit(), 3600)

    async def shielded() -> None:
        await asyncio.shield(submit())

    async def several() -> None:
        await asyncio.gather(submit(), submit())

    async def any_of() -> None:
        await asyncio.wait([submit()])

    async def release() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            done.set()

    watch = Watch()
    threads.arm(watch)
    try:
        ways = (to_thread, in_executor, within_time, shielded, several, any_of)
        tasks = by_name(picture(*ways, release, settle=0.02))
    finally:
        watch.patches.undo()

    name = work.__qualname__
    shown = {way.__name__: tasks[way.__name__].wait for way in ways}
    assert {wait.kind for wait in shown.values()} == {"executor"}
    assert shown["to_thread"].text == f"a thread that runs {name}"
    assert shown["in_executor"].text == f"an executor that runs {name}"
    assert shown["within_time"].detail == f"an executor that runs {name}"
    assert shown["shielded"].detail == f"an executor that runs {name}"
    assert shown["several"].detail == f"an executor that runs {name} and 1 more"
    assert shown["any_of"].detail == f"an executor that runs {name}"


def test_a_connection_shows_its_peer() -> None:
    async def reads() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ports.append(port)
        try:
            await reader.readline()
        finally:
            writer.close()
            await asyncio.sleep(0.01)
            server.close()

    ports: list[int] = []
    taken = picture(reads, settle=0.05)

    wait = by_name(taken)["reads"].wait
    assert (wait.kind, wait.text) == ("transport", "StreamReader.readline()")
    assert wait.detail == f"127.0.0.1:{ports[0]}"
    assert any(f"127.0.0.1:{ports[0]}" in text for text in taken.loops[0].descriptors)


@pytest.mark.parametrize("how", ["sock_recv", "drain"])
def test_a_connection_without_a_reader(how: str) -> None:
    """A socket that is awaited itself, and a writer whose other end reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

        async def sock_recv() -> None:
            with socket.socket() as sock:
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, address)
                await loop.sock_recv(sock, 1)

        async def drain() -> None:
            _, writer = await asyncio.open_connection(*address)
            try:
                writer.write(bytes(10_000_000))
                await writer.drain()
            finally:
                writer.transport.abort()
                await asyncio.sleep(0)

        wait = by_name(picture({"sock_recv": sock_recv, "drain": drain}[how], settle=0.05))[
            how
        ].wait

    text = {"sock_recv": "loop.sock_recv()", "drain": "StreamWriter.drain()"}[how]
    assert (wait.kind, wait.text, wait.detail) == ("transport", text, f"127.0.0.1:{address[1]}")


def test_a_sleeping_loop() -> None:
    """Its next timer and the test's own task are known; the wake-up pipe is no descriptor."""

    async def sleep() -> None:
        await asyncio.sleep(3600)

    taken = picture(sleep)
    (loop,) = taken.loops

    assert loop.state == "asleep"
    assert loop.thread == threading.current_thread().name
    assert loop.timer is not None
    assert 3590 < loop.timer < 3600
    assert loop.descriptors == ()
    assert [task.main for task in loop.tasks].count(True) == 1
    assert taken.main_thread is None


def test_a_loop_in_a_step() -> None:
    """While a step runs, its line is known, and the rest of its stack is not asked."""

    async def busy() -> None:
        await asyncio.sleep(0.02)
        time.sleep(0.5)  # here

    taken = picture(busy, settle=0.03)

    (loop,) = taken.loops
    if loop.state == "step":  # the thread may look before or after
        assert loop.place is not None
    assert by_name(taken)


def test_two_loops_that_wait_for_each_other() -> None:
    """A task that waits for one of another thread's loop shows that task."""
    watch, stop = Watch(), threading.Event()
    loop = asyncio.new_event_loop()
    other = asyncio.new_event_loop()
    for each in (loop, other):
        IdKeyedRef.add(each, watch._loops)
    thread = threading.Thread(target=other.run_forever, name="other")
    thread.start()

    async def far() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        handed = asyncio.run_coroutine_threadsafe(far(), other)
        near = asyncio.create_task(_await(asyncio.wrap_future(handed)), name="near")
        await asyncio.sleep(0.05)
        taken.append(snapshot(watch))
        near.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await near
        await asyncio.sleep(0.05)

    taken: list[Snapshot] = []
    try:
        loop.run_until_complete(main())
    finally:
        stop.set()
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()
        loop.close()

    near = by_name(taken[0])["near"]
    (key,) = near.wait.awaits
    assert taken[0].tasks()[key].coroutine.endswith("far")
    assert {record.thread for record in taken[0].loops} == {"MainThread", "other"}


async def _await(future: Awaitable[Any]) -> None:
    await future


def test_no_code_of_the_users_runs() -> None:
    """Classes whose attributes and methods act are left alone."""
    called: list[str] = []

    class Hostile:
        def __getattr__(self, name: str) -> object:
            called.append(name)
            raise RuntimeError

        def __repr__(self) -> str:
            called.append("repr")
            raise RuntimeError

        def __eq__(self, other: object) -> bool:
            called.append("eq")
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    class Queue(asyncio.Queue[int]):
        def qsize(self) -> int:
            called.append("qsize")
            return super().qsize()

    async def waits() -> None:
        kept = [Hostile(), Hostile()]
        for _ in (kept[0],):  # on the stack
            await Queue().get()
        assert kept

    task = by_name(picture(waits))["waits"]

    assert task.wait.text == "Queue.get()"
    assert called == []


def test_ten_thousand_tasks() -> None:
    """They are one entry, on one page."""

    async def waits() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        await asyncio.gather(*(queue.get() for _ in range(10_000)))

    taken = picture(waits, settle=0.05)
    text = lines(taken, trees(taken), verdict(taken))

    assert len(taken.tasks()) == 10_002
    assert len(text) < 20
    assert any("and 9,999 like it" in line for line in text)


def test_the_price_grows_with_the_number_of_tasks() -> None:
    """Counted in calls, which do not depend on the machine."""
    watch = Watch()

    async def calls(number: int) -> int:
        async def waits() -> None:
            await queue.get()

        def count(frame: object, event: str, arg: object) -> None:
            counted[0] += event in ("call", "c_call")

        queue: asyncio.Queue[int] = asyncio.Queue()
        IdKeyedRef.add(asyncio.get_running_loop(), watch._loops)
        tasks = [asyncio.create_task(waits()) for _ in range(number)]
        await asyncio.sleep(0)
        counted = [0]
        sys.setprofile(count)
        try:
            taken = snapshot(watch)
            lines(taken, trees(taken), verdict(taken))
        finally:
            sys.setprofile(None)
        for task in tasks:
            task.cancel()
        return counted[0] // number

    few, many = asyncio.run(calls(200)), asyncio.run(calls(2_000))

    assert few < 300
    assert many <= few


def test_it_leaves_no_trace() -> None:
    """The collector and the switch interval are as before; a snapshot is plain values."""
    interval, collects = sys.getswitchinterval(), gc.isenabled()

    async def sleep() -> None:
        await asyncio.sleep(3600)

    taken = picture(sleep)

    assert (sys.getswitchinterval(), gc.isenabled()) == (interval, collects)
    assert pickle.loads(pickle.dumps(taken)) == taken
