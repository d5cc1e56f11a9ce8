"""Runs pytest on a small suite, with the plugin, and reads what it reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import default_plugins

from .forkserver import ForkServer, Job, start_of

#: Kinds whose line is where something happens, rather than where something was made.
_AT_LOCATION = {"slow-callback", "callback-exception", "blocking-call", "deadlock"}


@dataclass
class Outcome:
    """The result of one run: pytest's own, and the JSON report."""

    result: pytest.RunResult
    report: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, Any]]:
        return list(self.report["findings"])

    @property
    def kinds(self) -> list[str]:
        return [finding["kind"] for finding in self.findings]

    def only(self) -> dict[str, Any]:
        """The one finding there is."""
        assert len(self.findings) == 1, json.dumps(self.findings, indent=1)
        return self.findings[0]

    def clean(self) -> None:
        """Nothing was found, and nothing failed."""
        assert self.findings == [], json.dumps(self.findings, indent=1)
        assert self.result.ret == 0
        self.no_fault()

    def no_fault(self) -> None:
        """The plugin had no fault of its own."""
        self.result.stdout.no_fnmatch_line("*a fault of pytest-asyncio-traps*")


#: The plugins that a run loads by default.
PLUGINS = ("asyncio", "asyncio_traps")
#: The same with pytest-xdist.
XDIST = (*PLUGINS, "xdist")
#: The modules that pytest imports for `PLUGINS` before it looks at a suite.
_IMPORTED = (
    "pytest",
    *(f"_pytest.{name}" for name in default_plugins),
    "pytest_asyncio.plugin",
    "pytest_asyncio_traps_loader.entry",
)
_LOADED = [part for name in PLUGINS for part in ("-p", name)]
#: Seconds after which a run hangs.
_TIMEOUT = 120
#: Variables that a suite must not inherit.
UNSET = ("PYTEST_ADDOPTS", "PYTHONASYNCIODEBUG", "PYTHONWARNINGS", "PYTHONDEVMODE")


class Launcher:
    """Runs pytest in a separate process: a fork, or a new interpreter.

    The fork is one of a process that has already imported pytest, pytest-asyncio
    and the plugin. It is as isolated as a new interpreter, and takes a quarter of
    the time. A run gets a new interpreter where a fork would differ: if another
    plugin is loaded first, if a variable in the environment configures the
    interpreter, or if the platform cannot fork.
    """

    def __init__(self) -> None:
        self._env = {name: value for name, value in os.environ.items() if name not in UNSET}
        self._server: ForkServer | None = None

    def run(
        self,
        folder: Path,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: Path | None = None,
        fresh: bool = False,
        stdin: bytes | None = None,
    ) -> pytest.RunResult:
        """Run ``pytest *words``, without plugins that ``words`` do not name.

        The output goes to files in ``folder``, which is also the working
        directory unless ``cwd`` is given. ``fresh`` asks for a new interpreter;
        so does ``stdin``, the bytes on its standard input.
        """
        where, out, err = str(cwd or folder), folder / "stdout", folder / "stderr"
        path = os.pathsep.join(filter(None, [where, env.get("PYTHONPATH", "")]))
        env = {**env, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path}
        fresh = fresh or stdin is not None or not self._can_fork(words, env)
        began = time.perf_counter()
        status: int | pytest.ExitCode
        if fresh:
            with out.open("wb") as stdout, err.open("wb") as stderr:
                status = subprocess.run(
                    [sys.executable, "-m", "pytest", *words],
                    cwd=where,
                    env=env,
                    input=stdin or b"",
                    stdout=stdout,
                    stderr=stderr,
                    timeout=_TIMEOUT,
                ).returncode
        else:
            if self._server is None:
                self._server = ForkServer(*_IMPORTED, env=self._env)
            job = Job("pytest", list(words), where, env, str(out), str(err))
            status = self._server.run(job, _TIMEOUT)
        duration = time.perf_counter() - began
        if status in {code.value for code in pytest.ExitCode}:
            status = pytest.ExitCode(status)
        lines = [file.read_text(encoding="utf-8").splitlines() for file in (out, err)]
        text = "\n".join([*lines[0], *lines[1], ""])
        sys.stdout.write(text.encode("utf-8", "replace").decode())  # shown if the test fails
        return pytest.RunResult(status, lines[0], lines[1], duration)

    def _can_fork(self, words: Sequence[str], env: Mapping[str, str]) -> bool:
        return (
            hasattr(os, "fork")
            and list(words[: len(_LOADED)]) == _LOADED
            and start_of(env) == start_of(self._env)
        )

    def close(self) -> None:
        """End the server, if there is one."""
        if self._server is not None:
            self._server.close()


