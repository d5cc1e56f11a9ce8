"""The test suites for the comparison, and how to set them up."""

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
    """A test suite of another project."""

    name: str
    #: The arguments of pytest for the whole suite, and for a run with ``--part``.
    targets: tuple[str, ...]
    part: tuple[str, ...]
    #: The requirement that pip downloads; None for tests that come with the interpreter.
    requirement: str | None = None
    #: The folder with the tests in the source distribution; None if the installed package contains
    #: the tests.
    tests: str | None = None
    #: Further requirements of the tests.
    needs: tuple[str, ...] = ()
    #: Whether to build the package from source because only that installs the tests.
    build: bool = False
    #: The settings of the suite's own pytest configuration that matter.
    ini: str = ""
    #: A ``conftest.py`` that replaces the suite's own test runner.
    conftest: str = ""
    #: The pytest plugins that the tests need besides pytest-asyncio.
    plugins: tuple[str, ...] = ()
    #: Patterns for tests that depend on debug mode, each with the reason. They are compared with a
    #: run in asyncio's debug mode.
    about_debug: tuple[tuple[str, str], ...] = ()
    #: Prefix of the names of the hooks that this suite must enter.
    hooks: str = ""
    #: Hooks that the suite does not test, each with the file of ours that does.
    no_test: tuple[tuple[str, str], ...] = ()
    #: Patterns for tests that show a limitation of ``docs/limitations.rst``, each described.
    limits: tuple[tuple[str, str], ...] = ()


#: For all suites. Without this setting, pytest-asyncio warns.
_INI = """[pytest]
asyncio_default_fixture_loop_scope = function
"""

#: For suites of unittest. pytest would collect mixins, too, by the names of their classes.
_UNITTEST = """
python_classes =
python_functions =
"""

#: The tests of asyncio that together touch every hook.
_PART = (
    "base_events", "futures", "locks", "queues", "runners", "streams", "taskgroups", "threads",
    "unix_events", "tasks::CTask_CFuture_Tests", "tasks::RunCoroutineThreadsafeTests",
)  # fmt: skip

#: Tests of functions outside of asyncio that the plugin replaces.
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
    # Its tests install their own hooks there, or call Python's by name.
    no_test=(
        ("sys.unraisablehook", "tests/traps/test_callback_exception.py"),
        ("threading.excepthook", "tests/traps/test_wrong_thread.py"),
    ),
    limits=(
        (
            "test_coroutines.py::OriginTrackingTest::test_origin_tracking",
            "Python tracks the origin of coroutines (cr_origin), though the tracking depth reads 0",
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
    # anyio's filter "error" does not apply to warnings of the plugin, which it would turn into
    # failures, nor to those about exceptions in destructors: after a failed test that left sockets
    # open, these occur in whichever test the garbage collector runs.
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
    """A suite that is set up: the working folder, the interpreter, and the root of nodeids."""

    folder: Path
    python: str
    rootdir: Path


def set_up(suite: Suite, home: Path) -> Place:
    """Set up ``suite`` in the folder ``home``, unless that was done before.

    Raises `SystemExit` if the interpreter lacks its tests, and `subprocess.CalledProcessError` if
    pip fails.
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
            raise SystemExit(f"{sys.executable} lacks its tests, the package test")
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
    """Unpack only the tests: the source of the package would shadow the installed package."""
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
