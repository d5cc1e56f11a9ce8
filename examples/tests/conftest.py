"""Fixtures for a service and a client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from jobs import Client, serving
from jobs.tasks import TASKS


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    """The host and port of a running service."""
    async with serving(TASKS) as address:
        yield address


@pytest.fixture
async def client(address: tuple[str, int]) -> AsyncIterator[Client]:
    """A connected client."""
    async with await Client.connect(*address) as client:
        yield client