class Suite:
    """A folder with a small suite in it, run by pytest in a process of its own.

    A process of its own, because what a trap leaves behind would otherwise
    complain in the test that runs it. Only the plugins that are named are
    loaded, which makes a run three times as fast.

    That process is a fork or a new interpreter: see `Launcher`. A test sets
    ``fresh`` to get an interpreter if it is about imports, the start of the
    interpreter, or the garbage collector's view of objects that are older than
    the run. It sets ``stdin`` if the suite reads its standard input.
    """

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, launcher: Launcher
    ) -> None:
        self.pytester = pytester
        self.fresh = False
        self.stdin: bytes | None = None
        self._launcher = launcher
        self._runs = 0
        # For the scripts that tests run; `Launcher` sets it for runs of pytest.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name in UNSET:
            monkeypatch.delenv(name, raising=False)
        pytester.makeini(
            "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        )

    def write(self, **files: str) -> None:
        """Write modules; ``test_it="..."`` becomes ``test_it.py``."""
        self.pytester.makepyfile(**{name: textwrap.dedent(text) for name, text in files.items()})

    def run(self, *args: str, plugins: tuple[str, ...] = PLUGINS) -> Outcome:
        """Run pytest on the suite."""
        path = self.pytester.path / "report.json"
        path.unlink(missing_ok=True)
        loaded = [part for name in plugins for part in ("-p", name)]
        if "asyncio_traps" in plugins:
            loaded.append(f"--asyncio-traps-report={path}")
        self._runs += 1
        result = self._launcher.run(
            self.pytester.path,
            [
                *loaded,
                "-p",
                "no:cacheprovider",
                f"--basetemp={self.pytester.path}/run{self._runs}",
                *args,
            ],
            os.environ,
            cwd=Path.cwd(),
            fresh=self.fresh,
            stdin=self.stdin,
        )
        report = json.loads(path.read_text()) if path.exists() else {"findings": []}
        return Outcome(result, report)

    def test(self, text: str, *args: str, plugins: tuple[str, ...] = ()) -> Outcome:
        """Write ``text`` as a test module and run it, with further plugins."""
        self.write(test_it=text)
        return self.run(*args, plugins=(*PLUGINS, *plugins))

    def line_of(self, tag: str, name: str = "test_it.py") -> int:
        """The number of the line of ``name`` that ends in ``# tag``."""
        return line_of(self.pytester.path / name, tag)


def guilty(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(f["kind"], f["nodeid"].rpartition("::")[2], f["action"]) for f in outcome.findings]


def place_of(finding: dict[str, Any]) -> Any:
    """The place that a finding points to, if there is one."""
    return finding["location" if finding["kind"] in _AT_LOCATION else "origin"]


def environment(*, without: tuple[str, ...] = ("PYTEST", "PYTHONASYNCIO")) -> dict[str, str]:
    """This process's environment, without the variables whose names start so."""
    return {name: value for name, value in os.environ.items() if not name.startswith(without)}


def line_of(path: Path, tag: str) -> int:
    """The number of the line in ``path`` that ends in ``# tag``."""
    lines = path.read_text().splitlines()
    numbers = [n for n, line in enumerate(lines, 1) if line.rstrip().endswith(f"# {tag}")]
    assert len(numbers) == 1, f"{tag} stands in {len(numbers)} lines"
    return numbers[0]
