"""The shape of a trap: one kind of finding, and how it comes to be noticed."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import update_wrapper
from types import CodeType, FrameType, FunctionType
from typing import Any, ClassVar, Literal

from ..model.finding import Finding, Owner, Place
from .faults import Faults
from .ownership import Tenure
from .places import place_of
from .stacks import Mark, user_mark
from .watch import Watch


class CallSite:
    """A moment in a run: the user's line, and whose time it was.

    It refers to none of the user's objects, and may be kept.
    """

    __slots__ = ("_mark", "_tenure")

    def __init__(self, mark: Mark | None, tenure: Tenure) -> None:
        self._mark = mark
        self._tenure = tenure

    @property
    def place(self) -> Place | None:
        """The innermost line of the user's code in the stack, else of a library's; or None."""
        return place_of(self._mark)

    @property
    def owner(self) -> Owner:
        """The test or fixture that answers for what is made at this moment."""
        return self._tenure.owner

    @property
    def ended(self) -> bool:
        """Whether the time of the owner is over."""
        return self._tenure.ended

    def __repr__(self) -> str:
        return f"<CallSite {self.place}, of {self._tenure!r}>"


#: When a kind is on.
When = Literal["always", "strict", "named"]


class Trap:
    """One kind of trap.

    A subclass sets the texts and fills in `arm`, and `judge` where the trap shows
    only when a test is over. What it replaces, it replaces through `wrap`, so that
    everything is put back; what it finds, it hands to `report`. Whether a finding
    fails a test, and how it is printed, is decided elsewhere.

    ``self.watch`` is for the kinds that come with the plugin, and changes with them.
    Everything else here is public.
    """

    #: The kebab-case id, for ever.
    kind: ClassVar[str]
    #: When it is on: ``always``, under ``--asyncio-strict`` (``strict``), or only where a rule
    #: that fails or warns names it (``named``, which turns the others on as well).
    enabled: ClassVar[When] = "always"
    #: Whether the same code shows it in every run, however fast the machine is.
    steady: ClassVar[bool] = True
    #: What happened, for a heading.
    title: ClassVar[str]
    #: What to do about it, one sentence.
    advice: ClassVar[str]

    #: The ids of the code that `here` passes over, once it was asked.
    _own: frozenset[int] | None = None

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        watch.faults.isolated.add(self.kind)

    # -- what a kind does -------------------------------------------------

    def arm(self) -> None:
        """Hook in."""
        raise NotImplementedError  # pragma: no cover

    def refresh(self) -> None:
        """A test is about to begin: make sure that the hooks are still in place."""

    def judge(self, final: bool) -> None:
        """A test has ended (or, where ``final``, the run): report what is left open.

        Called after the tenures that ended are marked so. What belongs to a
        tenure that goes on is left for a later call.
        """

    # -- what a kind uses -------------------------------------------------

    def here(self) -> CallSite:
        """This moment: the line of the user's that led here, and whose time it is.

        The lines of the kind's own methods, and of functions made in them, are passed over.
        Safe in any thread, destructor or callback.
        """
        own = self._own
        if own is None:
            # By id: comparing code objects reads all their instructions.
            own = self._own = frozenset(map(id, _codes_of(type(self))))
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and id(frame.f_code) in own:
            frame = frame.f_back
        return CallSite(user_mark(frame), self.watch.ownership.now())

    def made(self, obj: object) -> CallSite | None:
        """The moment when ``obj`` was made: a task, a transport or a loop. None for all else."""
        made = self.watch.created_at(obj)
        return CallSite(*made) if made is not None else None

    def report(
        self,
        summary: str,
        here: CallSite,
        *,
        location: Place | None = None,
        notes: tuple[str, ...] = (),
        subject: str = "",
        duration: float | None = None,
        exception: str | None = None,
    ) -> None:
        """Report a trap that was sprung, and charge it to the owner of ``here``.

        ``summary`` says on one line what is wrong, without the kind; rules and markers search
        in it. The reader is pointed to the line of ``here``; ``location`` is another line, where
        it waits, blocks or raised. ``notes`` are further sentences. ``subject`` names the
        coroutine, callback or object that it is about, the same in every run: it tells apart
        what one line makes. ``duration`` is in seconds; ``exception`` is a type and a message.

        Safe in any thread, destructor or callback. Raises `TypeError` for an argument of
        another type.
        """
        watch = self.watch
        if not watch.active or watch.third_party.is_off(self.kind):
            return
        finding = Finding(
            self.kind,
            summary,
            self.advice,
            here.owner,
            origin=here.place,
            location=location,
            notes=notes,
            subject=subject,
            duration=duration,
            exception=exception,
        )
        watch.report(checked(finding))

    def before(self, target: Any, name: str, tell: Callable[..., object]) -> None:
        """Have ``tell`` called before each call of the function ``name`` of a class or module.

        It is given what the function is given. Whatever it does, the function is called as ever.
        An async function is called where its coroutine is made. Raises `AttributeError` where
        there is no such function.
        """

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            call = _as_before(original)

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self.guard():
                    tell(*args, **kwargs)
                return call(*args, **kwargs)

            return _alike(wrapper, original)

        self.wrap(target, name, make)

    def after(self, target: Any, name: str, tell: Callable[..., object]) -> None:
        """Have ``tell`` called after each call of the function ``name`` that raised nothing.

        In all else as `before`.
        """

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            call = _as_before(original)

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                result = call(*args, **kwargs)
                with self.guard():
                    tell(*args, **kwargs)
                return result

            return _alike(wrapper, original)

        self.wrap(target, name, make)

    def wrap(self, target: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace the function ``name`` of the class or module ``target`` by ``make(original)``.

        For what `before` and `after` cannot do: here, `guard` is left to the kind. It is put back
        when the run ends. Of static methods and class methods, ``original`` is the function
        within. Raises `AttributeError` where there is no such function.
        """
        patches = self.watch.patches
        static = inspect.getattr_static(target, name)
        if isinstance(static, (staticmethod, classmethod)):
            wrapper = make(static.__func__)
            update_wrapper(wrapper, static.__func__)
            patches.set(target, name, type(static)(wrapper))
        else:
            patches.wrap(target, name, make)

    def at_end(self, undo: Callable[[], object]) -> None:
        """Call ``undo`` when the run ends, before what was wrapped is put back.

        By then pytest has printed its summary: an exception goes to ``sys.stderr``.
        """

        def call() -> None:
            try:
                undo()
            except Exception as exc:
                faults = Faults()
                faults.record(self.kind, exc)
                text = f"asyncio-traps: {self.kind} failed at its end:\n{faults.texts[self.kind]}"
                sys.stderr.write(text)

        self.watch.on_disarm.append(call)

    def guard(self) -> AbstractContextManager[None]:
        """A block within somebody else's code, which an exception of the kind's must not leave.

        Such an exception is reported at the end of the run as a fault of this kind, which is
        off from then on: what it reports is not taken any more.
        """
        return self.watch.third_party.guard(self.kind)

    def blind(self, what: str, reason: str) -> None:
        """Say once that ``what`` cannot be watched in this run, and why."""
        self.watch.blind(f"{self.kind}: {what}", reason)


