"""Renders the results as reStructuredText."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .experiment import ELSEWHERE, GUILTY, HUNG, SILENT, WARNED, scenarios
from .tools import TOOLS

WORDS = {
    GUILTY: "**fails**",
    HUNG: "hangs",
    ELSEWHERE: "elsewhere",
    WARNED: "warns",
    SILENT: "no",
}
Cells = Mapping[str, Mapping[str, Mapping[str, str]]]


def cell(verdicts: Mapping[str, str]) -> str:
    """The verdicts of a tool about the bad tests of a kind, in a few words.

    A dagger means that the tool reports a good test as well.
    """
    counts = Counter(verdict for test, verdict in verdicts.items() if test.startswith("test_bad"))
    seen = [verdict for verdict in (GUILTY, HUNG, ELSEWHERE, WARNED) if counts[verdict]]
    if len(counts) == 1:
        text = WORDS[next(iter(counts))]
    else:
        text = ", ".join(f"{WORDS[v]} {counts[v]} of {counts.total()}" for v in seen)
    return f"{text} †" if wrongly_reported(verdicts) else text


def wrongly_reported(verdicts: Mapping[str, str]) -> list[str]:
    """The good tests that the tool fails, or during which it fails another test."""
    bad = (GUILTY, ELSEWHERE, HUNG)
    good = [test for test in verdicts if test.startswith("test_good")]
    return [test for test in good if verdicts[test] in bad]


def table(cells: Cells, names: list[str], title: str) -> str:
    """A table with a row for each scenario in ``names`` and a column for each tool.

    This plugin comes first, so that its column is in sight on a narrow screen.
    """
    tools = sorted((tool.name for tool in TOOLS), key=lambda name: name != "this plugin")
    lines = [f".. list-table:: {title}"]
    lines += ["   :class: compact", "   :header-rows: 1", "   :stub-columns: 1", ""]
    rows = [["", *(tool.replace("_", " ") for tool in tools)]]  # in two lines
    rows += [[n.replace("_", "-"), *(cell(cells[n][tool]) for tool in tools)] for n in names]
    for row in rows:
        lines += [
            f"   {'* -' if not number else '  -'} {text}".rstrip()
            for number, text in enumerate(row)
        ]
    return "\n".join(lines)


def false_alarms(cells: Cells) -> list[str]:
    """The result of `wrongly_reported` as a list item for each tool that has any."""
    found: dict[str, list[str]] = {}
    for name, by_tool in cells.items():
        for tool, verdicts in by_tool.items():
            tests = [f"``{name}.py::{test}``" for test in wrongly_reported(verdicts)]
            found.setdefault(tool, []).extend(tests)
    return [f"* {tool}: {', '.join(tests)}" for tool, tests in sorted(found.items()) if tests]


def render(data: Mapping[str, Any]) -> str:
    """Both tables, the false alarms, and the versions that were compared."""
    cells: Cells = data["cells"]
    paths: list[Path] = scenarios()
    own = [path.stem for path in paths if path.parent.name == "scenarios"]
    beyond = [path.stem for path in paths if path.parent.name == "beyond"]
    used = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    parts = [
        ".. Written by python -m comparison --write.",
        table(cells, own, "The kinds of this plugin"),
        table(cells, beyond, "What this plugin does not look for"),
        "Good examples that a tool reports:",
        "\n".join(false_alarms(cells)) or "* none",
        f"Run on {data['date']} on {data['system']}, with {used}.",
    ]
    return "\n\n".join(parts) + "\n"
