"""Clients, sessions and connections of libraries that were never closed."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..core.contexts import OTHER, subject
from ..core.destructors import (
    Closing,
    Constructor,
    Destructor,
    LibraryClasses,
    Made,
    WarningProbe,
    definer,
    instance_of,
    is_blank,
    is_librarys,
    member,
    transports_of,
)
from ..core.harness import user_has_handler
from ..core.objects import ask, is_a
from ..core.paths import LIBRARY, USER
from ..core.places import place_of, places_of
from ..core.reported import is_reported, set_reported
from ..core.stacks import KINDS, is_user, user_mark, user_stack
from ..core.trap import BuiltinTrap
from ..model.finding import Finding
from ..model.text import clean, shorten


class UnclosedResource(BuiltinTrap):
    """An object whose closing has to be awaited is destroyed, and its destructor complains.

    A destructor cannot await. Instead, that of a client, session or connection emits a
    ResourceWarning, or passes a message without an exception to the loop's exception handler.
    Python and pytest hide the one, and the other is only logged.

    What is watched are the classes of imported modules that have both a destructor and an async way
    to close. Their constructors tell whose an object is, their destructors what it reports.
    """

    kind = "unclosed-resource"
    title = "a client, session or connection of a library was never closed"
    advice = (
        "Await its closing method before the test or fixture that made it ends, or use it in an "
        "async with statement."
    )

    def arm(self) -> None:
        if ask(sys.flags, "context_aware_warnings"):
            self.watch.blind(
                f"{self.kind} of objects that only emit a ResourceWarning",
                "each context has warning filters of its own",
            )
        #: By ``id()``, the objects that are alive; the destructor removes its object. A note on the
        #: object would show in its ``__dict__``, and some classes allow none.
        self._made: dict[int, Made] = {}
        self._running = _Running()
        self._probe = WarningProbe(self._running.last, self.watch.faults.guard(self.kind))
        self._classes = LibraryClasses()
        #: The ids of the classes in which a constructor or destructor was replaced, with its name.
        self._replaced: set[tuple[int, str]] = set()

    # -- classes ------------------------------------------------------------

    def modules_imported(self) -> None:
        for cls in self._classes.find_new():
            self._watch_class(cls)

    def _watch_class(self, cls: type) -> None:
        """Replace the constructor and the destructor of ``cls``, where they are defined."""
        constructor = member(cls, "__init__")
        if not is_librarys(constructor) and not is_a(constructor, Constructor):
            return
        patches = self.watch.patches
        try:
            for name in ("__init__", "__del__"):
                target = definer(cls, name)
                if target is None or (id(target), name) in self._replaced:
                    continue
                if name == "__del__":
                    patches.wrap(target, name, self._make_del)
                else:
                    patches.set(target, name, Constructor(constructor, self._constructed))
                self._replaced.add((id(target), name))
        except Exception:  # its metaclass refuses
            pass

    # -- the life of an object ----------------------------------------------

    def _constructed(self, obj: Any, frame: FrameType | None) -> None:
        """The constructor of ``obj`` is about to run, called in ``frame``."""
        watch = self.watch
        if not watch.active or watch.faults.is_off(self.kind):
            return
        with watch.faults.guard(self.kind):
            self._made.pop(id(obj), None)
            if self._classes.closing_of(type(obj)) is None:
                return
            frame = _caller_of(frame, obj)
            mark = user_mark(frame)
            if mark is None or not is_user(mark):
                return  # a library made it on its own behalf
            outer = user_stack(frame)
            by_library = is_part = False
            while frame is not None and (kind := KINDS[frame.f_code.co_filename]) != USER:
                by_library = by_library or kind == LIBRARY
                is_part = is_part or id(instance_of(frame)) in self._made
                frame = frame.f_back
            self._made[id(obj)] = Made(mark, outer, watch.ownership.now(), by_library, is_part)

    def _make_del(self, original: Callable[..., None]) -> Callable[..., None]:
        watch = self.watch

        def __del__(self_: Any, *args: Any, **kwargs: Any) -> None:
            destructor = None
            if self._made and watch.active and not watch.faults.is_off(self.kind):
                with watch.faults.guard(self.kind):
                    destructor = self._begin(self_)
            try:
                original(self_, *args, **kwargs)
            finally:
                if destructor is not None:
                    with watch.faults.guard(self.kind):
                        self._end(destructor)

        return __del__

    def _begin(self, obj: Any) -> Destructor | None:
        """The destructor of ``obj`` is about to run. None if it may complain."""
        made = self._made.pop(id(obj), None)
        if made is None or made.is_part or is_blank(obj):
            return None
        destructor = Destructor(obj, made, transports_of(obj))
        self._running.destructors.append(destructor)
        try:
            self._probe.insert()
            destructor.delivery = self.watch.warning_monitor.begin()
        except BaseException:
            self._running.destructors.remove(destructor)
            self._probe.remove()
            raise
        return destructor

    def _end(self, destructor: Destructor) -> None:
        """It has run: report what it has complained about."""
        watch = self.watch
        self._running.destructors.remove(destructor)
        self._probe.remove()
        finding = None
        try:
            finding = self._finding_of(destructor)
        finally:
            # What is kept for later refers to the finding only: the object is about to be freed.
            own = destructor.made.tenure.nodeid == watch.ownership.running.nodeid
            report = (lambda: None) if finding is None else functools.partial(watch.report, finding)
            watch.warning_monitor.end(destructor.delivery, report, own)

    def exception_handler_called(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        destructor = self._running.last()
        if destructor is None or type(context) is not dict or subject(context) != OTHER:
            return
        if any(value is destructor.obj for value in context.values()):
            destructor.complained = True
            # As with other kinds, a test that sets a handler deals with what it is told.
            destructor.consented = destructor.consented or user_has_handler(loop)

    # -- what to report -----------------------------------------------------

    def _finding_of(self, destructor: Destructor) -> Finding | None:
        """What to report of an object whose destructor has run, or None."""
        made, transports = destructor.made, destructor.transports
        if not destructor.complained or destructor.consented:
            return None
        # If its connections were reported, this is the same cause; else they are part of this.
        if any(is_reported(transport) for transport in transports):
            return None
        for transport in transports:
            set_reported(transport)
        closing = self._classes.closing_of(type(destructor.obj))
        if closing is None:
            return None
        notes: tuple[str, ...] = ("It was destroyed while open, and its destructor reported that.",)
        if made.by_library:
            notes += ("A library made it. If a client or a pool holds it, close that instead.",)
        name = shorten(clean(closing.public_name), 200)
        return Finding(
            self.kind,
            f"{name} was never closed",
            _advice(closing),
            made.tenure.owner,
            origin=place_of(made.mark),
            notes=notes,
            subject=name,
            trace=tuple(reversed(places_of((*made.mark, *made.outer)))),
        )


class _Running(threading.local):
    """The destructors that run in this thread, the innermost last."""

    def __init__(self) -> None:
        self.destructors: list[Destructor] = []

    def last(self) -> Destructor | None:
        return self.destructors[-1] if self.destructors else None


def _caller_of(constructor: FrameType | None, obj: Any) -> FrameType | None:
    """The frame that made ``obj``: outside of the constructors of its subclasses."""
    frame = constructor
    while frame is not None and instance_of(frame) is obj:
        frame = frame.f_back
    return frame


def _advice(closing: Closing) -> str:
    """How to close the object."""
    name = clean(shorten(closing.public_name.rpartition(".")[2], 200))
    before = "before the test or fixture that made it ends"
    if not closing.method:
        return f"Use it in an async with statement that ends {before}."
    advice = f"Call await {name}.{closing.method}() on it {before}"
    return advice + (", or use it in async with." if closing.is_context_manager else ".")
