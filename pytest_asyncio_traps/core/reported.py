"""What was reported, so that one cause makes one finding."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from ..model.finding import Finding
from .objects import ask, code_of, put, related_to
from .ownership import Tenure
from .places import codes_of
from .stacks import Mark

#: On an object: it was reported, or is part of what was reported.
_REPORTED = "_asyncio_traps_reported"

#: On an exception that one of asyncio's own checks raised: the finding. It is reported if the
#: exception is lost or fails the test. On a transport: the finding that was reported.
CARRIED = "_asyncio_traps_finding"


def is_reported(obj: object) -> bool:
    """Whether ``obj`` was reported, or is part of what was reported."""
    return ask(obj, _REPORTED) is True  # a mock answers for any attribute


def set_reported(obj: object) -> bool:
    """Note that ``obj`` needs no further finding. False where it allows no attributes."""
    return put(obj, _REPORTED, True)


def take_carried(exc: BaseException | None) -> Iterator[Finding]:
    """The findings that ``exc`` carries, and the exceptions to which it is related.

    They are taken: pytest raises the error of a fixture of a wider scope once more in each test
    that uses it.
    """
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        exc = waiting.pop()
        if exc is None or id(exc) in seen or len(seen) > 1000:
            continue
        seen.add(id(exc))
        finding = ask(exc, CARRIED)
        if isinstance(finding, Finding):
            put(exc, CARRIED, None)
            yield finding
        waiting += related_to(exc)


class Reported:
    """Coroutines and code of which a finding was reported that covers more than one object."""

    __slots__ = ("_task_codes", "coroutines")

    def __init__(self) -> None:
        #: By id, a reference and the code of each coroutine that is part of a finding.
        self.coroutines: dict[int, tuple[weakref.ref[Any], object]] = {}
        #: By nodeid, the ids of the code that reported tasks ran.
        self._task_codes: dict[str, set[int]] = {}

    def add_coroutine(self, coroutine: Any) -> None:
        """``coroutine`` is part of a finding: a warning that it was never awaited is no news."""
        try:
            ref = weakref.ref(coroutine)
        except TypeError:  # not one of Python's coroutines
            return
        self.coroutines[id(coroutine)] = ref, code_of(coroutine)

    def take_coroutine(self, coroutine: Any) -> bool:
        """Whether ``coroutine``, which is being destroyed, is part of a finding. Forgets it."""
        ref, code = self.coroutines.get(id(coroutine), (None, None))
        # Weak references are cleared before a destructor runs. By then, another object may
        # have had the same address; the code tells most of these apart.
        if ref is None or code is not code_of(coroutine) or ref() not in (None, coroutine):
            return False
        del self.coroutines[id(coroutine)]
        return True

    def forget_dead(self) -> None:
        """A test has ended: coroutines that were destroyed without a warning give none later."""
        for key, (ref, _) in list(self.coroutines.items()):
            if ref() is None:
                del self.coroutines[key]

    def add_task(self, tenure: Tenure, coroutine: object) -> None:
        """A task that runs ``coroutine`` was reported: what its code made is part of that."""
        codes = self._task_codes.setdefault(tenure.nodeid, set())
        codes.update(map(id, codes_of(coroutine)))

    def is_made_by_task(self, tenure: Tenure, mark: Mark | None) -> bool:
        """Whether code of a reported task made what was created at ``mark`` in ``tenure``."""
        codes = self._task_codes.get(tenure.nodeid)
        return codes is not None and mark is not None and id(mark[0]) in codes
