"""The tools that are compared, each set up as its own documentation says.

A tool that runs with the tests needs options of pytest and a ``conftest.py``; a linter is a
command. A tool that only warns or logs by default is configured to fail the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tool:
    """A tool. ``name`` heads its column, and pip installs ``packages`` for it."""

    name: str
    packages: tuple[str, ...] = ()
    #: The options of pytest for a kind.
    options: Callable[[str], tuple[str, ...]] = lambda kind: ()
    conftest: str = ""
    #: The module and arguments that lint a file. It must print ``path:line:column: code``.
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

# aiocop hooks into the running loop when it is activated, hence the async fixture.
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
        # The default rules, without those of other plugins and without the one on needless "async".
        lint=("flake8", "--isolated", "--extend-ignore=E,F,W,C,ASYNC124", "--asyncio"),
    ),
    Tool(
        "this plugin",
        (".",),
        options=lambda kind: (f"--asyncio-traps=fail:{kind}",),
    ),
)
