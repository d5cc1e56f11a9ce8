"""Findings, and test modules with some, that the tests of several reports share."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_asyncio_traps.model.finding import (
    Earlier,
    Finding,
    Owner,
    Place,
    Span,
    Timeline,
)
from pytest_asyncio_traps.reports.run import Run
from pytest_asyncio_traps.reports.writing import write
from pytest_asyncio_traps.traps import KINDS

#: One finding, of the kind pending-task, made in the line that ends in ``# here``.
PENDING_TASK = """
import asyncio

async def poll():
    await asyncio.sleep(3600)

async def test_it():
    task = asyncio.create_task(poll())  # here
    await asyncio.sleep(0)
"""

#: What the parser of HTML is not to take for more than text.
HOSTILE = (
    "<script>window.hurt = 1</script>",
    '"><img src=http://example.invalid/x onerror="top.hurt = 1">',
    "</script></style></title></textarea>--><h1>x</h1>",
    "{{ 1237 * 1237 }}{% raw %}",
    "&lt;&amp;&#60;",
    "x" * 900,
    "\u202ereversed \x1b[31m \ud800",
    "' onmouseover='window.hurt = 1",
)


def make(
    folder: Path,
    findings: list[tuple[Finding, int]],
    suffix: str = ".html",
    change: Callable[[Run], Run] = lambda run: run,
) -> Path:
    """A report of ``findings``."""
    run = Run(
        findings,
        {},
        [],
        {"tool": "1.0", "pytest": "9.0"},
        folder,
        lambda path: path.removeprefix(f"{folder}/"),
        ended=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )
    path = folder / f"traps{suffix}"
    write(path, change(run))
    return path


def finding(number: int, folder: Path, text: str = "plain", **more: Any) -> Finding:
    kind = KINDS[number % len(KINDS)]
    nodeid = f"tests/test_{number}.py::test_{text}"
    place = Place(f"{folder}/app_{number}_{text}.py", number + 1, f"f_{text}")
    summary = f"number {number}: {text}"
    owner = Owner("test", nodeid, "function", nodeid)
    plain = Finding(kind, summary, "Mend it.", owner, origin=place, when="call", action="fail")
    return plain._replace(**more)


def slow(number: int, folder: Path, text: str = "plain") -> Finding:
    """A slow step with a deep stack."""
    places = [Place(f"{folder}/app_{text}.py", n + 1, f"call_{n}_{text}") for n in range(30)]
    timeline = Timeline(
        length=0.5,
        threshold=0.1,
        waited=0.1,
        paused=0.05,
        spans=(
            Span(0.01, 0.2, 8, tuple(places)),
            Span(0.25, 0.45, 8, (*places[:10], Place(socket.__file__, 3, "recv"))),
        ),
        earlier=(Earlier(-0.2, None, None), Earlier(-0.1, -0.12, places[0])),
    )
    return finding(
        number, folder, text, kind="slow-callback", timeline=timeline, duration=0.35, action="fail"
    )