def _as_before(original: Callable[..., Any]) -> Callable[..., Any]:
    """``original``, to be called in the place of which something else stands now."""
    if original is not object.__init__:
        return original
    # It takes arguments that are meant for __new__ as long as the class has no __init__.
    return lambda obj, *args, **kwargs: original(obj)


def _alike(wrapper: Any, original: object) -> Callable[..., Any]:
    """``wrapper``, which is taken for an async function where ``original`` is one."""
    if inspect.iscoroutinefunction(original):
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(wrapper)
        else:
            wrapper._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)
    function: Callable[..., Any] = wrapper
    return function


def _codes_of(cls: type) -> Iterator[CodeType]:
    """The code of the methods of a kind, and of functions that are made in them."""
    waiting: list[object] = []
    for base in cls.__mro__:
        if base not in (Trap, object):
            members = [getattr(member, "__func__", member) for member in vars(base).values()]
            waiting += [f.__code__ for f in members if isinstance(f, FunctionType)]
    while waiting:
        code = waiting.pop()
        if isinstance(code, CodeType):
            yield code
            waiting += code.co_consts


def checked(finding: Finding) -> Finding:
    """``finding``, of plain values. Raises `TypeError` for one that does not fit its field."""
    for name in ("kind", "summary", "advice", "origin_label", "location_label", "subject"):
        _want(finding, name, isinstance(getattr(finding, name), str), "a string")
    for name in ("origin", "location"):
        value = getattr(finding, name)
        _want(finding, name, value is None or _is_place(value), "a Place or None")
    _want(finding, "owner", isinstance(finding.owner, Owner), "an Owner")
    _want(finding, "at_location", isinstance(finding.at_location, bool), "True or False")
    notes: object = finding.notes
    fit = isinstance(notes, (tuple, list)) and all(isinstance(note, str) for note in notes)
    _want(finding, "notes", fit, "a tuple of strings")
    seconds = finding.duration
    fit = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    fit = fit and 0 <= float(seconds or 0) < float("inf")
    _want(finding, "duration", seconds is None or fit, "a number of seconds or None")
    exc = finding.exception
    _want(finding, "exception", exc is None or isinstance(exc, str), "a string or None")
    # What a class of somebody's own does when it is compared, formatted or pickled is its own.
    plain: dict[str, Any] = {
        name: str.__str__(value)
        for name, value in finding._asdict().items()
        if isinstance(value, str)
    }
    return finding._replace(
        **plain,
        notes=tuple(map(str.__str__, finding.notes)),
        origin=_plain(finding.origin),
        location=_plain(finding.location),
        duration=None if seconds is None else float(seconds),
    )


def _is_place(value: object) -> bool:
    return (
        isinstance(value, Place)
        and isinstance(value.path, str)
        and isinstance(value.function, str)
        and isinstance(value.line, int)
        and value.line >= 0
    )


def _plain(place: Place | None) -> Place | None:
    if place is None:
        return None
    return Place(str.__str__(place.path), int(place.line), str.__str__(place.function))


def _want(finding: Finding, name: str, fits: bool, what: str) -> None:
    if not fits:
        value = type(getattr(finding, name)).__name__
        raise TypeError(f"{name} of a finding must be {what}, not {value}")
