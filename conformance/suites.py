"""The suites that judge, and what each needs to be run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Suite:
    """Somebody's test suite."""

    name: str
    #: What of the suite pytest is given, and what in a run of a part.
    targets: tuple[str, ...]
    part: tuple[str, ...]
    #: The source distribution, as pip knows it; none for what comes with the interpreter.
    requirement: str | None = None
    #: The folder of the source distribution that holds the tests; none where what is
    #: installed holds them.
    tests: str | None = None
    #: What its tests need besides.
    needs: tuple[str, ...] = ()
    #: Whether it is built from its source, too, since that is what installs the tests.
    build: bool = False
    #: The settings of pytest in its own configuration that matter.
    ini: str = ""
    #: A ``conftest.py`` that does what the suite's own runner does.
    conftest: str = ""
    #: The plugins of pytest that its tests want; pytest-asyncio is always there.
    plugins: tuple[str, ...] = ()
    #: Tests of debug mode itself, and why they read it. They are compared with asyncio's own
    #: debug mode in place of a run without the plugin.
    about_debug: tuple[tuple[str, str], ...] = ()
    #: How the names of those hooks begin that this suite is to enter.
    hooks: str = ""
    #: Hooks that it has no test for, and who tests them instead.
    no_test: tuple[tuple[str, str], ...] = ()
    #: Tests that show a limit which ``docs/limitations.rst`` names, and which.
    limits: tuple[tuple[str, str], ...] = ()


#: Of each suite: pytest-asyncio warns where this is not said.
_INI = """[pytest]
asyncio_default_fixture_loop_scope = function
"""

#: Of a suite of unittest's. pytest would collect classes by their names, mixins among them.
_UNITTEST = """
python_classes =
python_functions =
"""

#: Of asyncio's tests, those that touch every hook.
_PART = (
    "base_events", "futures", "locks", "queues", "runners", "streams", "taskgroups", "threads",
    "unix_events", "tasks::CTask_CFuture_Tests", "tasks::RunCoroutineThreadsafeTests",
)  # fmt: skip

#: Tests of what the plugin replaces outside of asyncio.
_BESIDE = (
    "test.test_asyncgen",
    "test.test_contextlib_async",
    "test.test_coroutines",
    "test.test_sys::UnraisableHookTest",
    "test.test_threading::ExceptHookTests",
    "test.test_warnings",
)

CPYTHON = Suite(
    "cpython",
    targets=("test.test_asyncio", *_BESIDE),
    part=(*(f"test.test_asyncio.test_{name}" for name in _PART), *_BESIDE),
    ini=_UNITTEST,
    # Its tests put hooks of their own there, or call Python's by name.
    no_test=(
        ("sys.unraisablehook", "tests/traps/test_callback_exception.py"),
        ("threading.excepthook", "tests/traps/test_wrong_thread.py"),
    ),
    limits=(
        (
            "test_coroutines.py::OriginTrackingTest::test_origin_tracking",
            "Python notes the line of each coroutine (cr_origin), though the depth reads 0",
        ),
    ),
)

UVLOOP = Suite(
    "uvloop",
    requirement="uvloop==0.23.0",
    tests="tests",
    needs=("aiohttp>=3.10.5", "psutil", "pyOpenSSL>=26.4"),
    targets=("tests",),
    part=("tests/test_base.py", "tests/test_context.py"),
    ini=_UNITTEST,
    hooks="uvloop.",
)

ANYIO = Suite(
    "anyio",
    requirement="anyio==4.16.0",
    tests="tests",
    needs=(
        "blockbuster>=1.5.29",
        "hypothesis>=4.18.2",
        "psutil>=5.9",
        "pytest-mock>=3.14",
        "pytest-timeout>=2.4",
        "trio>=0.32",
        "trustme>=1",
        "truststore>=0.9.1",
        "uvloop>=0.22.1",
    ),
    targets=("tests",),
    part=("tests/test_taskgroups.py", "tests/test_synchronization.py"),
    # Of its filters of warnings ("error"), the plugin's own is left out: it would turn the rule
    # "warn" into "fail". So is what destructors say: it shows in whatever test the collector
    # runs in, once a test has failed and left its sockets open.
    ini="""
anyio_mode = auto
timeout = 60
xfail_strict = true
filterwarnings =
    error
    ignore:Module globals; __loader__ != __spec__.loader:DeprecationWarning:
    default::pytest_asyncio_traps.AsyncioTrapWarning
    ignore::pytest.PytestUnraisableExceptionWarning
markers =
    network: marks tests as requiring Internet access
""",
    plugins=("anyio", "pytest_mock", "timeout"),
)

TORNADO = Suite(
    "tornado",
    requirement="tornado==6.6.1",
    build=True,
    targets=("tornado.test",),
    part=("tornado.test.ioloop_test", "tornado.test.gen_test", "tornado.test.locks_test"),
    ini=f"{_UNITTEST}python_files = *_test.py",
    conftest="""
import logging

logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
""",
)

SUITES = {suite.name: suite for suite in (CPYTHON, UVLOOP, ANYIO, TORNADO)}


@dataclass(frozen=True)
class Place:
    """Where a suite is run, by which interpreter, and from where its nodeids count."""

    folder: Path
    python: str
    rootdir: Path


def set_up(suite: Suite, home: Path) -> Place:
    """Have everything ready in ``home``; what is there already is kept.

    Raises `SystemExit` if the suite cannot be had.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = home.absolute() / f"{suite.name}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pytest.ini").write_text(f"{_INI}{suite.ini}\n", encoding="utf-8")
    (folder / "conftest.py").write_text(suite.conftest, encoding="utf-8")
    if suite.requirement is None:
        spec = importlib.util.find_spec("test")
        place = Path(spec.origin).parent if spec is not None and spec.origin else None
        if place is None or not (place / "test_asyncio").is_dir():
            raise SystemExit(f"{sys.executable} has come without its tests (the package test)")
        return Place(folder, sys.executable, place)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = folder / "done.txt"
    wanted = "\n".join([suite.requirement, *suite.needs, str(CHECKOUT)])
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        venv.create(folder / "venv", with_pip=True, clear=True)
        name = suite.requirement.partition("==")[0]
        only = [f"--no-binary={name}"] if suite.build else []
        _pip(python, "install", *only, suite.requirement, *suite.needs, "-e", str(CHECKOUT))
        if suite.tests is not None:
            _fetch(suite.requirement, suite.tests, python, folder)
        done.write_text(wanted, encoding="utf-8")
    return Place(folder, str(python), folder)


def _pip(python: Path, command: str, *args: str) -> None:
    subprocess.run(
        [python, "-m", "pip", command, "-q", "--disable-pip-version-check", *args], check=True
    )


def _fetch(requirement: str, tests: str, python: Path, folder: Path) -> None:
    """Unpack the tests alone: beside them, the package's source would hide what is installed."""
    downloads = folder / "downloads"
    downloads.mkdir(exist_ok=True)
    for old in downloads.iterdir():
        old.unlink()
    _pip(
        python, "download", "--no-binary", ":all:", "--no-deps", "-d", str(downloads), requirement
    )  # fmt: skip
    (archive,) = downloads.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            _, _, inner = member.name.partition("/")
            if inner == tests or inner.startswith(f"{tests}/"):
                member.name = inner
                tar.extract(member, folder, filter="data")
