"""`Trap`, the base class of all kinds, and `BuiltinTrap`, that of the plugin's own."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import update_wrapper
from types import CodeType, FrameType, FunctionType
from typing import Any, ClassVar, Literal

from ..compat import asyncio as private
from ..model.finding import Finding, Owner, Place
from .checking import checked
from .events import Listener
from .faults import Faults
from .ownership import Tenure
from .places import place_of
from .stacks import Mark, user_mark
from .watch import Watch


class CallSite:
    """A moment in a run: the user's line, and the test or fixture that was responsible.

    It refers to none of the user's objects, so you can keep it.
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
        """The test or fixture that owns what is created at this moment."""
        return self._tenure.owner

    @property
    def ended(self) -> bool:
        """Whether the owner has ended."""
        return self._tenure.ended

    def __repr__(self) -> str:
        return f"<CallSite {self.place}, of {self._tenure!r}>"


#: When a kind is on.
When = Literal["always", "strict", "named"]


class Trap:
    """One kind of trap.

    A subclass sets the texts and overrides `arm`, and `judge` if the trap shows only after
    a test. It replaces functions by `before`, `after` and `wrap`, which put everything back
    at the end, and hands what it finds to `report`. Other parts decide whether a finding
    fails a test, and how it is printed.

    ``self.watch`` is for the kinds that come with the plugin, and changes with them.
    Everything else here is public.
    """

    #: The kebab-case id. It never changes.
    kind: ClassVar[str]
    #: When the kind is on: ``always``; under ``--asyncio-strict`` (``strict``); or only where a
    #: rule that fails or warns names it (``named``). Such a rule turns any kind on.
    enabled: ClassVar[When] = "always"
    #: Whether the same code shows it in every run, however fast the machine is.
    steady: ClassVar[bool] = True
    #: What happened, for a heading.
    title: ClassVar[str]
    #: What to do about it, one sentence.
    advice: ClassVar[str]

    #: The ids of the code that `here` passes over, from its first call on.
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

        Called after `CallSite.ended` has become true for the test and its fixtures. Leave
        what belongs to an owner that has not ended for a later call.
        """

    # -- what a kind uses -------------------------------------------------

    def here(self) -> CallSite:
        """This moment: the user's line that led here, and the test or fixture responsible.

        The lines of the kind's own methods, and of functions made in them, do not count.
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
        creation = self.watch.created_at(obj)
        return CallSite(*creation) if creation is not None else None

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
        """Report a finding, and charge it to the owner of ``here``.

        ``summary`` says on one line what is wrong, without the kind; rules and markers match
        it. The report points to the line of ``here``; ``location`` is a second line, where
        something waits, blocks or raised. ``notes`` are further sentences. ``subject`` names the
        coroutine, callback or object concerned, and must be the same in every run: it tells
        apart the objects that one line makes. ``duration`` is in seconds; ``exception`` is a
        type and a message.

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
        """Call ``tell`` before each call of the function ``name`` of a class or module.

        ``tell`` gets the function's arguments. The function is called in any case, even if
        ``tell`` raises. An async function counts as called when its coroutine is made. Raises
        `AttributeError` if there is no such function.
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
        """Call ``tell`` after each call of the function ``name`` that raised nothing.

        Otherwise the same as `before`.
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

        For what `before` and `after` cannot do; the kind has to use `guard`. The original is
        put back when the run ends. For a static method or class method, ``original`` is the
        function inside it. Raises `AttributeError` if there is no such function.
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
        """Call ``undo`` when the run ends, before wrapped functions are put back.

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

        self.watch.at_end.append(call)

    def guard(self) -> AbstractContextManager[None]:
        """A ``with`` block inside wrapped code, which keeps the kind's own exceptions in.

        Such an exception is reported at the end of the run as a fault of this kind. The kind
        is off from then on: `report` ignores its findings.
        """
        return self.watch.third_party.guard(self.kind)

    def blind(self, what: str, reason: str) -> None:
        """Say once that ``what`` cannot be watched in this run, and why."""
        self.watch.blind(f"{self.kind}: {what}", reason)


def _as_before(original: Callable[..., Any]) -> Callable[..., Any]:
    """``original``, callable in the same way after it was replaced on its class."""
    if original is not object.__init__:
        return original
    # It ignores arguments meant for __new__ only as long as the class has no __init__.
    return lambda obj, *args, **kwargs: original(obj)


def _alike(wrapper: Any, original: object) -> Callable[..., Any]:
    """``wrapper``, which passes for an async function if ``original`` is one."""
    if inspect.iscoroutinefunction(original):
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(wrapper)
        else:
            value = getattr(asyncio.coroutines, private.IS_COROUTINE, None)
            setattr(wrapper, private.IS_COROUTINE, value)
    function: Callable[..., Any] = wrapper
    return function


def _codes_of(cls: type) -> Iterator[CodeType]:
    """The code of the methods of a kind, and of functions made in them."""
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


class BuiltinTrap(Trap, Listener):
    """A kind that comes with the plugin: once armed, it hears the events that it overrides.

    Other kinds derive from `Trap` alone, so that their methods cannot collide with events.
    """

    def arm(self) -> None:
        """Hook in. A kind that only listens to events needs no more than this."""
