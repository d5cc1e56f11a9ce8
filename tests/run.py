"""Runs pytest on a small suite, with the plugin, and reads what it reported."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import default_plugins

from .forkserver import ForkServer, Job, start_of

#: Kinds whose line is where something happens, rather than where something was made.
AT_LOCATION = {"slow-callback", "callback-exception", "blocking-call"}


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


#: The plugins of every run. What they import is there when a forked run begins.
PLUGINS = ("asyncio", "asyncio_traps")
#: What an interpreter imports for them, before anything of a suite.
_IMPORTED = (
    "pytest",
    *(f"_pytest.{name}" for name in default_plugins),
    "pytest_asyncio.plugin",
    "pytest_asyncio_traps_loader.entry",
)
#: What a suite is not to inherit.
_UNSET = ("PYTEST_ADDOPTS", "PYTHONASYNCIODEBUG", "PYTHONWARNINGS", "PYTHONDEVMODE")


class Forks:
    """Runs of pytest in forks; the server starts when the first of them is wanted."""

    def __init__(self) -> None:
        self._env = {name: value for name, value in os.environ.items() if name not in _UNSET}
        self._server: ForkServer | None = None

    def can_run(self, plugins: tuple[str, ...]) -> bool:
        """Whether a fork is what a new interpreter would be: see `Suite`."""
        return (
            hasattr(os, "fork")
            and plugins[:2] == PLUGINS
            and os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") == "1"
            and start_of(dict(os.environ)) == start_of(self._env)
        )

    def run(self, folder: Path, args: list[str], timeout: float) -> pytest.RunResult:
        """Run pytest in this process's folder, as `pytest.Pytester.runpytest_subprocess` does.

        The output goes to files in ``folder``.
        """
        if self._server is None:
            self._server = ForkServer(*_IMPORTED, env=self._env)
        cwd = str(Path.cwd())
        path = os.pathsep.join(filter(None, [cwd, os.environ.get("PYTHONPATH", "")]))
        env = {**os.environ, "PYTHONPATH": path}
        out, err = folder / "stdout", folder / "stderr"
        job = Job("pytest", args, cwd, env, str(out), str(err))
        began = time.perf_counter()
        status: int | pytest.ExitCode = self._server.run(job, timeout)
        duration = time.perf_counter() - began
        if status in {code.value for code in pytest.ExitCode}:
            status = pytest.ExitCode(status)
        lines = [file.read_text(encoding="utf-8").splitlines() for file in (out, err)]
        text = "\n".join([*lines[0], *lines[1], ""])
        sys.stdout.write(text.encode("utf-8", "replace").decode())  # shown if the test fails
        return pytest.RunResult(status, lines[0], lines[1], duration)

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()


class Suite:
    """A folder with a small suite in it, run by pytest in a process of its own.

    A process of its own, because what a trap leaves behind would otherwise
    complain in the test that runs it. Only the plugins that are named are
    loaded, which makes a run three times as fast.

    That process is a fork of one that has imported pytest, pytest-asyncio and
    the plugin, which makes it four times as fast again. A new interpreter takes
    its place where the difference could matter: where another plugin is loaded
    first, where the environment says something to the interpreter, where there
    is no fork, and where a test sets ``fresh``. A test does so if it is about
    imports, the start of the interpreter, its standard input, or what the
    garbage collector sees of objects that are older than the run.
    """

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, forks: Forks
    ) -> None:
        self.pytester = pytester
        self.fresh = False
        self._forks = forks
        self._runs = 0
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name in _UNSET:
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
        words = [*loaded, "-p", "no:cacheprovider", *args]
        if self.fresh or not self._forks.can_run(plugins):
            result = self.pytester.runpytest_subprocess(*words, timeout=120)
        else:
            self._runs += 1
            temp = f"--basetemp={self.pytester.path / f'forked-{self._runs}'}"
            result = self._forks.run(self.pytester.path, [temp, *words], timeout=120)
        report = json.loads(path.read_text()) if path.exists() else {"findings": []}
        return Outcome(result, report)

    def test(self, text: str, *args: str, plugins: tuple[str, ...] = ()) -> Outcome:
        """Write ``text`` as a test module and run it, with further plugins."""
        self.write(test_it=text)
        return self.run(*args, plugins=(*PLUGINS, *plugins))

    def line_of(self, tag: str, name: str = "test_it.py") -> int:
        """The number of the line of ``name`` that ends in ``# tag``."""
        return line_of(self.pytester.path / name, tag)


def line_of(path: Path, tag: str) -> int:
    """The number of the line in ``path`` that ends in ``# tag``."""
    lines = path.read_text().splitlines()
    numbers = [n for n, line in enumerate(lines, 1) if line.rstrip().endswith(f"# {tag}")]
    assert len(numbers) == 1, f"{tag} stands in {len(numbers)} lines"
    return numbers[0]
