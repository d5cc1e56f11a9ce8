"""One run of a suite, with the plugin or without it."""

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

#: The ways to run a suite: what pytest is told, and what is in the environment.
WAYS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "without": (("-p", "no:asyncio_traps"), {}),
    "with": (("-p", "asyncio_traps", "--asyncio-traps=warn"), {}),
    # pytest-asyncio hands debug=False to its loops unless told otherwise.
    "debug": (("-p", "no:asyncio_traps"), {"PYTHONASYNCIODEBUG": "1"}),
}

#: Seconds that a process may take to end, after the session of its pytest.
LINGER = 60.0

#: How the terminal says that the plugin itself has failed.
FAULT = "a fault of pytest-asyncio-traps"


@dataclass
class Run:
    """What came out of one run."""

    outcomes: dict[str, Outcome]
    seconds: float
    #: The exit code of pytest; None if the run had to be ended.
    code: int | None
    output: str
    #: The plugin's own report.
    report: dict[str, Any] = field(default_factory=dict)
    #: Hooks that were entered, and in how many tests each; only if that was asked for.
    hooks: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether pytest came to the end of its tests."""
        return self.code in (0, 1)

    @property
    def fault(self) -> str:
        """What the terminal says about a fault of the plugin's, if there was one."""
        _, found, text = self.output.partition(FAULT)
        return f"{found}{text}" if found else ""


class Runner:
    """Runs a suite, each time in a process of its own."""

    def __init__(self, suite: Suite, place: Place, timeout: float) -> None:
        self.suite = suite
        self.place = place
        self.timeout = timeout
        # A job in the background ignores Ctrl-C, and so would the tests that interrupt
        # themselves: what has a handler here is as it was by default there.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(self, way: str, targets: Sequence[str], hooks: bool = False) -> Run:
        """Run ``targets`` in one of `WAYS`."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as name:
            folder = Path(name)
            # Under names of their own: the suite may have modules of the plain ones.
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
        # What the caller's shell sets for other work must not reach the suite.
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
        """The output and the exit code of ``command``; no code if it would not come to an end."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen(
                command,
                env=env,
                cwd=self.place.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,  # not a pipe, which a child that stays behind would hold open
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = self._wait(process, has_ended)
                if code is None:
                    # pytest has Python print the stack of each thread.
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
            # A thread that a test has left may keep the process from its end.
            if now - began > self.timeout or (ended and now - ended > LINGER):
                return None


def _has_ended(record: Path) -> bool:
    """Whether pytest has come to the end of its session, as far as is recorded."""
    if not record.exists():
        return False
    with record.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
        return b'"when": "end"' in file.read()


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a run, the processes that its tests have left included."""
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
