"""Measures the cost of the plugin: see README.rst."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from . import start

HERE = Path(__file__).parent

#: What suites without the plugin do to detect at least some of these bugs.
RECIPE = """
import gc, pytest

@pytest.fixture(autouse=True)
def collect():
    yield
    gc.collect()
"""


class Variant(NamedTuple):
    """A way to run a suite.

    ``plugins`` is the value of ``PYTEST_PLUGINS``; ``args`` and ``env`` are further arguments of
    pytest and environment variables.
    """

    plugins: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


# For each plugin in PYTEST_PLUGINS, pytest reads the metadata of all installed packages again. Each
# variant names two plugins, so that this cost cancels out.
ASYNCIO = "pytest_asyncio.plugin"
OFF = Variant(f"{ASYNCIO},nothing")
# The operations take long steps on purpose.
ON = Variant(f"{ASYNCIO},pytest_asyncio_traps.plugin", ("--asyncio-slow-callback-duration=60",))
DEBUG_ENV = (("PYTHONASYNCIODEBUG", "1"),)
VARIANTS = {
    "off": OFF,
    "on": ON,
    # --asyncio-debug: since version 1.2, pytest-asyncio passes debug=False to its loops by default.
    "debug mode": Variant(f"{ASYNCIO},nothing", ("--asyncio-debug",), DEBUG_ENV),
    "usual recipe": Variant(f"{ASYNCIO},recipe", ("-Werror", "--asyncio-debug"), DEBUG_ENV),
}

SUITES = {
    "3,000 trivial sync tests": (3000, "".join(f"def test_{n}(): pass\n" for n in range(3000))),
    "500 trivial async tests": (
        500,
        "import asyncio\n"
        + "".join(f"async def test_{n}(): await asyncio.sleep(0)\n" for n in range(500)),
    ),
    # The time includes setup and teardown.
    "200 async tests on a heap of 1,000,000 objects": (
        200,
        "import asyncio\nHEAP = [[] for _ in range(1_000_000)]\n"
        + "".join(f"async def test_{n}(): await asyncio.sleep(0)\n" for n in range(200)),
    ),
}


def pytest_run(folder: Path, variant: Variant, *args: str, out: Path | None = None) -> float:
    """Run pytest in ``folder``, and return the wall-clock time in seconds.

    ``out`` is the file for the results of `operations`. Raises `SystemExit` if a test fails.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--asyncio-mode=auto", *variant.args, *args]
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON"))
    }
    env = {
        **kept,
        **dict(variant.env),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": variant.plugins,
        "PYTHONPATH": os.pathsep.join([str(folder), str(HERE.parent)]),
    }
    if out is not None:
        out.unlink(missing_ok=True)
        env["BENCHMARK_OUT"] = str(out)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return took


def suite_run(folder: Path, on: bool) -> float:
    """Run the suite in ``folder``, whose tests may fail, and return the time in seconds."""
    args = ["--asyncio-traps=warn"] if on else ["-p", "no:asyncio_traps"]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def measure(folder: Path, rounds: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Nanoseconds by title and variant, the best of ``rounds``. The variants alternate."""
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8"
    )
    (folder / "recipe.py").write_text(RECIPE, encoding="utf-8")
    (folder / "nothing.py").write_text("", encoding="utf-8")
    operations = folder / "test_operations.py"
    operations.write_text((HERE / "operations.py").read_text(encoding="utf-8"), encoding="utf-8")
    table: dict[str, dict[str, float]] = {}

    def record(title: str, name: str, value: float) -> None:
        row = table.setdefault(title, {})
        row[name] = min(row.get(name, float("inf")), value)

    for _ in range(rounds):
        for name in names:
            if name == "usual recipe":
                continue  # within a test, it does not differ from debug mode
            out = folder / "out.json"
            pytest_run(folder, VARIANTS[name], operations.name, out=out)
            for title, value in json.loads(out.read_text(encoding="utf-8")).items():
                record(title, name, value)
    for title, (_, text) in SUITES.items():
        module = folder / "test_run.py"
        module.write_text(text, encoding="utf-8")
        for _ in range(rounds):
            for name in names:
                record(title, name, pytest_run(folder, VARIANTS[name], module.name) * 1e9)
    return table


def options_of(args: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="number of runs of each measurement (default: 5)"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="also measure debug mode and the usual recipe (takes minutes)",
    )
    parser.add_argument(
        "--suite",
        type=Path,
        metavar="FOLDER",
        action="append",
        default=[],
        help="also time pytest in FOLDER; repeatable",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results to PATH")
    return parser.parse_args(args)


def circumstances(rounds: int) -> dict[str, str | int]:
    """The date, the machine and the versions of a measurement."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "rounds": rounds,
        **{
            package: importlib.metadata.version(package)
            for package in ("pytest", "pytest-asyncio", "pytest-asyncio-traps")
        },
    }


def show(
    starts: dict[str, tuple[float, float]], table: dict[str, dict[str, float]], names: list[str]
) -> None:
    """Print the results of `start.measure` and `measure`, the latter as ratios."""
    columns = [name for name in names if name != "off"]
    for title, (without, with_it) in starts.items():
        cpu = f"{(with_it - without) * 1e3:+10.0f} ms of CPU ({without * 1e3:.0f} without it)"
        print(f"{title:48}{cpu}")
    print(f"{'ratio to the plugin off':48}" + "".join(f"{name:>14}" for name in columns))
    for title, row in table.items():
        shown = [f"{row[name] / row['off']:.2f}" if name in row else "" for name in columns]
        if title in SUITES:
            shown.append(f"{(row['on'] - row['off']) / SUITES[title][0] / 1e6:+.2f} ms a test")
        print(f"{title:48}" + "".join(f"{text:>14}" for text in shown))


def main() -> None:
    """Measure and print the cost of the plugin on this machine."""
    options = options_of()
    names = list(VARIANTS) if options.all else ["off", "on"]
    with tempfile.TemporaryDirectory() as folder:
        starts = start.measure(Path(folder), options.rounds)
        table = measure(Path(folder), options.rounds, names)
    for suite in options.suite:
        row = table[f"the suite in {suite.name}"] = {}
        for _ in range(options.rounds):
            for name, on in (("off", False), ("on", True)):
                row[name] = min(row.get(name, float("inf")), suite_run(suite, on) * 1e9)
    versions = circumstances(options.rounds)
    print(", ".join(f"{key} {value}" for key, value in versions.items()))
    show(starts, table, names)
    if options.json:
        report = {**versions, "nanoseconds": table, "start": starts}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
