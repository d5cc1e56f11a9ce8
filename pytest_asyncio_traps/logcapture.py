"""The ``asyncio`` logger's records, from DEBUG upwards, without anybody noticing."""

from __future__ import annotations

import logging
import sys
from asyncio import selector_events
from collections import deque
from collections.abc import Callable

from .core.faults import Faults
from .core.patches import Patches


class _Level(int):
    """A level that can be told from one that somebody else has set.

    ``wanted`` is the one that would be in force without us.
    """

    wanted = logging.NOTSET


class AsyncioLog(logging.Filter):
    """Sees each record of the ``asyncio`` logger, and hides those that nobody asked for.

    The logger's level has to be DEBUG for the records to be made at all. A
    record below the level that would be in force without us goes no further.
    """

    #: How many records of a test are kept.
    KEEP = 1000

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._guard = faults.guard("the asyncio logger")
        self._logger = logging.getLogger("asyncio")
        self._level = _Level(logging.DEBUG)
        self._before = logging.NOTSET
        self.records: deque[logging.LogRecord] = deque(maxlen=self.KEEP)

    def arm(self, patches: Patches) -> None:
        """Begin to capture."""
        self._before = before = self._logger.level
        # A run within a run finds the level of the outer one.
        self._level.wanted = before.wanted if isinstance(before, _Level) else before
        self._logger.setLevel(self._level)
        self._logger.addFilter(self)
        patches.wrap(self._logger, "isEnabledFor", self._make_is_enabled_for)

    def disarm(self) -> None:
        """Put the logger back, unless somebody else has set its level meanwhile."""
        self._logger.removeFilter(self)
        if self._logger.level is self._level:
            self._logger.setLevel(self._before)

    def _make_is_enabled_for(self, original: Callable[[int], bool]) -> Callable[[int], bool]:
        # Each selector loop says which selector it uses: a record that nobody wants unless
        # they asked for it, and that takes longer to make than the rest of the loop.
        chatter = selector_events.BaseSelectorEventLoop.__init__.__code__
        getframe = sys._getframe

        def isEnabledFor(level: int) -> bool:  # noqa: N802
            if level == logging.DEBUG and getframe(2).f_code is chatter:
                with self._guard:
                    if self._wanted() > level:
                        return False
            return original(level)

        return isEnabledFor

    def filter(self, record: logging.LogRecord) -> bool:
        with self._guard:
            self.records.append(record)
            return self.passes(record)
        return record.levelno >= (self._level.wanted or logging.WARNING)

    def passes(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` goes on to the handlers that others have set up."""
        return record.levelno >= self._wanted()

    def _wanted(self) -> int:
        """The level that would be in force without us."""
        level = self._logger.level
        if not isinstance(level, _Level):
            return logging.NOTSET  # somebody else's, which the logger itself goes by
        if level.wanted:
            return level.wanted
        parent = self._logger.parent
        return parent.getEffectiveLevel() if parent is not None else logging.WARNING
