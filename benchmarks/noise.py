"""Counts wrong verdicts about slow callbacks on a busy machine: ``python -m benchmarks.noise``.

Twice as many processes as there are CPUs keep the machine busy. Meanwhile, no step that works for
half of the threshold may be reported as slow, and every step that blocks for one and a half times
the threshold must be.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

INNOCENT, GUILTY, THRESHOLD = 25, 10, 0.1
#: A plugin, loaded before ours, that simulates a system without ``/proc/self/schedstat``.
NO_SCHEDSTAT = "from pytest_asyncio_traps.core import clock\nclock.KNOWS_WAITING = False\n"
SUITE = f"""
import asyncio, time, pytest

@pytest.mark.parametrize("n", range({INNOCENT}))
async def test_works(n):
    await asyncio.sleep(0)
    end = time.thread_time() + {THRESHOLD / 2}
    while time.thread_time() < end:
        pass

@pytest.mark.parametrize("n", range({GUILTY}))
async def test_blocks(n):
    await asyncio.sleep(0)
    time.sleep({THRESHOLD * 1.5})
"""


def burn() -> None:
    """Keep a CPU busy."""
    while True:
        pass


def main() -> None:
    """Count wrong verdicts about slow callbacks; exit with 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=main.__doc__)
    parser.add_argument(
        "--no-schedstat",
        action="store_true",
        help="simulate a system that does not tell how long a thread waited for a CPU",
    )
    options = parser.parse_args()
    burners = [
        multiprocessing.Process(target=burn, daemon=True) for _ in range(2 * (os.cpu_count() or 1))
    ]
    for burner in burners:
        burner.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "test_noise.py").write_text(SUITE, encoding="utf-8")
            (folder / "pytest.ini").write_text(
                "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
                f"asyncio_slow_callback_duration = {THRESHOLD}\n",
                encoding="utf-8",
            )
            command = [sys.executable, "-m", "pytest", "-q", "-p", "asyncio_traps"]
            command += ["-p", "no:cacheprovider", "--asyncio-traps-report=report.json"]
            env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "asyncio"}
            if options.no_schedstat:
                (folder / "no_schedstat.py").write_text(NO_SCHEDSTAT, encoding="utf-8")
                env["PYTHONPATH"] = str(folder)
                command[3:3] = ["-p", "no_schedstat"]
            subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, env=env)
            report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    finally:
        for burner in burners:
            burner.terminate()
    slow = {f["nodeid"] for f in report["findings"] if f["kind"] == "slow-callback"}
    false = sum("test_works" in nodeid for nodeid in slow)
    found = sum("test_blocks" in nodeid for nodeid in slow)
    print(
        f"{len(burners)} busy processes, {os.cpu_count()} CPUs, threshold {THRESHOLD} s: reported "
        f"as slow {false} of {INNOCENT} steps that worked for {THRESHOLD / 2} s, "
        f"and {found} of {GUILTY} that blocked for {THRESHOLD * 1.5:.2f} s"
    )
    sys.exit(bool(false or found < GUILTY))


if __name__ == "__main__":
    main()
