"""Tests with the fixtures and markers, as a user with a strict type checker writes them."""

from __future__ import annotations

import asyncio
import logging
import re
import warnings

import pytest

from pytest_asyncio_traps import AsyncioTrapWarning, Finding, TrapRecorder, TrapsFound


async def work() -> int:
    return 42


@pytest.mark.asyncio_allow("pending-task", match="sleep", reason="ends with the process")
@pytest.mark.asyncio_slow_callback_duration(0.5)
async def test_allowed() -> None:
    asyncio.create_task(asyncio.sleep(60))  # noqa: RUF006


async def test_expected(asyncio_traps: TrapRecorder) -> None:
    with asyncio_traps.expect("never-awaited", match="work"):
        work()  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    with asyncio_traps.expect("never-awaited", match=re.compile("work")):
        work()  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    findings: list[Finding] = asyncio_traps.findings
    records: list[logging.LogRecord] = asyncio_traps.records
    shown: list[warnings.WarningMessage] = asyncio_traps.warnings
    assert (findings, records) == ([], [])
    assert len(shown) == 2


def test_loop(debug_loop: asyncio.AbstractEventLoop, clean: TrapRecorder) -> None:
    answer: int = debug_loop.run_until_complete(work())
    assert answer == 42
    assert clean.findings == []


@pytest.mark.xfail(raises=TrapsFound, strict=True)
async def test_raises() -> None:
    work()  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]


def summaries(found: TrapsFound) -> dict[str, int]:
    return {finding.summary: count for finding, count in found.findings}


CATEGORY: type[pytest.PytestWarning] = AsyncioTrapWarning
