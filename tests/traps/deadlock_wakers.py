"""Everything that can wake a loop: code that waits for it, for WAIT seconds.

Each case leaves nothing behind, so that a test after it which waits forever is found.
"""

from __future__ import annotations

#: The names that the cases use.
HEAD = """
import asyncio, _thread, concurrent.futures, ctypes, multiprocessing, os, queue, signal, socket
import subprocess, sys, threading, time
import pytest

loops = [None]

def waiting():
    loops[0] = asyncio.get_running_loop()
    return asyncio.Event()

def wake(do, *_):
    loops[0].call_soon_threadsafe(do)

def later(do):
    time.sleep(WAIT)
    wake(do)

def from_elsewhere(command, **kwargs):
    # By a process that is not a child of this one.
    assert subprocess.call(["sh", "-c", f"(sleep {WAIT}; {command}) & exit"], **kwargs) == 0
"""

#: Waits forever: it is found, as nothing is left of the case before it.
FOREVER = """
async def test_waits_forever():
    await asyncio.sleep(0.05)  # threads that have done their work end
    await asyncio.Event().wait()
"""

WAKERS = {
    "timer": """
        async def test_it():
            await asyncio.sleep(WAIT)
        """,
    "timeout": """
        async def test_it():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting().wait(), WAIT)
        """,
    "call_at": """
        async def test_it():
            event = waiting()
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + WAIT, event.set)
            await event.wait()
        """,
    "thread": """
        async def test_it():
            event = waiting()
            thread = threading.Thread(target=later, args=(event.set,))
            thread.start()
            await event.wait()
            thread.join()
        """,
    "busy thread": """
        async def test_it():
            event = waiting()
            def busy():
                end = time.monotonic() + WAIT
                while time.monotonic() < end:
                    pass
                wake(event.set)
            thread = threading.Thread(target=busy)
            thread.start()
            await event.wait()
            thread.join()
        """,
    "thread of the low-level module": """
        async def test_it():
            event = waiting()
            _thread.start_new_thread(later, (event.set,))
            await event.wait()
        """,
    "timer thread": """
        async def test_it():
            event = waiting()
            thread = threading.Timer(WAIT, wake, (event.set,))
            thread.start()
            await event.wait()
            thread.join()
        """,
    "thread that waits for another one, with a limit": """
        async def test_it():
            event = waiting()
            def wait():
                with pytest.raises(queue.Empty):
                    queue.Queue().get(timeout=WAIT)
                lock = threading.Lock()
                assert lock.acquire(timeout=WAIT) and not lock.acquire(timeout=WAIT)
                wake(event.set)
            thread = threading.Thread(target=wait)
            thread.start()
            await event.wait()
            thread.join()
        """,
    "thread that reads": """
        async def test_it():
            event = waiting()
            ours, theirs = os.pipe()
            from_elsewhere("echo x", stdout=theirs)
            os.close(theirs)
            def read():
                assert os.read(ours, 1) == b"x"
                wake(event.set)
            thread = threading.Thread(target=read)
            thread.start()
            await event.wait()
            thread.join()
            os.close(ours)
        """,
    "job of the default executor": """
        async def test_it():
            await asyncio.to_thread(time.sleep, 0)
            await asyncio.to_thread(time.sleep, WAIT)
        """,
    "job of an executor": """
        async def test_it():
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                list(pool.map(time.sleep, [0.01, 0.01]))
                await asyncio.wrap_future(pool.submit(time.sleep, WAIT))
        """,
    "process pool": """
        async def test_it():
            context = multiprocessing.get_context("fork")
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                await asyncio.get_running_loop().run_in_executor(pool, time.sleep, WAIT)
        """,
    "child process": """
        @pytest.mark.parametrize("pidfd", [True, False])
        def test_it(pidfd, monkeypatch):
            if sys.version_info >= (3, 14):
                monkeypatch.setattr(asyncio.unix_events, "can_use_pidfd", lambda: pidfd)
            else:
                watcher = asyncio.PidfdChildWatcher if pidfd else asyncio.ThreadedChildWatcher
                monkeypatch.setattr(asyncio.get_event_loop_policy(), "_watcher", watcher())
            async def main():
                process = await asyncio.create_subprocess_exec("sleep", f"{WAIT}")
                assert await process.wait() == 0
            asyncio.run(main())
        """,
    "child process with pipes": """
        async def test_it():
            process = await asyncio.create_subprocess_shell(
                f"sleep {WAIT}; echo yes", stdout=asyncio.subprocess.PIPE
            )
            assert await process.communicate() == (b"yes\\n", None)
        """,
    "signal of a child process": """
        async def test_it():
            event = waiting()
            signal.signal(signal.SIGUSR1, lambda *_: wake(event.set))
            with subprocess.Popen(["sh", "-c", f"sleep {WAIT}; kill -USR1 {os.getpid()}"]):
                await event.wait()
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        """,
    "signal of another process": """
        async def test_it():
            event = waiting()
            signal.signal(signal.SIGUSR1, lambda *_: wake(event.set))
            from_elsewhere(f"kill -USR1 {os.getpid()}")
            await event.wait()
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        """,
    "socket": """
        async def test_it():
            ours, theirs = socket.socketpair()
            from_elsewhere("echo x", stdout=theirs)
            theirs.close()
            ours.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(ours, 1) == b"x"
            ours.close()
        """,
    "pipe": """
        async def test_it():
            event = waiting()
            ours, theirs = os.pipe()
            from_elsewhere("echo x", stdout=theirs)
            os.close(theirs)
            asyncio.get_running_loop().add_reader(ours, event.set)
            await event.wait()
            asyncio.get_running_loop().remove_reader(ours)
            os.close(ours)
        """,
    "signal handler of the loop": """
        async def test_it():
            event = waiting()
            loops[0].add_signal_handler(signal.SIGUSR1, event.set)
            from_elsewhere(f"kill -USR1 {os.getpid()}")
            await event.wait()
            loops[0].remove_signal_handler(signal.SIGUSR1)
        """,
    "signal handler and a timer of the system": """
        async def test_it():
            event = waiting()
            signal.signal(signal.SIGALRM, lambda *_: wake(event.set))
            signal.setitimer(signal.ITIMER_REAL, WAIT)
            await event.wait()
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        """,
    "loop in another thread": """
        async def test_it():
            event = waiting()
            async def other():
                await asyncio.sleep(WAIT)
                wake(event.set)
            thread = threading.Thread(target=asyncio.run, args=(other(),))
            thread.start()
            await event.wait()
            thread.join()
        """,
    "thread that waits for a loop, with a limit": """
        def test_it():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            future = asyncio.run_coroutine_threadsafe(wait(), loop)
            with pytest.raises(concurrent.futures.TimeoutError):
                future.result(timeout=WAIT)
            future.cancel()
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        async def wait():
            await asyncio.Event().wait()
        """,
    "loop that waits for a thread": """
        def test_it():
            # The loop is idle, and this thread will use it.
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            time.sleep(WAIT)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        """,
    "thread that is not Python's": """
        async def test_it():
            event = waiting()
            def call(_):
                later(event.set)
            call = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(call)
            thread = ctypes.c_ulong()
            create = ctypes.CDLL(None).pthread_create
            assert create(ctypes.byref(thread), None, call, None) == 0
            await event.wait()
            ctypes.CDLL(None).pthread_join(thread, None)
        """,
    "blocked step": """
        def test_it():
            async def main():
                time.sleep(WAIT)
            asyncio.run(main())
        """,
    "between two runs": """
        def test_it():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(asyncio.sleep(0))
            time.sleep(WAIT)
            loop.close()
        """,
}
