"""Runs pytest on a small suite, with the plugin, and reads what it reported."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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


class Suite:
    """A folder with a small suite in it, run by pytest in a process of its own.

    A process of its own, because what a trap leaves behind would otherwise
    complain in the test that runs it. Only the plugins that are named are
    loaded, which makes a run three times as fast.
    """

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name in ("PYTEST_ADDOPTS", "PYTHONASYNCIODEBUG", "PYTHONWARNINGS", "PYTHONDEVMODE"):
            monkeypatch.delenv(name, raising=False)
        pytester.makeini(
            "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        )

    def write(self, **files: str) -> None:
        """Write modules; ``test_it="..."`` becomes ``test_it.py``."""
        self.pytester.makepyfile(**{name: textwrap.dedent(text) for name, text in files.items()})

    def run(self, *args: str, plugins: tuple[str, ...] = ("asyncio", "asyncio_traps")) -> Outcome:
        """Run pytest on the suite."""
        path = self.pytester.path / "report.json"
        path.unlink(missing_ok=True)
        loaded = [part for name in plugins for part in ("-p", name)]
        if "asyncio_traps" in plugins:
            loaded.append(f"--asyncio-traps-report={path}")
        result = self.pytester.runpytest_subprocess(
            *loaded, "-p", "no:cacheprovider", *args, timeout=120
        )
        report = json.loads(path.read_text()) if path.exists() else {"findings": []}
        return Outcome(result, report)

    def test(self, text: str, *args: str, plugins: tuple[str, ...] = ()) -> Outcome:
        """Write ``text`` as a test module and run it, with further plugins."""
        self.write(test_it=text)
        return self.run(*args, plugins=("asyncio", "asyncio_traps", *plugins))

    def line_of(self, tag: str, name: str = "test_it.py") -> int:
        """The number of the line of ``name`` that ends in ``# tag``."""
        return line_of(self.pytester.path / name, tag)


def line_of(path: Path, tag: str) -> int:
    """The number of the line in ``path`` that ends in ``# tag``."""
    lines = path.read_text().splitlines()
    numbers = [n for n, line in enumerate(lines, 1) if line.rstrip().endswith(f"# {tag}")]
    assert len(numbers) == 1, f"{tag} stands in {len(numbers)} lines"
    return numbers[0]
