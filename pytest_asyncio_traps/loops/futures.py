"""A future that remembers where its exception was set.

A bare future tells nobody who made it, and a class in C cannot be hooked. What
``loop.create_future()`` returns is therefore this subclass. It differs in one
method that is hardly ever called, and passes for the original in every text.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from ..core.watch import Watch

if TYPE_CHECKING:
    _Base = asyncio.Future[Any]
else:
    _Base = asyncio.Future


def make_future_class(watch: Watch) -> type[asyncio.Future[Any]]:
    """The subclass of `asyncio.Future` for one run."""

    class Future(_Base):
        def set_exception(self, exception: type | BaseException, /) -> None:
            super().set_exception(exception)
            if watch.active:
                with watch.faults.guard("futures"):
                    watch.remember(self, sys._getframe(1))

    Future.__module__ = _Base.__module__
    Future.__qualname__ = _Base.__qualname__
    return Future
