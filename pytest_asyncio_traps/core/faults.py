"""A fault of the plugin is the plugin's own: caught, kept, and told once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from .interruptions import is_interruption

#: The attribute that says of an exception that it is not ours, though it came through our code.
_THEIRS = "_asyncio_traps_theirs"


class Fault(NamedTuple):
    """A part that failed: the exception as text, what is off with it, and since when."""

    part: str
    text: str
    off: str
    since: str


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
        #: When each of them failed: see `moment`.
        self.since: dict[str, str] = {}
        #: Says, in words that follow "since", what the run is at.
        self.moment: Callable[[], str] = lambda: "the start of the run"
        #: Those of other processes, which are reported here, and have nothing off here.
        self.heard: dict[str, Fault] = {}
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

    def all(self) -> list[Fault]:
        """Those of this process and of others, each part once."""
        known = dict(self.heard)
        for part, text in self.texts.items():
            off = f"{part!r} only" if part in self.apart else "all kinds"
            known.setdefault(part, Fault(part, text, off, self.since[part]))
        return list(known.values())

    def hear(self, faults: list[Any]) -> None:
        """Take over those of another process: `all` of its own, as lists."""
        for fault in faults:
            self.heard.setdefault(fault[0], Fault(*fault))

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
        """Keep ``exc`` as the fault of ``part``, if it is the first.

        To be called where ``exc`` is caught. Raises nothing but ``exc`` itself, if that is no fault
        but has interrupted the plugin's code.
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
            self.since[part] = self.moment()
        except Exception:  # where that was is not worth another fault
            self.since[part] = "an unknown moment"
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
            and not _is_theirs(exc)
            and not is_interruption(exc)
        )


def _is_theirs(exc: BaseException) -> bool:
    try:
        return getattr(exc, _THEIRS, None) is True
    except Exception:  # whatever its class does about attributes
        return False


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
