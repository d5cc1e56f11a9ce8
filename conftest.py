"""Configuration of all tests. Only a top-level conftest.py may set ``pytest_plugins``."""

from __future__ import annotations

from typing import Any

import pytest

pytest_plugins = ["pytester"]

#: Files whose tests share runs of pytest: each file goes to one worker of pytest-xdist, which
#: would otherwise start these runs in every worker.
SHARED = {
    "tests/integration/test_faults.py",
    "tests/integration/test_matrix.py",
    "tests/integration/test_xdist.py",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="run every case, as before a release, and not a selection",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "thorough: a variant of a case that runs anyway; only runs with --all"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--all``, deselect the thorough tests, but none that the command line names."""
    if config.getoption("--all") or any("::" in arg for arg in config.args):
        return
    thorough = [item for item in items if item.get_closest_marker("thorough")]
    if thorough:
        config.hook.pytest_deselected(items=thorough)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Spread single tests, and the files named in SHARED, over the workers."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return path if path in SHARED else nodeid

    return Scheduling(config, log)
