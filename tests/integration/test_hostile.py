"""Objects, names and messages of the user's that raise, lie, steer a terminal, or have no end.

Each test of the inner suite springs one trap by means of them. Its outcome is the trap's, or
its own; the plugin has no fault, and what it writes is short and plain.
"""

from __future__ import annotations

import json
import re
import sys

import pytest

from ..cases import cases
from ..run import Suite

#: What the user's code may put into a place that holds text.
TEXTS = {
    "escapes": r'"\x1b[31mred\x1b]0;title\x07 \x9b2J \r\n second line"',
    "markup": r'"</script><b onload=x>&amp;\'\" ]]> `x` $(y)"',
    "surrogates": r'"\ud800 \udfff \x00 \u202e \u2028 \ufeff"',
    "endless": r'"\x1b" * 5 + "e" * 2_000_000',
}

HEAD = r'''
import asyncio, logging, sys, threading, time, warnings
import pytest

TEXT = {text}

class Text(str):
    """A text with methods of its own."""
    def _no(self, *args, **kwargs):
        raise RuntimeError("do not touch")
    __len__ = __getitem__ = __iter__ = __contains__ = __format__ = __mod__ = __add__ = _no
    split = splitlines = encode = replace = isprintable = strip = partition = _no
    __hash__ = str.__hash__

class Meta(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")

    def __instancecheck__(cls, obj):
        raise RuntimeError("no instances")
    def __hash__(cls):
        raise RuntimeError("no hash of the class")
    def __eq__(cls, other):
        raise RuntimeError("no comparison of the class")

def no(self, *args, **kwargs):
    raise RuntimeError("it raises")

class Evil(Exception, metaclass=Meta):
    __str__ = __repr__ = __hash__ = __eq__ = no
    args = property(no)

class Says(Exception):
    def __str__(self):
        return Text(TEXT)
    __repr__ = __str__

class Exits(Exception):
    def __str__(self):
        raise SystemExit("out")
    __repr__ = __str__

class Cancels(Exception):
    def __str__(self):
        raise asyncio.CancelledError
    __repr__ = __str__

class Fails(Exception):
    def __str__(self):
        pytest.fail("in a repr")
    __repr__ = __str__

class Recurses(Exception):
    def __str__(self):
        return str(self)
    __repr__ = __str__

EXCEPTIONS = [Evil, Says, Exits, Cancels, Fails, Recurses]

class Callable:
    """A callback that answers for nothing."""
    __hash__ = __eq__ = __bool__ = __len__ = no
    __class__ = asyncio.Task
    def __repr__(self):
        return TEXT
    def __getattr__(self, name):
        # asyncio itself asks for some, and does not get over it.
        raise AttributeError if name.startswith("__") else RuntimeError
    def __call__(self, *args):
        raise Says

def named(function):
    function.__name__ = function.__qualname__ = TEXT
    return function
'''

