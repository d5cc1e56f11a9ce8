"""The page that compares tools shows what ``python -m comparison`` has found, and still finds."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from comparison.experiment import (
    ELSEWHERE,
    GUILTY,
    HUNG,
    SILENT,
    WARNED,
    Experiment,
    names_in,
    scenarios,
    sections_of,
)
from comparison.table import cell, false_alarms, render
from comparison.tools import TOOLS, Tool

HERE = Path(__file__).parent.parent / "comparison"
RESULTS: dict[str, Any] = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
PATHS = {path.stem: path for path in scenarios()}
#: What is tried again here; the rest would take minutes.
SAMPLE = ("never_awaited", "unclosed_file")


def test_the_tables_are_the_results() -> None:
    """Nobody has written in them by hand."""
    assert (HERE / "results.rst").read_text(encoding="utf-8") == render(RESULTS)


def test_nothing_was_left_out() -> None:
    """Each test of each scenario has a verdict by each tool, and each tool its version."""
    assert set(RESULTS["cells"]) == set(PATHS)
    for name, by_tool in RESULTS["cells"].items():
        tests = set(names_in(PATHS[name], "test_"))
        assert set(by_tool) == {tool.name for tool in TOOLS}
        for verdicts in by_tool.values():
            assert set(verdicts) == tests
            assert set(verdicts.values()) <= {GUILTY, HUNG, ELSEWHERE, WARNED, SILENT}
    packages = {name for tool in TOOLS for name in tool.packages if name != "."}
    assert {"python", "pytest", "pytest-asyncio"} | packages == set(RESULTS["versions"])


def test_this_plugin_does_what_it_is_for() -> None:
    """All of its own kinds, with no complaint of sound code; and none of the others' strong sides."""
    for name, by_tool in RESULTS["cells"].items():
        verdicts = by_tool["this plugin"]
        own = PATHS[name].parent.name == "scenarios"
        bad = {verdict for test, verdict in verdicts.items() if test.startswith("test_bad")}
        assert (bad == {GUILTY}) is own, name
    assert not [line for line in false_alarms(RESULTS["cells"]) if "this plugin" in line]


def test_each_file_beyond_is_somebodys_strong_side() -> None:
    for name, by_tool in RESULTS["cells"].items():
        if PATHS[name].parent.name == "beyond":
            assert any(GUILTY in verdicts.values() for verdicts in by_tool.values()), name


@pytest.mark.thorough
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_what_is_at_hand_still_says_so(tool: Tool, tmp_path: Path, every_case: bool) -> None:
    """The tools that are installed here are tried again, on one file or, with ``--all``, on each."""
    made_by = RESULTS["versions"]["python"].split(".")[:2]
    if made_by != [str(part) for part in sys.version_info[:2]]:
        pytest.skip(f"the tables are made with Python {'.'.join(made_by)}")
    for name in tool.packages:
        if name != "." and importlib.util.find_spec(name.replace("-", "_")) is None:
            pytest.skip(f"{name} is not installed")
    # The environment has all that the project is tested with; the tool's own has not.
    off = ["randomly", "tornado", "timeout", "anyio", "aiohttp", "rerunfailures", "xdist"]
    off += ["asyncio_traps"] * (tool.packages != (".",))
    without = tuple(part for name in off for part in ("-p", f"no:{name}"))
    options = tool.options
    tool = dataclasses.replace(tool, options=lambda kind: (*options(kind), *without))
    experiment = Experiment(Path(sys.executable), tool, tmp_path)
    all_of_them = every_case and tool.packages != (".",)  # the plugin has tests of its own
    for name in SAMPLE[: None if all_of_them else 1]:
        assert experiment.verdicts(PATHS[name]) == RESULTS["cells"][name][tool.name], name


def test_sections() -> None:
    """A section has its comments, its code and nothing of the next."""
    sections = sections_of(PATHS["pending_task"])
    lines = PATHS["pending_task"].read_text(encoding="utf-8").splitlines()

    assert list(sections) == names_in(PATHS["pending_task"], "test_")
    chain = [lines[number - 1] for number in sections["test_bad_chain"]]
    assert (chain[0], chain[-1]) == ("# [bad chain]", "# [bad chain end]")
    assert sum(line.startswith("async def test_") for line in chain) == 1


def test_a_cell_says_how_many() -> None:
    assert cell({"test_bad": GUILTY, "test_good": SILENT}) == "**fails**"
    assert cell({"test_bad": SILENT}) == "no"
    assert cell({"test_bad": SILENT, "test_good": HUNG}) == "no †"
    several = {"test_bad": GUILTY, "test_bad_b": ELSEWHERE, "test_bad_c": SILENT}
    assert cell(several) == "**fails** 1 of 3, elsewhere 1 of 3"
