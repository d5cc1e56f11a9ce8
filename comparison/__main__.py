"""Run each scenario under each tool, and print which tool reports which scenario.

Each tool gets its own virtual environment, so a run takes minutes. The scenarios are
``tests/scenarios/``, the examples of this project's documentation, and ``comparison/beyond/``, bugs
that other tools are made for.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

from .experiment import Experiment, scenarios
from .table import render
from .tools import TOOLS, Tool

HERE = Path(__file__).parent
ROOT = HERE.parent
COMMON = ("pytest", "pytest-asyncio")


def environment(folder: Path, tool: Tool) -> Path:
    """The Python of the virtual environment for ``tool``, which is created if it does not exist."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if (folder / "done").exists():
        return python
    venv.create(folder, with_pip=True)
    packages = [str(ROOT) if name == "." else name for name in tool.packages]
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", *COMMON, *packages], check=True, cwd=folder
    )
    (folder / "done").touch()
    return python


def versions(python: Path, tool: Tool) -> dict[str, str]:
    """The installed versions of pytest, pytest-asyncio and the packages of ``tool``."""
    text = subprocess.run(
        [str(python), "-m", "pip", "list", "--format=json"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    known = {entry["name"]: entry["version"] for entry in json.loads(text)}
    names = [name for name in (*COMMON, *tool.packages) if name != "."]
    return {name: known[name] for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m comparison", description=__doc__)
    parser.add_argument(
        "--write",
        action="store_true",
        help="write comparison/results.json and comparison/results.rst",
    )
    parser.add_argument(
        "--folder", type=Path, help="keep environments and verdicts here, to resume after a break"
    )
    args = parser.parse_args()
    used: dict[str, str] = {"python": platform.python_version()}
    with TemporaryDirectory() as name:
        kept = args.folder or Path(name)
        kept.mkdir(exist_ok=True)
        done = kept / "verdicts.json"
        cells: dict[str, dict[str, dict[str, str]]] = {}
        if done.exists():
            cells = json.loads(done.read_text(encoding="utf-8"))
        for tool in TOOLS:
            folder = kept / tool.name.replace(" ", "-").strip("-")
            python = environment(folder / "env", tool)
            used.update(versions(python, tool))
            experiment = Experiment(python, tool, folder)
            for scenario in scenarios():
                by_tool = cells.setdefault(scenario.stem, {})
                if tool.name not in by_tool:
                    print(f"{tool.name}: {scenario.stem}", file=sys.stderr)
                    by_tool[tool.name] = experiment.verdicts(scenario)
                    done.write_text(json.dumps(cells), encoding="utf-8")
    data = {
        "date": datetime.date.today().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": dict(sorted(used.items())),
        "cells": cells,
    }
    text = render(data)
    if args.write:
        (HERE / "results.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        (HERE / "results.rst").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