BODY = r"""
@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
async def test_unretrieved_exception(number):
    async def boom():
        raise EXCEPTIONS[number]
    future = asyncio.get_running_loop().create_future()
    future.set_exception(EXCEPTIONS[number]())
    del future
    task = asyncio.create_task(named(boom)(), name=TEXT)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
async def test_callback_exception(number):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(None)
    def callback():
        raise EXCEPTIONS[number]
    loop.call_soon(named(callback))
    await asyncio.sleep(0)

async def test_callback_exception_of_an_object():
    asyncio.get_running_loop().call_soon(Callable())
    await asyncio.sleep(0)

@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
async def test_callback_exception_as_told(number):
    asyncio.get_running_loop().call_exception_handler(
        {"message": Text(TEXT), "exception": EXCEPTIONS[number](), "protocol": Callable(),
         "transport": Callable(), "handle": Callable(), "asyncgen": Callable()}
    )

async def test_never_awaited():
    async def work(): pass
    named(work)()

async def test_pending_task():
    async def poll():
        await asyncio.Event().wait()
    asyncio.create_task(named(poll)(), name=TEXT)
    await asyncio.sleep(0)

async def test_unclosed_asyncgen():
    async def numbers():
        yield 1
        yield 2
    numbers.__name__ = numbers.__qualname__ = TEXT
    async for _ in numbers():
        break

async def test_wrong_thread():
    loop = asyncio.get_running_loop()
    thread = threading.Thread(target=lambda: loop.call_soon(int), name=TEXT)
    thread.start()
    await asyncio.to_thread(thread.join)

async def test_wrong_thread_of_an_object():
    loop, callback = asyncio.get_running_loop(), Callable()
    thread = threading.Thread(target=lambda: loop.call_soon(callback).cancel(), name=TEXT)
    thread.start()
    await asyncio.to_thread(thread.join)

# Before 3.13, asyncio itself looks at the arguments of a callback that has failed.
@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio fails without us")
@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
async def test_invalid_state(number):
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.cancel()
    loop.call_soon(future.set_exception, EXCEPTIONS[number]())
    await asyncio.sleep(0)

async def test_lingering_timer():
    asyncio.get_running_loop().call_later(3600, Callable())
    asyncio.get_running_loop().call_later(3600, named(lambda: None))

async def test_swallowed_cancellation():
    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
    task = asyncio.create_task(named(stubborn)(), name=TEXT)
    await asyncio.sleep(0)
    task.cancel()
    await task

async def test_slow_callback():
    def slow():
        end = time.thread_time() + 0.3
        while time.thread_time() < end: pass
    slow.__name__ = slow.__qualname__ = TEXT
    asyncio.get_running_loop().call_soon(slow)
    await asyncio.sleep(0)

async def test_unclosed_loop():
    class Loop(asyncio.SelectorEventLoop):
        __str__ = __repr__ = no
        slow_callback_duration = "soon"
    # A class takes no more than this.
    name = TEXT.replace("\0", "").encode("utf-8", "replace").decode()
    Loop.__name__ = Loop.__qualname__ = name
    global kept
    kept = Loop()

async def test_records_and_warnings():
    class Odd(RuntimeWarning):
        def __str__(self):
            return Text(TEXT)
    warnings.simplefilter("always")
    warnings.warn(Odd("odd"))
    warnings.warn(TEXT.replace("\ud800", "").replace("\udfff", ""), RuntimeWarning)
    logging.getLogger("asyncio").debug("%s %s", Evil(), TEXT)
    logging.getLogger("asyncio").debug(Callable())
    asyncio.create_task(asyncio.sleep(3600))

@pytest.mark.parametrize("text", [TEXT], ids=[TEXT.replace("\0", "")[:5000]])
async def test_nodeid(text):
    asyncio.create_task(asyncio.sleep(3600))
"""

#: Each of these is found at least once, whatever the names are.
FOUND = {
    "callback-exception",
    "invalid-state",
    "lingering-timer",
    "never-awaited",
    "pending-task",
    "slow-callback",
    "swallowed-cancellation",
    "unclosed-asyncgen",
    "unclosed-loop",
    "unretrieved-exception",
    "wrong-thread",
}

#: What is not tried where asyncio itself cannot take it.
UNTRIED = {"invalid-state"}

#: What steers a terminal, or has a line look like another.
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@pytest.mark.parametrize("text", cases(TEXTS, ["escapes", "endless"]))
def test_the_plugin_takes_anything(suite: Suite, text: str) -> None:
    """Every test keeps its outcome, every trap is found, and what is told of it is short."""
    suite.write(test_it=HEAD.replace("{text}", TEXTS[text]) + BODY)
    args = ("-p", "no:logging", "-p", "no:warnings", "--show-capture=no")
    without = suite.run(*args, "--tb=no", plugins=("asyncio",))

    outcome = suite.run(*args, "--asyncio-strict", "--tb=short", "--color=no")

    output = outcome.result.stdout.str()
    outcome.no_fault()
    assert "INTERNALERROR" not in output
    assert set(outcome.kinds) >= FOUND - (set() if sys.version_info >= (3, 13) else UNTRIED)
    # Each test passes by itself, and fails for its traps only.
    count = without.result.parseoutcomes()
    told = outcome.result.parseoutcomes()
    assert set(count) <= {"passed", "skipped"}
    assert told["passed"] + told["failed"] == count["passed"]
    assert told["failed"] + told["errors"] >= len({f["nodeid"] for f in outcome.findings})
    ours = output[output.index("asyncio traps") :]
    assert not STEERS.search(ours)
    for finding in outcome.findings:
        for part in ("summary", "exception"):
            assert len(finding[part] or "") <= 1000, finding["kind"]
    assert len(json.dumps(outcome.report)) < 1_000_000
    assert len(output) < 1_000_000
