"""Prints what the plugin costs: see README.rst."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
OFF = ("-p", "no:asyncio_traps")
# The operations take long steps, on purpose.
ON = ("-p", "asyncio_traps", "--asyncio-slow-callback-duration=60")

SYNC = "".join(f"def test_{n}(): pass\n" for n in range(3000))
ASYNC = "import asyncio\n" + "".join(
    f"async def test_{n}(): await asyncio.sleep(0)\n" for n in range(500)
)
#: How long a test takes, set-up and teardown included, on a heap of a million objects.
HEAP = """
import asyncio
HEAP = [[] for _ in range(1_000_000)]
""" + "".join(f"async def test_{n}(): await asyncio.sleep(0)\n" for n in range(200))


def pytest_run(folder: Path, *args: str, env: dict[str, str] | None = None) -> float:
    """Seconds that one run of pytest takes."""

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "asyncio"]
    command += ["--asyncio-mode=auto", *args]
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON"))
    }
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(env or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - began


def alternating(runs: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """The best time of each run, the runs taking turns."""
    best = [float("inf")] * len(runs)
    for _ in range(rounds):
        best = [min(sofar, run()) for sofar, run in zip(best, runs, strict=True)]
    return best


def operations(
    folder: Path, rounds: int, variants: dict[str, tuple[str, ...]]
) -> dict[str, dict[str, float]]:
    """Nanoseconds of each operation of operations.py, by variant."""
    module = folder / "test_operations.py"
    module.write_text((HERE / "operations.py").read_text(encoding="utf-8"), encoding="utf-8")
    best: dict[str, dict[str, float]] = {name: {} for name in variants}
    for _ in range(rounds):
        for name, args in variants.items():
            out = folder / f"{name}.json"
            env = {"BENCHMARK_OUT": str(out)}
            if name == "debug mode":
                env["PYTHONASYNCIODEBUG"] = "1"
            pytest_run(folder, *args, module.name, env=env)
            for operation, value in json.loads(out.read_text(encoding="utf-8")).items():
                sofar = best[name].get(operation, float("inf"))
                best[name][operation] = min(sofar, value)
    return best


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--debug-mode", action="store_true")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    variants: dict[str, tuple[str, ...]] = {"off": OFF, "on": ON}
    if options.debug_mode:
        # pytest-asyncio 1.2 and later hands debug=False to its loops unless told otherwise.
        variants["debug mode"] = (*OFF, "--asyncio-debug")
    table: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text(
            "[pytest]\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8"
        )
        measured = operations(folder, options.rounds, variants)
        for operation, off in measured["off"].items():
            table[operation] = {
                "off_ns": off,
                **{name: measured[name][operation] / off for name in variants if name != "off"},
            }
        for title, text, tests in (
            ("3,000 trivial sync tests", SYNC, 3000),
            ("500 trivial async tests", ASYNC, 500),
            ("200 async tests on a heap of 1,000,000 objects", HEAP, 200),
        ):
            module = folder / "test_run.py"
            module.write_text(text, encoding="utf-8")
            off, on = alternating(
                [
                    lambda: pytest_run(folder, *OFF, "test_run.py"),
                    lambda: pytest_run(folder, *ON, "test_run.py"),
                ],
                options.rounds,
            )
            table[title] = {
                "off_ns": off * 1e9,
                "on": on / off,
                "per_test_ms": (on - off) / tests * 1e3,
            }
    versions = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    print(f"{versions}; ratios to plugin off, best of {options.rounds}")
    for title, row in table.items():
        shown = ", ".join(f"{key} {row[key]:.2f}" for key in ("on", "debug mode") if key in row)
        if "per_test_ms" in row:
            shown += f", {row['per_test_ms']:+.3f} ms a test"
        print(f"  {title:48} {shown}")
    if options.json:
        report = {"python": platform.python_version(), "rounds": options.rounds, "table": table}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
