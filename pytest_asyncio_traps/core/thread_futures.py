"""The future that ``run_coroutine_threadsafe()`` returns, with a note of who asked it."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from .ownership import Tenure
from .stacks import Mark


class Submission(NamedTuple):
    """The coroutine that was handed over, by name; where, and in whose tenure."""

    name: str
    mark: Mark | None
    tenure: Tenure


def make_thread_future(
    dropped: Callable[[Any], None], guarded: AbstractContextManager[None]
) -> type[concurrent.futures.Future[Any]]:
    """A subclass of `concurrent.futures.Future` that notes whether its outcome was asked for.

    Its destructor calls ``dropped`` with the future, within ``guarded``.
    """

    class Future(concurrent.futures.Future[Any]):
        _asyncio_traps_asked = False

        def result(self, timeout: float | None = None) -> Any:
            self._asyncio_traps_asked = True
            return super().result(timeout)

        def exception(self, timeout: float | None = None) -> BaseException | None:
            self._asyncio_traps_asked = True
            return super().exception(timeout)

        def _get_snapshot(self) -> Any:  # from Python 3.14 on, for wrap_future()
            self._asyncio_traps_asked = True
            return super()._get_snapshot()  # type: ignore[misc]

        def __del__(self) -> None:
            with guarded:
                dropped(self)

    Future.__module__ = concurrent.futures.Future.__module__
    Future.__name__ = Future.__qualname__ = "Future"
    return Future
