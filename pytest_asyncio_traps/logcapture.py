"""The ``asyncio`` logger's records, from DEBUG upwards, without anybody noticing."""

from __future__ import annotations

import logging
from collections import deque


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

    def __init__(self) -> None:
        super().__init__()
        self._logger = logging.getLogger("asyncio")
        self._level = _Level(logging.DEBUG)
        self._before = logging.NOTSET
        self.records: deque[logging.LogRecord] = deque(maxlen=self.KEEP)

    def arm(self) -> None:
        """Begin to capture."""
        self._before = before = self._logger.level
        # A run within a run finds the level of the outer one.
        self._level.wanted = before.wanted if isinstance(before, _Level) else before
        self._logger.setLevel(self._level)
        self._logger.addFilter(self)

    def disarm(self) -> None:
        """Put the logger back, unless somebody else has set its level meanwhile."""
        self._logger.removeFilter(self)
        if self._logger.level is self._level:
            self._logger.setLevel(self._before)

    def filter(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        return self.passes(record)

    def passes(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` goes on to the handlers that others have set up."""
        level = self._logger.level
        if not isinstance(level, _Level):
            return True
        wanted = level.wanted
        if not wanted:
            parent = self._logger.parent
            wanted = parent.getEffectiveLevel() if parent is not None else logging.WARNING
        return record.levelno >= wanted
