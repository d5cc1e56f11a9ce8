"""Fixtures of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .run import Forks, Suite


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """The server whose forks run the suites."""
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, forks: Forks) -> Suite:
    """An empty suite, with pytest-asyncio in auto mode."""
    return Suite(pytester, monkeypatch, forks)
