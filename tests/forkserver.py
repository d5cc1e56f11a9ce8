"""Runs modules such as pytest in forks of a process that has already imported them.

A fork shares no state with other runs, like a new interpreter, but skips the interpreter's start
and the imports, which take most of the time of a short run. It ends with the interpreter's usual
finalization.

Run as a module, this file is the server. It imports the modules named in its arguments. For each
job, a line of its input, it answers with the process id of the fork, and later with its exit status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]

#: Prefixes of the variables that an interpreter reads when it starts.
_START = ("PYTHON", "LC_", "LANG")
#: Exceptions: the server sets `sys.path` for each fork.
_LATER = ("PYTHONPATH",)


def start_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables in ``environ`` that only affect an interpreter at its start."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(_START) and name not in _LATER
    }


class Job(NamedTuple):
    """One run of ``python -m module *args``, with its output in two files."""

    module: str
    args: list[str]
    cwd: str
    env: dict[str, str]
    stdout: str
    stderr: str


class ForkServer:
    """Starts a server, and sends it jobs."""

    def __init__(self, *modules: str, env: dict[str, str] | None = None) -> None:
        self.env = dict(os.environ) if env is None else env
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forkserver", *modules],
            cwd=ROOT,
            env={**self.env, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, job: Job, timeout: float) -> int:
        """Run ``job`` and return its exit status, or minus the signal that killed it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        pid = self._answer(timeout)
        try:
            return self._answer(timeout)
        except TimeoutError:
            os.kill(pid, 9)
            self._answer(timeout)
            raise

    def _answer(self, timeout: float) -> int:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            raise TimeoutError(f"no answer within {timeout} s")
        line = os.read(self._process.stdout.fileno(), _WIDTH)
        assert line, "the server has ended"
        return int(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


#: The size of an answer: each is one write, and one read.
_WIDTH = 16


def _serve() -> Job | None:
    """Fork for each job. Returns the job in the fork, and None at the end of the input."""
    jobs, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(jobs) as lines:
        for line in lines:
            pid = os.fork()
            if pid == 0:
                os.close(answers)
                return Job(*json.loads(line))
            os.write(answers, str(pid).encode().ljust(_WIDTH))
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os.write(answers, str(status).encode().ljust(_WIDTH))
    return None


def _redirect(number: int, path: str, flags: int) -> None:
    file = os.open(path, flags, 0o666)
    os.dup2(file, number)
    os.close(file)


def _become(job: Job, usual_path: list[str]) -> None:
    """Set this process up as if it had been started for ``job``.

    ``usual_path`` is the `sys.path` of an interpreter without ``PYTHONPATH`` and script.
    """
    os.chdir(job.cwd)
    _redirect(0, os.devnull, os.O_RDONLY)
    for number, path in ((1, job.stdout), (2, job.stderr)):
        _redirect(number, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.environ.clear()
    os.environ.update(job.env)
    sys.path[:] = dict.fromkeys([job.cwd, *_parts(os.environ), *usual_path])
    sys.argv[1:] = job.args


def _parts(environ: Any) -> list[str]:
    return [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def _usual_path() -> list[str]:
    """What a new interpreter searches for modules; an editable install adds the project to it.

    Not a part of this process's own path: an entry that ``PYTHONPATH`` names as well is there once.
    """
    env = {name: value for name, value in os.environ.items() if name not in _LATER}
    code = "import json, sys; print(json.dumps(sys.path[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, check=True, cwd=os.sep
    )
    path: list[str] = json.loads(done.stdout)
    return path


def main() -> None:
    """Serve until the input ends."""
    for name in sys.argv[1:]:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # not installed
    if (asyncio := sys.modules.get("asyncio")) is not None:
        # `-p asyncio` means pytest-asyncio, but pytest also marks a module of that name for
        # assertion rewriting, and warns if it is already imported. This opts the module out.
        asyncio.__doc__ = f"{asyncio.__doc__} PYTEST_DONT_REWRITE"
    usual_path = _usual_path()
    gc.collect()
    gc.freeze()  # collections in a fork then leave the shared memory alone
    job = _serve()
    if job is None:
        return
    _become(job, usual_path)
    runpy.run_module(job.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
