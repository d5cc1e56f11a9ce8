"""Shows whether memory use grows during a long run, with the plugin and without it.

python -m benchmarks.leak [TESTS]

TESTS is the number of tests, 20,000 by default.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

#: COUNT tests that use common features of asyncio. Those whose numbers are in MARKS measure.
SUITE = '''
import asyncio, gc, json, os, resource, sys, threading
import pytest

COUNT = int(os.environ["COUNT"])
SEEN = {}

async def hold():
    await asyncio.sleep(0)

async def boom():
    raise ValueError

def look(number):
    """Record the objects, threads, file descriptors and memory of the process."""
    gc.collect()
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
    kinds = {}
    for obj in gc.get_objects():
        name = type(obj).__module__ + "." + type(obj).__qualname__
        if name.startswith(("asyncio.", "_asyncio.", "pytest_asyncio_traps")) or name in (
            "builtins.coroutine", "builtins.frame", "builtins.weakref", "weakref.ReferenceType",
            "builtins.async_generator", "_contextvars.Context", "builtins.traceback",
        ):
            kinds[name] = kinds.get(name, 0) + 1
    rss = 0
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            rss = int(file.read().split()[1]) * resource.getpagesize()
    SEEN[number] = {"files": files, "threads": threads, "kinds": kinds, "rss": rss,
                    "objects": len(gc.get_objects()), "blocks": sys.getallocatedblocks()}

@pytest.mark.parametrize("number", range(1, COUNT + 1))
async def test_it(number):
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(hold())
    await task
    await asyncio.gather(boom(), hold(), return_exceptions=True)
    future = loop.create_future()
    loop.call_soon(future.set_result, 1)
    await future
    loop.call_later(60, print).cancel()
    async for _ in numbers():
        pass
    if number % 50 == 0:
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()
    if number in MARKS:
        look(number)

async def numbers():
    yield 1

MARKS = [int(mark) for mark in os.environ["MARKS"].split(",")]

def test_last():
    with open("growth.json", "w") as file:
        json.dump(SEEN, file)
'''


def measure(count: int, plugins: tuple[str, ...]) -> dict[int, dict[str, Any]]:
    """What the process held after 5, 10, 25, 50, 75 and 100 percent of ``count`` tests."""
    marks = [count * part // 20 for part in (1, 2, 5, 10, 15, 20)]
    with TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(SUITE)
        Path(folder, "pytest.ini").write_text(
            "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        )
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [part for name in plugins for part in ("-p", name)]
        if "asyncio_traps" in plugins:
            # Counting all objects makes for a slow step.
            command.append("--asyncio-slow-callback-duration=60")
        subprocess.run(
            command,
            cwd=folder,
            env={
                **os.environ,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "COUNT": str(count),
                "MARKS": ",".join(map(str, marks)),
            },
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seen = json.loads(Path(folder, "growth.json").read_text())
    return {int(number): there for number, there in seen.items()}


def main() -> None:
    """Run the tests with and without the plugin, and print a table for each run."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    for plugins in (("asyncio",), ("asyncio", "asyncio_traps")):
        print("with the plugin" if len(plugins) > 1 else "without")
        print("   tests   RSS, MB   objects    blocks  weakrefs  threads  descriptors")
        for number, there in measure(count, plugins).items():
            print(
                f"{number:8,} {there['rss'] / 2**20:9.1f} {there['objects']:9,} "
                f"{there['blocks']:9,} {there['kinds'].get('weakref.ReferenceType', 0):9,} "
                f"{there['threads']:8} {there['files']:12}"
            )


if __name__ == "__main__":
    main()
