"""Shared by all tests of the project."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="run every case, as .ci/run does, and not a selection",
    )


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        # Workers of pytest-xdist ignore --dist=loadgroup in addopts.
        config.option.loadgroup = True
