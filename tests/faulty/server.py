"""Runs pytest in forks of one process that has imported everything that takes time.

Each line of its input is a run, as JSON: ``args``, ``env``, the folder in which it runs, and
the one in which it leaves its output. Each line of its output says how it ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

#: Seconds after which a run hangs.
PATIENCE = 120
#: The first of these are needed; the others, where they are installed.
_IMPORTS = (
    "asyncio", "concurrent.futures.thread", "multiprocessing", "sqlite3", "ssl", "unittest.mock",
    "pytest", "_pytest.junitxml", "_pytest.unraisableexception", "_pytest.threadexception",
    "_pytest.faulthandler", "_pytest.logging", "_pytest.doctest", "_pytest.pytester",
    "pytest_asyncio.plugin", "anyio.pytest_plugin", "anyio._backends._asyncio", "uvloop",
    "tornado.testing", "aiohttp.pytest_plugin", "xdist.plugin",
)  # fmt: skip


def _run(job: dict[str, object]) -> int:
    """Run pytest in this process. Returns its exit status."""
    folder = Path(str(job["folder"]))
    os.chdir(str(job["cwd"]))
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(file, number)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(job["env"])  # type: ignore[call-overload]
    import pytest

    from tests.faulty.snapshot import changes, settled, snapshot

    before = snapshot()
    try:
        status = int(pytest.main(job["args"]))  # type: ignore[arg-type]
    finally:
        changed = changes(before, settled(before))
        (folder / "changed.json").write_text(json.dumps(changed), encoding="utf-8")
        plugin = sys.modules.get("tests.faulty.plugin")
        if plugin is not None:
            plugin.end_survey()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _wait(pid: int) -> str | int:
    until = time.monotonic() + PATIENCE
    pause = 0.005
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"


def main() -> None:
    for name in _IMPORTS:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    gc.collect()
    gc.freeze()  # what is there already is no run's, and costs each of its collections
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                status = _run(job)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        cpu = os.times().children_user + os.times().children_system
        sys.stdout.write(
            json.dumps(
                {
                    "status": _wait(pid),
                    "cpu": os.times().children_user + os.times().children_system - cpu,
                }
            )
            + "\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
