"""Fixtures of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .run import Launcher, Suite


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """Runs pytest on the suites."""
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture(scope="session")
def every_case(pytestconfig: pytest.Config) -> bool:
    """Whether ``--all`` was given: run every case, and not a selection."""
    return bool(pytestconfig.getoption("--all"))


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, launcher: Launcher) -> Suite:
    """An empty suite, with pytest-asyncio in auto mode."""
    return Suite(pytester, monkeypatch, launcher)
