"""A fault of the plugin is the plugin's own: caught, kept, and told once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

#: The attribute that says of an exception that it is not ours, though it came through our code.
_THEIRS = "_asyncio_traps_theirs"


class Faults:
    """Exceptions of the plugin's own code, by the part in which they were raised.

    Use it around every piece of code that runs inside somebody else's::

        with faults.guard("never-awaited"):
            ...

    and, within such a block, around every call of somebody else's code::

        with faults.theirs:
            ...

    The first exception of each part is kept as text. A part that has failed is
    off from then on: ask `off` before doing more work in it.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        #: Those of other processes, which are to be told here, and have nothing off here.
        self.heard: dict[str, str] = {}
        #: Parts whose failure leaves the others sound. Any other's ends all watching.
        self.apart: set[str] = set()
        #: Called with the part, when it fails for the first time.
        self.on_fault: list[Callable[[str], None]] = []
        #: Exceptions that are an answer to the user, no fault.
        self.passes: tuple[type[BaseException], ...] = ()
        #: A block that runs somebody else's code.
        self.theirs: _Theirs = _Theirs()
        self._guards: dict[str, _Guard] = {}

    def off(self, part: str) -> bool:
        """Whether ``part`` has failed before."""
        return part in self.texts

    def all_off(self) -> bool:
        """Whether a part has failed that all others rely on."""
        return not self.apart.issuperset(self.texts)

    def guard(self, part: str) -> _Guard:
        """A context manager that keeps an exception of its block from leaving it."""
        guard = self._guards.get(part)
        if guard is None:
            guard = self._guards[part] = _Guard(self, part)
        return guard

    def guarded(self, part: str, function: Callable[[], object]) -> Callable[[], None]:
        """``function`` as a callback that raises nothing of ours."""

        def call() -> None:
            __tracebackhide__ = True
            with self.guard(part):
                function()

        return call

    def note(self, part: str, exc: BaseException) -> None:
        """Keep ``exc`` as the fault of ``part``, if it is the first. Raises nothing."""
        if part in self.texts:
            return
        try:
            text = "".join(traceback.format_exception(exc))
        except Exception:  # a traceback that cannot be rendered must not hide the fault
            text = f"{type(exc).__name__} (its traceback could not be rendered)\n"
        self.texts[part] = text
        for tell in self.on_fault:
            tell(part)

    def is_ours(self, exc: BaseException | None) -> bool:
        """Whether ``exc``, raised in our code, is a fault of that code.

        Ctrl-C, exits and pytest's outcomes are for whoever they were sent to.
        """
        return (
            isinstance(exc, Exception)
            and not isinstance(exc, self.passes)
            and getattr(exc, _THEIRS, None) is not True
        )


class _Guard:
    # It has no state of its own, so that one serves all blocks of its part, nested ones too.
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
        self._faults.note(self._part, exc)
        return True


class _Theirs:
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, exc: BaseException | None, tb: TracebackType | None) -> None:
        if exc is not None:
            try:
                setattr(exc, _THEIRS, True)
            except Exception:
                pass  # whatever its class does about attributes: it counts as ours then
