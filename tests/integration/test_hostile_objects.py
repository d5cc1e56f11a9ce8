"""Tasks, futures, protocols, callbacks and loops of classes whose every attribute raises.

Each bad test is found at the line that ends in its name, each good one is left alone, and no kind
is lost on the way.
"""

from __future__ import annotations

import json

from ..run import Suite

SUITE = '''
import asyncio, collections.abc, socket, threading, time
import pytest

class Refuses:
    """Answers nothing but what asyncio itself needs."""
    _answers = ()

    def __getattribute__(self, name):
        answers = object.__getattribute__(self, "_answers")
        if name in answers or name.startswith("__") and name.endswith("__") and name != "__self__":
            return object.__getattribute__(self, name)
        raise RuntimeError(f"refuses {name}")

    def __setattr__(self, name, value):
        raise RuntimeError(f"refuses to have {name} set")

def no(self, *args, **kwargs):
    raise RuntimeError("refuses")

class Task(asyncio.Task):
    get_name = get_coro = get_loop = get_context = get_stack = cancelling = done = cancelled = no
    exception = result = __repr__ = __eq__ = no
    __hash__ = asyncio.Task.__hash__

class Future(asyncio.Future):
    get_loop = done = cancelled = exception = __repr__ = __eq__ = no
    __hash__ = asyncio.Future.__hash__

class Coroutine(collections.abc.Coroutine):
    def __init__(self):
        self.waits = iter(asyncio.get_running_loop().create_future().__await__())
    def send(self, value):
        return next(self.waits)
    def throw(self, *args):
        raise args[0]
    def close(self):
        pass
    def __await__(self):
        yield
    def __getattr__(self, name):
        raise RuntimeError(f"refuses {name}")

class Callback(Refuses):
    _answers = ("function",)
    def __init__(self, function):
        object.__setattr__(self, "function", function)
    def __call__(self, *args):
        return self.function(*args)

class Protocol(Refuses, asyncio.Protocol):
    _answers = ("connection_made", "connection_lost", "data_received", "eof_received",
                "pause_writing", "resume_writing")

class Raising(Protocol):
    def data_received(self, data):
        raise KeyError("data")  # test_bad_callback_exception_of_a_protocol

class Lies(Exception):
    __class__ = property(no)
    __str__ = __repr__ = no

class Meta(type):
    def __getattribute__(cls, name):
        if name in ("__name__", "__qualname__", "__module__"):
            raise RuntimeError(f"refuses {name}")
        return super().__getattribute__(name)

class Nameless(Exception, metaclass=Meta):
    pass

KEPT = []

async def forever():
    await asyncio.Event().wait()

async def fails(exc=ValueError):
    raise exc

async def test_bad_pending_task():
    Task(forever())  # test_bad_pending_task
    await asyncio.sleep(0)

async def test_bad_pending_task_of_a_coroutine():
    asyncio.create_task(Coroutine())  # test_bad_pending_task_of_a_coroutine
    await asyncio.sleep(0)

EXCEPTIONS = {"plain": ValueError, "lies": Lies, "nameless": Nameless}

@pytest.mark.parametrize("name", EXCEPTIONS)
async def test_bad_unretrieved_exception(name):
    Task(fails(EXCEPTIONS[name]))  # test_bad_unretrieved_exception
    await asyncio.sleep(0.01)

async def test_bad_unretrieved_exception_of_a_future():
    Future().set_exception(ValueError())

async def test_bad_callback_exception_of_a_protocol():
    ours, theirs = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(Raising, sock=ours)
    theirs.send(b"x")
    await asyncio.sleep(0.02)
    transport.abort()
    theirs.close()

async def test_bad_unclosed_transport():
    ours, theirs = socket.socketpair()
    KEPT.append(theirs)
    await asyncio.get_running_loop().create_connection(Protocol, sock=ours)  # test_bad_unclosed_transport

async def test_bad_slow_callback():
    def blocks():
        time.sleep(0.3)  # test_bad_slow_callback
    asyncio.get_running_loop().call_soon(Callback(blocks))
    await asyncio.sleep(0.01)

async def test_bad_lingering_timer():
    asyncio.get_running_loop().call_later(60, Callback(print))  # test_bad_lingering_timer

async def test_bad_wrong_thread():
    event = asyncio.Event()
    task = Task(event.wait())
    await asyncio.sleep(0)
    thread = threading.Thread(target=lambda: event.set())  # test_bad_wrong_thread
    thread.start()
    thread.join()
    asyncio.Task.cancel(task)
    await asyncio.wait([asyncio.create_task(asyncio.sleep(0))])

async def test_ok_lies():
    with pytest.raises(Lies):
        await asyncio.create_task(fails(Lies))

async def test_ok_timer():
    asyncio.get_running_loop().call_later(60, Callback(print)).cancel()

class Loop(asyncio.SelectorEventLoop):
    __repr__ = __eq__ = __bool__ = no
    __hash__ = asyncio.SelectorEventLoop.__hash__
    def get_debug(self):
        return False

def test_ok_loop():
    loop = Loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

class Unmade(asyncio.SelectorEventLoop):
    __init__ = __del__ = no

def test_ok_loop_that_cannot_be_made():
    with pytest.raises(RuntimeError):
        Unmade()

async def test_bad_never_awaited_last():
    forever()  # test_bad_never_awaited_last
'''


def test_every_trap_is_found(suite: Suite) -> None:
    suite.write(test_it=SUITE)

    outcome = suite.run(
        *("--asyncio-strict", "-W", "ignore::pytest.PytestUnraisableExceptionWarning", "--tb=no"),
    )

    assert outcome.report["faults"] == [], outcome.report["faults"][0]["text"]
    outcome.no_fault()
    found: dict[str, set[str]] = {}
    for finding in outcome.findings:
        name = finding["nodeid"].rpartition("::")[2].partition("[")[0]
        found.setdefault(name, set()).add(finding["kind"])
    bad = {line.split("(")[0].split()[-1] for line in SUITE.splitlines() if "def test_bad" in line}
    expected = {
        name: {next(kind for kind in KINDS if kind.replace("-", "_") in name)} for name in bad
    }
    assert found == expected, json.dumps(outcome.findings, indent=1)
    for finding in outcome.findings:
        name = finding["nodeid"].rpartition("::")[2].partition("[")[0]
        lines = {place["line"] for place in (finding["origin"], finding["location"]) if place}
        if name != "test_bad_unretrieved_exception_of_a_future":
            assert suite.line_of(name) in lines, finding


KINDS = (
    *("never-awaited", "unretrieved-exception", "pending-task", "unclosed-transport"),
    *("slow-callback", "wrong-thread", "callback-exception", "lingering-timer"),
)


def test_setting_runs_no_code_of_the_users(suite: Suite) -> None:
    """The plugin keeps its notes on objects without their ``__setattr__``."""
    suite.test(
        """
        import asyncio

        CALLS = []

        class Task(asyncio.Task):
            def __setattr__(self, name, value):
                CALLS.append(name)
                super().__setattr__(name, value)

        def test_it():
            loop = asyncio.new_event_loop()
            loop.set_task_factory(lambda loop, coro, **kwargs: Task(coro, loop=loop, **kwargs))
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            assert not [name for name in CALLS if "asyncio_traps" in name], CALLS
        """
    ).clean()
