"""Runs a scenario under a tool, and finds which of its tests fail, and whether others do."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkdtemp

from .tools import Tool

HERE = Path(__file__).parent
#: Tests that run after the scenario. They are correct, so a tool must not fail them.
INNOCENT = """
import asyncio, gc

async def test_first(): await asyncio.sleep(0.01)

def test_second(): gc.collect()

async def test_third(): await asyncio.sleep(0)
"""

# The verdicts of a tool about a test. In this order: the test fails; another test or the run fails;
# there is only a warning; nothing is reported; the run does not end.
GUILTY = "guilty"
ELSEWHERE = "elsewhere"
WARNED = "warned"
SILENT = "silent"
HUNG = "hung"
#: A linter must report the line that the scenario marks with ``# here``. These rules, by scenario,
#: report the same bug on another line.
ABOUT = {"swallowed_cancellation": "ASYNC103"}
#: Seconds after which a run counts as hung. The scenarios take less than one second.
TIMEOUT = 40


def scenarios() -> list[Path]:
    """All files with bad and good tests. Those for the kinds of this plugin come first."""
    own = sorted((HERE.parent / "tests" / "scenarios").glob("*.py"))
    return [*own, *sorted((HERE / "beyond").glob("*.py"))]


def names_in(scenario: Path, prefix: str) -> list[str]:
    """The names of the tests in ``scenario`` that begin with ``prefix``."""
    module = ast.parse(scenario.read_text(encoding="utf-8"))
    return [
        node.name
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(prefix)
    ]


def sections_of(scenario: Path) -> dict[str, range]:
    """The lines of each test with its helpers, from the opening comment to the closing one."""
    lines = scenario.read_text(encoding="utf-8").splitlines()
    found = {}
    for number, line in enumerate(lines, 1):
        begun = re.fullmatch(r"# \[((?:bad|good)[\w ]*?)\]", line)
        if begun and not begun[1].endswith(" end"):
            end = lines.index(f"# [{begun[1]} end]") + 2
            found["test_" + begun[1].replace(" ", "_")] = range(number, end)
    return found


class Experiment:
    """A tool, installed in the environment of ``python``. ``folder`` is for temporary files."""

    def __init__(self, python: Path, tool: Tool, folder: Path) -> None:
        self._python = python
        self._tool = tool
        self._folder = folder

    def verdicts(self, scenario: Path) -> dict[str, str]:
        """The verdict of the tool about each test of ``scenario``."""
        names = names_in(scenario, "test_")
        if self._tool.lint:
            found = self._lint(scenario)
            sections = sections_of(scenario)
            text = scenario.read_text(encoding="utf-8").splitlines()
            about = ABOUT.get(scenario.stem)

            def reports(name: str) -> bool:
                return any(
                    line in sections[name]
                    and (
                        name.startswith("test_good")
                        or text[line - 1].endswith("# here")
                        or code == about
                    )
                    for line, code in found
                )

            return {name: GUILTY if reports(name) else SILENT for name in names}
        bad = [name for name in names if name.startswith("test_bad")]
        good = [name for name in names if name not in bad]
        verdicts = {name: self._run(scenario, name) for name in bad}
        together = self._run(scenario, *good)
        if together in (SILENT, WARNED):
            return {**verdicts, **dict.fromkeys(good, together)}
        return {**verdicts, **{name: self._confirmed(scenario, name) for name in good}}

    def _confirmed(self, scenario: Path, name: str) -> str:
        """The verdict about a good test.

        A failure counts only if it occurs three times in a row: on a busy machine, one may be due
        to timing.
        """
        for _ in range(3):
            verdict = self._run(scenario, name)
            if verdict in (SILENT, WARNED):
                break
        return verdict

    def _lint(self, scenario: Path) -> list[tuple[int, str]]:
        """The line and code of each report of the linter. Raises `RuntimeError` if it fails."""
        path = self._folder / f"test_{scenario.name}"
        path.write_text(scenario.read_text(encoding="utf-8"), encoding="utf-8")
        words = [str(self._python), "-m", *self._tool.lint, str(path)]
        done = subprocess.run(words, cwd=self._folder, capture_output=True, text=True, timeout=120)
        if done.returncode not in (0, 1) or done.stderr.strip():
            raise RuntimeError(done.stdout + done.stderr)
        found = re.findall(rf"{re.escape(path.name)}:(\d+):\d+: (\w+)", done.stdout)
        return [(int(line), code) for line, code in found]

    def _run(self, scenario: Path, *names: str) -> str:
        """The verdict of the tool if pytest runs the tests ``names`` of ``scenario`` under it.

        Raises `RuntimeError` if pytest does not write a report.
        """
        folder = Path(mkdtemp(dir=self._folder))
        test = f"test_{scenario.name}"
        (folder / test).write_text(scenario.read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "test_innocent.py").write_text(INNOCENT, encoding="utf-8")
        (folder / "conftest.py").write_text(self._tool.conftest, encoding="utf-8")
        (folder / "pytest.ini").write_text(
            "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        )
        kind = scenario.stem.replace("_", "-")
        # This plugin has no kind for the scenarios in beyond/, so no rule can name one.
        own = scenario.parent.name == "scenarios" or self._tool.packages != (".",)
        options = self._tool.options(kind) if own else ()
        env = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "PYTEST"))}
        command = [
            *(str(self._python), "-m", "pytest", "--junitxml=junit.xml", *options),
            *(f"{test}::{name}" for name in names),
            "test_innocent.py",
        ]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return HUNG
        if not (folder / "junit.xml").exists():
            raise RuntimeError(done.stdout + done.stderr)
        failed = set(_failed(ElementTree.parse(folder / "junit.xml").iter("testcase")))
        if failed & set(names):
            return GUILTY
        if failed or done.returncode:
            return ELSEWHERE
        return WARNED if re.search(r"\b\d+ warnings? in ", done.stdout) else SILENT


def _failed(cases: Iterable[ElementTree.Element]) -> Iterable[str]:
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            yield case.get("name", "")
