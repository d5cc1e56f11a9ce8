"""Captures the records of the ``asyncio`` logger from DEBUG upwards, unnoticed by other code."""

from __future__ import annotations

import logging
import sys
from _thread import get_ident
from asyncio import selector_events
from collections import deque
from collections.abc import Callable

from ..core.faults import Faults
from ..core.objects import function_code
from ..core.patches import Patches


class AsyncioLog(logging.Filter):
    """Keeps each record of the ``asyncio`` logger, and hides those that its level forbids.

    The logger's level stays as it is, since its children inherit it, and code may read it. Only to
    `logging` itself, where that asks whether to make a record, DEBUG appears enabled. A record
    that logging would not make without the plugin goes no further than this filter.
    """

    #: How many records of a phase are kept, the last ones.
    KEEP = 1000

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._guard = faults.guard("the asyncio logger")
        self._logger = logging.getLogger("asyncio")
        self._is_enabled: Callable[[int], bool] = self._logger.isEnabledFor
        #: By thread: how many records it is about to make that the logger's level forbids.
        self._for_us: dict[int, int] = {}
        self.records: deque[logging.LogRecord] = deque(maxlen=self.KEEP)

    def arm(self, patches: Patches) -> None:
        """Start capturing."""
        self._logger.addFilter(self)
        patches.wrap(self._logger, "isEnabledFor", self._make_is_enabled_for)

    def disarm(self) -> None:
        """Remove the filter from the logger; the patches put back its method."""
        self._logger.removeFilter(self)

    def _make_is_enabled_for(self, original: Callable[[int], bool]) -> Callable[[int], bool]:
        # Each selector loop logs the name of its selector. Making that record takes longer than
        # making the rest of the loop, so it is only made where the level allows it.
        loop_init = function_code(selector_events.BaseSelectorEventLoop.__init__)
        getframe = sys._getframe
        logger = self._logger
        methods = [function_code(getattr(logging.Logger, name)) for name in _MAKES_RECORDS]
        self._is_enabled = original

        def isEnabledFor(level: int) -> bool:  # noqa: N802
            enabled = original(level)
            frame = getframe().f_back  # None where a thread runs the method itself
            if enabled or frame is None:
                return enabled
            if level == logging.DEBUG and frame.f_back and frame.f_back.f_code is loop_init:
                return enabled
            with self._guard:
                if level >= logging.DEBUG and any(frame.f_code is method for method in methods):
                    if logger.disabled or level <= logger.manager.disable:
                        return False
                    thread = get_ident()
                    self._for_us[thread] = self._for_us.get(thread, 0) + 1
                    return True
            return enabled

        return isEnabledFor

    def filter(self, record: logging.LogRecord) -> bool:
        with self._guard:
            self.records.append(record)
            thread = get_ident()
            if thread in self._for_us:
                left = self._for_us.pop(thread) - 1
                if left:
                    self._for_us[thread] = left
                return self.passes(record)
        return True

    def passes(self, record: logging.LogRecord) -> bool:
        """Whether the logger's level lets ``record`` pass to the handlers."""
        return self._is_enabled(record.levelno)


#: The methods of a logger that call `isEnabledFor` before they make a record.
_MAKES_RECORDS = ("debug", "info", "warning", "error", "critical", "log")
