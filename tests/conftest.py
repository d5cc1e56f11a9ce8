"""Fixtures of the tests."""

from __future__ import annotations

import pytest

from .run import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """An empty suite, with pytest-asyncio in auto mode."""
    return Suite(pytester, monkeypatch)
