"""Contains the plugin's own exceptions: they are caught, kept, and reported once.

A bug in the plugin must never change the outcome of a user's test.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from .interruptions import is_interruption

#: Attribute set on an exception that user code raised and that passes through the plugin's code.
_FROM_USER_CODE = "_asyncio_traps_from_user_code"


class Fault(NamedTuple):
    """A part of the plugin that failed.

    ``part`` is its name, ``text`` the formatted traceback. ``off`` says what is switched off
    because of it, and ``since`` in which phase of the run it failed; both are words for a report.
    """

    part: str
    text: str
    off: str
    since: str


class Faults:
    """Exceptions of the plugin's own code, by the part of the plugin that raised them.

    Wrap every piece of plugin code that runs inside foreign code::

        with faults.guard("never-awaited"):
            ...

    and, within such a block, every call of user code::

        with faults.user_code:
            ...

    The first exception of each part is kept as text. A part that has failed is off for the rest
    of the run: check `is_off` before starting more work in it.
    """

    def __init__(self) -> None:
        #: Formatted traceback of the first exception of each part that failed.
        self.texts: dict[str, str] = {}
        #: For each part that failed, the phase of the run in which it did.
        self.since: dict[str, str] = {}
        #: Describes the current phase of the run, worded to follow "since".
        self.current_phase: Callable[[], str] = lambda: "the start of the run"
        #: Faults of other processes. They are reported here but switch nothing off here.
        self.received: dict[str, Fault] = {}
        #: Parts that can fail without affecting the others. A fault of any other part ends
        #: all watching.
        self.isolated: set[str] = set()
        #: Called with the name of a part when that part fails for the first time.
        self.on_fault: list[Callable[[str], None]] = []
        #: Exception classes that address the user, such as usage errors, and so are no faults.
        self.passes: tuple[type[BaseException], ...] = ()
        #: Context manager for a block that runs user code.
        self.user_code: _UserCode = _UserCode()
        self._guards: dict[str, _Guard] = {}

    def is_off(self, part: str) -> bool:
        """Whether ``part`` has failed before."""
        return part in self.texts

    def is_all_off(self) -> bool:
        """Whether a part has failed that all others rely on."""
        return not self.isolated.issuperset(self.texts)

    def all(self) -> list[Fault]:
        """Faults of this process and of others, one for each part."""
        known = dict(self.received)
        for part, text in self.texts.items():
            off = f"{part!r} only" if part in self.isolated else "all kinds"
            known.setdefault(part, Fault(part, text, off, self.since[part]))
        return list(known.values())

    def receive(self, faults: list[Any]) -> None:
        """Add the faults of another process: the result of its `all`, as lists of strings."""
        for fault in faults:
            self.received.setdefault(fault[0], Fault(*fault))

    def guard(self, part: str) -> _Guard:
        """A context manager that suppresses and records faults raised in its block."""
        guard = self._guards.get(part)
        if guard is None:
            guard = self._guards[part] = _Guard(self, part)
        return guard

    def guarded(self, part: str, function: Callable[[], object]) -> Callable[[], None]:
        """Wrap ``function`` in `guard`, for use as a callback."""

        def call() -> None:
            __tracebackhide__ = True
            with self.guard(part):
                function()

        return call

    def record(self, part: str, exc: BaseException) -> None:
        """Keep ``exc`` as the fault of ``part``, unless ``part`` has failed before.

        Call this in the ``except`` clause that caught ``exc``. Raises ``exc`` again if it is not a
        fault but an interruption (see `interruptions`), and nothing else.
        """
        __tracebackhide__ = True
        if is_interruption(exc):
            raise exc
        if part in self.texts:
            return
        try:
            text = "".join(traceback.format_exception(exc))
        except Exception:  # a traceback that cannot be rendered must not hide the fault
            text = f"{type(exc).__name__} (its traceback could not be rendered)\n"
        try:
            self.since[part] = self.current_phase()
        except Exception:  # the phase is not worth a second fault
            self.since[part] = "an unknown moment"
        self.texts[part] = text
        for notify in self.on_fault:
            notify(part)

    def is_ours(self, exc: BaseException | None) -> bool:
        """Whether ``exc``, raised in the plugin's code, is a fault of that code.

        False for Ctrl-C, exits, pytest's outcomes, exceptions of user code and interruptions.
        """
        return (
            isinstance(exc, Exception)
            and not isinstance(exc, self.passes)
            and not _is_from_user_code(exc)
            and not is_interruption(exc)
        )


def _is_from_user_code(exc: BaseException) -> bool:
    try:
        return getattr(exc, _FROM_USER_CODE, None) is True
    except Exception:  # the class of exc may override attribute access
        return False


class _Guard:
    # Stateless, so that one instance serves every block of its part, including nested ones.
    __slots__ = ("_faults", "_part")

    def __init__(self, faults: Faults, part: str) -> None:
        self._faults = faults
        self._part = part

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        if exc is None or not self._faults.is_ours(exc):
            return False
        self._faults.record(self._part, exc)
        return True


class _UserCode:
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, exc: BaseException | None, tb: TracebackType | None) -> None:
        if exc is not None:
            try:
                setattr(exc, _FROM_USER_CODE, True)
            except Exception:
                pass  # the class of exc may forbid attributes; exc then counts as a fault
