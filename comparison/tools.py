"""The tools that are compared, each set up as its own documentation says.

A tool that runs tests is a ``conftest.py`` and options for pytest; one that reads code is a
command. Where a tool warns or logs unless it is told to fail a test, it is told to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tool:
    """``name`` heads a column, and ``packages`` are what pip installs for it."""

    name: str
    packages: tuple[str, ...] = ()
    #: Options of pytest, given the kind that is at stake.
    options: Callable[[str], tuple[str, ...]] = lambda kind: ()
    conftest: str = ""
    #: The command that lints a file, as words; what it prints has ``path:line:column:``.
    lint: tuple[str, ...] = field(default=())


PYLEAK = """
import pytest

def pytest_configure(config):
    config.addinivalue_line("markers", "no_leaks: pyleak's")

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.no_leaks(tasks=True, threads=True, blocking=True))
"""

BLOCKBUSTER = """
import pytest
from blockbuster import blockbuster_ctx

@pytest.fixture(autouse=True)
def blockbuster():
    with blockbuster_ctx() as bb:
        yield bb
"""

# It is activated within each loop, which is when it hooks into that loop.
AIOCOP = """
import aiocop
import pytest

EVENTS = []

@pytest.fixture(scope="session", autouse=True)
def setup_aiocop():
    aiocop.patch_audit_functions()
    aiocop.start_blocking_io_detection()
    aiocop.detect_slow_tasks(threshold_ms=100, on_slow_task=EVENTS.append)

@pytest.fixture(autouse=True)
async def no_events():
    EVENTS.clear()
    aiocop.activate()
    yield
    aiocop.deactivate()
    assert not EVENTS
"""

TOOLS = (
    Tool("pytest alone"),
    Tool("-W error", options=lambda kind: ("-W", "error")),
    Tool("asyncio_debug", options=lambda kind: ("-o", "asyncio_debug=true")),
    Tool("both", options=lambda kind: ("-W", "error", "-o", "asyncio_debug=true")),
    Tool("pyleak", ("pyleak",), conftest=PYLEAK),
    Tool("blockbuster", ("blockbuster",), conftest=BLOCKBUSTER),
    Tool("aiocop", ("aiocop",), conftest=AIOCOP),
    Tool(
        "ruff",
        ("ruff",),
        lint=("ruff", "check", "--isolated", "--select=ASYNC,RUF006", "--output-format=concise"),
    ),
    Tool(
        "flake8-async",
        ("flake8", "flake8-async"),
        # As it is by default, less other plugins' rules, and less one about needless "async".
        lint=("flake8", "--isolated", "--extend-ignore=E,F,W,C,ASYNC124", "--asyncio"),
    ),
    Tool(
        "this plugin",
        (".",),
        options=lambda kind: (f"--asyncio-traps=fail:{kind}",),
    ),
)
