"""Measures the CPU time that loading the plugin takes, with and without cached bytecode.

A container that sets ``PYTHONDONTWRITEBYTECODE``, or a read-only site-packages, keeps pytest from
caching the modules that it compiles. The plugin is measured in its installed form: copied to a
separate folder, with metadata, and compiled as pip does.
"""

from __future__ import annotations

import compileall
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pytest_asyncio_traps", "pytest_asyncio_traps_loader")


ENTRY = "[pytest11]\nasyncio_traps = pytest_asyncio_traps_loader.entry:plugin\n"


def install(site: Path) -> None:
    """Install a copy of the plugin in the folder ``site``."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, site / package, ignore=shutil.ignore_patterns("*.pyc"))
    compileall.compile_dir(site, quiet=2)
    info = site / "pytest_asyncio_traps-0.dist-info"
    info.mkdir()
    texts = {
        "METADATA": "Metadata-Version: 2.1\nName: pytest-asyncio-traps\nVersion: 0\n",
        "entry_points.txt": ENTRY,
        "RECORD": "".join(
            f"{path.relative_to(site).as_posix()},,\n" for path in site.rglob("*") if path.is_file()
        ),
    }
    for name, text in texts.items():
        (info / name).write_text(text, encoding="utf-8")


def cpu_of(command: list[str], folder: Path, env: dict[str, str]) -> float:
    """CPU time of ``command`` in seconds, user and system. Raises `SystemExit` if it fails."""
    import resource  # not on Windows

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """CPU seconds of a run of one trivial test, without the plugin and with it.

    The medians of ``rounds`` rounds, but of at least five.
    """
    suite, site = folder / "start", folder / "site"
    suite.mkdir()
    (suite / "test_it.py").write_text("def test_it(): pass\n", encoding="utf-8")
    (suite / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8"
    )
    install(site)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "PYTHON"))
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    table = {}
    for title, more in (
        ("start, with bytecode", {}),
        ("start, without bytecode", {"PYTHONDONTWRITEBYTECODE": "1"}),
    ):
        env = {**kept, "PYTHONPATH": str(site), **more}
        off, on = [], []
        cpu_of(command, suite, env)
        for _ in range(max(rounds, 5)):
            off.append(cpu_of([*command, "-p", "no:asyncio_traps"], suite, env))
            on.append(cpu_of(command, suite, env))
        # The median of the differences is steadier than the difference of medians: runs alternate.
        median = statistics.median(off)
        more_ = statistics.median(b - a for a, b in zip(off, on, strict=True))
        table[title] = median, median + more_
    return table
