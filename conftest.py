"""Shared by all tests of the project."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="run every case, as .ci/run does; without it, a few stand for many",
    )


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        # A worker of pytest-xdist does not see that addopts has --dist=loadgroup.
        config.option.loadgroup = True
