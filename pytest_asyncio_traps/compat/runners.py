"""The functions of test runners that the plugin replaces or knows, named in this file only.

`pytest_asyncio_traps.session.runners` has the replacements, and the reasons for them.
"""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
from typing import Final, NamedTuple


class RunnerFunction(NamedTuple):
    """A function ``name`` of a module or, unless ``cls`` is None, of a class in that module.

    ``lost`` is what the plugin cannot watch where the module has no such function: the text of a
    blind spot.
    """

    module: str
    cls: str | None
    name: str
    lost: str

    @property
    def qualname(self) -> str:
        """The name within the module."""
        return self.name if self.cls is None else f"{self.cls}.{self.name}"


ANYIO_ON_ASYNCIO: Final = RunnerFunction(
    "anyio._backends._asyncio",
    "TestRunner",
    "_call_in_runner_task",
    "which of anyio's tests and fixtures on asyncio made what",
)
#: The attribute of anyio's runner on asyncio that holds the task in which it runs everything.
ANYIO_RUNNER_TASK: Final = "_runner_task"
ANYIO_ON_TRIO: Final = RunnerFunction(
    "anyio._backends._trio",
    "TestRunner",
    "_call_in_runner_task",
    "which of anyio's tests and fixtures on trio made what",
)
AIOHTTP_WARNINGS: Final = RunnerFunction(
    "aiohttp.pytest_plugin",
    None,
    "_runtime_warning_context",
    "never-awaited in tests that aiohttp's pytest plugin runs",
)
TORNADO_TEAR_DOWN: Final = RunnerFunction(
    "tornado.testing",
    "AsyncTestCase",
    "tearDown",
    "pending-task in test cases of tornado",
)

#: The names of pytest-asyncio's fixtures that make the loop of a scope; the latter is that of 1.0.
LOOP_FIXTURES: Final = ("_{}_scoped_runner", "_{}_event_loop")
