"""Calls that block, however short."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ..run import Suite
from .variants import check

ON = "--asyncio-traps=fail:blocking-call"


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        import io, pathlib, queue, sqlite3, subprocess, concurrent.futures

        async def test_sleep():
            time.sleep(0.001)  # here

        async def test_open():
            open(__file__).close()  # here

        async def test_read_text():
            pathlib.Path(__file__).read_text()  # here

        async def test_socket():
            ours, theirs = socket.socketpair()
            ours.send(b"1")  # here
            theirs.recv(1)  # here
            ours.close()
            theirs.close()

        async def test_name():
            socket.getaddrinfo("localhost", 80)  # here

        async def test_subprocess():
            subprocess.run([sys.executable, "-c", ""])  # here

        async def test_queue():
            with pytest.raises(queue.Empty):
                queue.Queue().get(timeout=0.001)  # here

        async def test_join():
            go = threading.Event()
            thread = threading.Thread(target=go.wait, args=(20,))
            thread.start()
            thread.join(0.0001)  # here
            go.set()
            await asyncio.to_thread(thread.join)

        async def test_result_of_a_thread():
            with pytest.raises(TimeoutError):
                concurrent.futures.Future().result(timeout=0.001)  # here

        async def test_database():
            sqlite3.connect(":memory:").close()  # here

        async def test_in_a_callback():
            asyncio.get_running_loop().call_soon(time.sleep, 0.001)  # here
            await work()

        async def test_in_a_helper():
            def helper():
                time.sleep(0.001)  # here
            helper()
        """,
        "blocking-call",
        ON,
        "--asyncio-slow-callback-duration=60",  # to start a Python takes a while
    )


def test_near_misses(suite: Suite) -> None:
    """Other threads, sockets that do not wait, no loop that runs, asyncio's own, imports."""
    suite.write(helper="import time", other="X = 1")
    outcome = suite.test(
        """
        import asyncio
        import logging
        import queue
        import socket
        import sys
        import threading
        import time
        import traceback
        import warnings

        def test_no_loop():
            time.sleep(0.001)
            open(__file__).close()

        async def test_thread():
            await asyncio.to_thread(time.sleep, 0.001)

        async def test_nothing_to_wait_for():
            time.sleep(0)
            things = queue.Queue()
            things.put(1)
            assert things.get() == 1
            thread = threading.Thread(target=print)
            thread.start()
            while thread.is_alive():
                await asyncio.sleep(0.001)
            thread.join()

        async def test_socket():
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                theirs.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(ours, b"1")
                assert await loop.sock_recv(theirs, 1) == b"1"
                ours.send(b"1")

        async def test_asyncios_own():
            async def handle(reader, writer):
                writer.close()
            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                host, port = server.sockets[0].getsockname()
                reader, writer = await asyncio.open_connection(host, port)
                await reader.read()
                writer.close()
                await writer.wait_closed()
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
            await process.wait()

        async def test_address():
            socket.getaddrinfo("127.0.0.1", 80)

        async def test_import():
            import helper
            import other

        async def test_those_who_show_source():
            try:
                1 / 0
            except ZeroDivisionError:
                traceback.format_exc()
                logging.getLogger("x").exception("so what")
            with warnings.catch_warnings(record=True):
                warnings.warn("so what")
        """,
        ON,
    )

    outcome.clean()


def test_nothing_changes_for_the_caller(suite: Suite) -> None:
    """Wrong arguments raise what they always do; what is returned and raised passes through."""
    outcome = suite.test(
        """
        import asyncio
        import time
        import pytest

        @pytest.mark.asyncio_allow("blocking-call", reason="on purpose")
        async def test_it():
            with pytest.raises(TypeError):
                time.sleep()
            with pytest.raises(ValueError):
                time.sleep(-1)
            with pytest.raises(FileNotFoundError):
                open("/nowhere/at/all")
            with open(__file__) as file:
                assert file.readline() == "\\n" or True
            assert time.sleep(0.001) is None
        """,
        ON,
    )

    outcome.result.assert_outcomes(passed=1)
    outcome.no_fault()


def test_it_is_off_unless_a_rule_names_it(suite: Suite) -> None:
    suite.write(
        test_it="""
        import time

        async def test_it():
            time.sleep(0.001)
        """
    )

    assert suite.run("--asyncio-strict").kinds == []
    assert suite.run("--asyncio-traps=fail").kinds == []
    assert suite.run("--asyncio-traps=warn:blocking-call").kinds == ["blocking-call"]


def test_a_call_that_did_block_for_long_is_a_slow_callback(suite: Suite) -> None:
    """One cause, one finding."""
    outcome = suite.test(
        """
        import asyncio
        import time

        async def test_it():
            await asyncio.sleep(0)
            time.sleep(0.3)
        """,
        ON,
    )

    assert outcome.only()["kind"] == "slow-callback"


def test_what_is_replaced_passes_for_a_function_of_c(suite: Suite) -> None:
    """Kept in a class it is no method, it is pickled by its name, and open() is one function."""
    outcome = suite.test(
        """
        import asyncio, io, os, pickle, select, socket, sqlite3, sys, time
        import pytest

        FUNCTIONS = [time.sleep, open, input, os.system, select.select, socket.getaddrinfo,
                     socket.gethostbyname, sqlite3.connect]

        def test_in_a_class():
            class Retry:
                pause, open, database = time.sleep, io.open, sqlite3.connect

            retry = Retry()
            retry.pause(0)
            retry.open(os.devnull).close()
            retry.database(":memory:").close()
            assert Retry.pause is time.sleep

        def test_two_names():
            assert io.open is open

        @pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
        def test_pickle(function):
            assert pickle.loads(pickle.dumps(function)) is function

        def test_kept_by_the_standard_library(tmp_path):
            sys.modules.pop("dbm.dumb", None)
            import dbm.dumb
            with dbm.dumb.open(str(tmp_path / "db"), "c") as database:
                database["key"] = "value"
        """,
        ON,
        "--asyncio-strict",
    )

    outcome.clean()


@pytest.mark.skipif(find_spec("pytest_cov") is None, reason="pytest-cov is not installed")
def test_coverage_is_no_call_of_the_users(suite: Suite) -> None:
    """It reads sources and writes its data while loops run."""
    suite.write(helper="def value(): return 1")
    outcome = suite.test(
        """
        import asyncio
        import coverage

        async def test_it():
            import helper
            assert helper.value() == 1
            coverage.Coverage.current().save()
            await asyncio.sleep(0)
        """,
        ON,
        "--cov=helper",
        "--cov-branch",
        plugins=("pytest_cov",),
    )

    outcome.clean()
