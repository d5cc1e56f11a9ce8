"""Runs a suite once, with or without the plugin."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .outcomes import Outcome, outcomes
from .suites import Place, Suite

HERE = Path(__file__).parent

#: The ways to run a suite: arguments of pytest and environment variables.
WAYS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "without": (("-p", "no:asyncio_traps"), {}),
    "with": (("-p", "asyncio_traps", "--asyncio-traps=warn"), {}),
    # This does not affect loops of pytest-asyncio, which passes debug=False to them by default.
    "debug": (("-p", "no:asyncio_traps"), {"PYTHONASYNCIODEBUG": "1"}),
}

#: Seconds within which the process must exit after pytest has finished its session.
LINGER = 60.0

#: Heading of the section of the terminal that reports a fault of the plugin.
FAULT = "a fault of pytest-asyncio-traps"


@dataclass
class Run:
    """The result of a run. ``output`` is what pytest printed."""

    outcomes: dict[str, Outcome]
    seconds: float
    #: The exit code of pytest; None if the run was killed.
    code: int | None
    output: str
    #: The JSON report of the plugin; empty without the plugin.
    report: dict[str, Any] = field(default_factory=dict)
    #: For each hook, the number of tests that entered it, by test module. Empty unless requested.
    hooks: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether pytest finished all tests."""
        return self.code in (0, 1)

    @property
    def fault(self) -> str:
        """The output about a fault of the plugin; empty if there was none."""
        _, found, text = self.output.partition(FAULT)
        return f"{found}{text}" if found else ""


class Runner:
    """Runs a suite, each time in a new process. ``timeout`` is in seconds."""

    def __init__(self, suite: Suite, place: Place, timeout: float) -> None:
        self.suite = suite
        self.place = place
        self.timeout = timeout
        # Shells start background jobs with SIGINT ignored. Child processes would inherit that, and
        # tests that interrupt themselves would fail. A handler is not inherited.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(self, way: str, targets: Sequence[str], hooks: bool = False) -> Run:
        """Run ``targets`` in one of `WAYS`. ``hooks`` records which tests enter which hook."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as name:
            folder = Path(name)
            # Prefixed, because the suite may have modules called "recorder" or "hooks".
            shutil.copy(HERE / "recorder.py", folder / "conformance_recorder.py")
            shutil.copy(HERE / "hooks.py", folder / "conformance_hooks.py")
            return self._run(folder, way, targets, hooks)

    def _run(self, folder: Path, way: str, targets: Sequence[str], hooks: bool) -> Run:
        args, extra = WAYS[way]
        record, report, touched = (folder / f"{n}.json" for n in ("record", "report", "hooks"))
        command = [
            self.place.python,
            *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(arg for plugin in self.suite.plugins for arg in ("-p", plugin)),
            *("-p", "pytest_asyncio.plugin", "-p", "conformance_recorder"),
            *("-c", str(self.place.folder / "pytest.ini"), f"--rootdir={self.place.rootdir}"),
            *args,
        ]
        if way == "with":
            command += [f"--asyncio-traps-report={report}"]
        if hooks:
            command += ["-p", "conformance_hooks"]
        # Settings of the caller's shell must not affect the suite.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
        env |= {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(folder),
            "CONFORMANCE_RECORD": str(record),
            "CONFORMANCE_HOOKS": str(touched),
            **extra,
        }
        began = time.monotonic()
        command += ["--pyargs", *targets]
        output, code = self._execute(command, env, lambda: _has_ended(record))
        seconds = time.monotonic() - began
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
        return Run(
            outcomes(json.loads(line) for line in lines),
            seconds,
            code,
            output,
            _read(report),
            _read(touched),
        )

    def _execute(
        self, command: list[str], env: dict[str, str], has_ended: Callable[[], bool]
    ) -> tuple[str, int | None]:
        """The output and the exit code of ``command``; None as code if it had to be killed."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen(
                command,
                env=env,
                cwd=self.place.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,  # not a pipe: a surviving child process would keep it open
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = self._wait(process, has_ended)
                if code is None:
                    # faulthandler, enabled by pytest, prints the stack of each thread.
                    process.send_signal(getattr(signal, "SIGABRT", signal.SIGTERM))
            finally:
                _end_all(process)
            output.seek(0)
            return output.read(), code

    def _wait(self, process: subprocess.Popen[bytes], has_ended: Callable[[], bool]) -> int | None:
        began, ended = time.monotonic(), 0.0
        while True:
            try:
                return process.wait(1)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            ended = ended or (now if has_ended() else 0.0)
            # A thread that a test left running may keep the process from exiting.
            if now - began > self.timeout or (ended and now - ended > LINGER):
                return None


def _has_ended(record: Path) -> bool:
    """Whether ``record`` says that pytest has finished its session."""
    if not record.exists():
        return False
    with record.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
        return b'"when": "end"' in file.read()


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill the process of a run if necessary, and all processes that its tests left running."""
    if process.poll() is None:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    process.wait()
