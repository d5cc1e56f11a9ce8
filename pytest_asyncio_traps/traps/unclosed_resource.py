"""Clients, sessions and connections of libraries that were never closed."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..core.class_hooks import ClassHooks, DestructorHook
from ..core.closed_late import before_destructor
from ..core.contexts import OTHER, subject
from ..core.destructors import Destructor, RunningDestructors, WarningProbe, is_ignored
from ..core.harness import user_has_handler
from ..core.library_classes import Closing, LibraryClasses, member
from ..core.objects import ask, is_a
from ..core.places import place_of, places_of
from ..core.reported import CARRIED, is_reported, set_reported
from ..core.resources import (
    Resource,
    Resources,
    caller_of_constructors,
    held_by,
    is_blank,
    is_transport,
)
from ..core.stacks import is_user
from ..core.trap import BuiltinTrap
from ..model.finding import Finding
from ..model.text import clean, shorten


class UnclosedResource(BuiltinTrap):
    """An object whose closing has to be awaited is destroyed, and its destructor complains.

    A destructor cannot await. Instead, that of a client, session or connection emits a
    ResourceWarning, or passes a message without an exception to the loop's exception handler.
    Python and pytest hide the one, and the other is only logged.

    What is watched are the classes of imported modules that have both a destructor and an async way
    to close. Their constructors tell whose an object is, their destructors what it reports. If the
    loop is closed before that, the open transports of an object give it away.
    """

    kind = "unclosed-resource"
    title = "a client, session or connection of a library was never closed"
    advice = (
        "Await its closing method before the test or fixture that created it ends, or use it in an "
        "async with statement."
    )

    def arm(self) -> None:
        self._running = RunningDestructors()
        guard = self.watch.faults.guard(self.kind)
        self._probe = WarningProbe(self._running.last, guard)
        self._classes = LibraryClasses()
        self._resources = Resources(self._classes)
        #: Of the collection that runs: by ``id()``, the destroyed objects that were reported.
        self._collected: dict[int, Resource] = {}
        self._hooks = ClassHooks(
            self.watch.patches, self._classes, self._constructed, self._destructed, guard
        )

    def modules_imported(self) -> None:
        self._hooks.find_new()

    # -- the life of an object ----------------------------------------------

    def _constructed(self, obj: Any, frame: FrameType | None) -> None:
        """The constructor of ``obj`` is about to run, called in ``frame``."""
        watch = self.watch
        if not watch.active or watch.faults.is_off(self.kind):
            return
        self._resources.take(obj)  # the constructor of a subclass has called this one
        closing = self._classes.closing_of(type(obj))
        # A class that is not watched may have replaced the destructor.
        if closing is None or not is_a(member(type(obj), "__del__"), DestructorHook):
            return
        frame = caller_of_constructors(frame, obj)
        mark, outer = watch.line_that_makes(frame)
        if mark is None or not is_user(mark):
            return  # a library made it on its own behalf
        resource = Resource(obj, closing, mark, outer, watch.ownership.now())
        self._resources.add(obj, resource, frame)

    def _destructed(self, obj: Any, function: Any) -> Callable[[], None] | None:
        """The destructor of ``obj`` is about to run. Returns what to call when it has run."""
        watch = self.watch
        if not watch.active or watch.faults.is_off(self.kind):
            return None
        late = before_destructor(watch, obj, function)
        destructor = self._destructor_of(obj, function) if self._resources else None
        if destructor is None and late is None:
            return None
        return functools.partial(self._end, destructor, late)

    def _destructor_of(self, obj: Any, function: Any) -> Destructor | None:
        resource = self._resources.take(obj)
        if resource is None or is_blank(obj):
            return None
        destructor = Destructor(obj, function, resource, self._note_held)
        if not self.watch.tracker.collecting:
            self._collected.clear()
        if resource.is_maker or self._collected:
            destructor.note_held()  # one of these may complain, and this one may not
        self._running.add(destructor)
        try:
            self._probe.insert()
            destructor.delivery = self.watch.warning_monitor.begin()
        except BaseException:
            self._running.remove(destructor)
            self._probe.remove()
            raise
        return destructor

    def _note_held(self, destructor: Destructor) -> None:
        for held in held_by(destructor.obj):
            if is_transport(held):
                destructor.transports.append(held)
                continue
            resource = self._resources.of(held)
            if resource is not None:
                resource.keepers.append(destructor.resource)
            else:
                resource = self._collected.get(id(held))
            if resource is not None:
                destructor.kept.append(resource)

    def _end(self, destructor: Destructor | None, late: Callable[[], None] | None) -> None:
        """It has run: report what it has complained about, or what it has closed."""
        if destructor is not None:
            self._report(destructor)
        if late is not None:
            late()

    def _report(self, destructor: Destructor) -> None:
        watch = self.watch
        self._running.remove(destructor)
        self._probe.remove()
        finding = None
        try:
            finding = self._finding_of(destructor)
        finally:
            # What is kept for later refers to the finding only: the object is about to go.
            own = destructor.resource.tenure.nodeid == watch.ownership.running.nodeid
            tell = (lambda: None) if finding is None else functools.partial(watch.report, finding)
            watch.warning_monitor.end(destructor.delivery, tell, own)

    def exception_handler_called(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        destructor = self._running.last()
        if destructor is None or type(context) is not dict or subject(context) != OTHER:
            return
        if any(value is destructor.obj for value in context.values()):
            destructor.told_loop = True
            destructor.note_held()
            # As with other kinds, a test that sets a handler deals with what it is told.
            destructor.consented = destructor.consented or user_has_handler(loop)

    def transports_left(self, transports: list[Any], how: str) -> None:
        # A filter of all such warnings is meant for the destructors, too.
        filters = self._probe.users_filters()
        if not self._resources or is_ignored(filters, ResourceWarning, "", [""]):
            return
        holders = self._resources.holders_of(transports)
        for transport in list(transports):
            holding = holders[id(transport)]
            resource = holding[-1].made_by(holding) if holding else None
            if resource is None:
                continue
            if not resource.reported:
                note = "A connection that it holds was still open."
                self.watch.report(self._finding(resource, note, how))
            for each in holding:
                each.reported = True
            transports.remove(transport)

    # -- what to report -----------------------------------------------------

    def _finding_of(self, destructor: Destructor) -> Finding | None:
        """What to report now that a destructor has run, or None."""
        resource = destructor.resource
        # While the collector runs, an object may be destroyed before the one that holds it.
        parts = [part for part in destructor.kept if part.finding is not None]
        # A warning about an object that need not be awaited may be about a memory stream of anyio.
        complained = destructor.told_loop or (
            destructor.complained and not resource.closing.has_plain_close
        )
        if destructor.consented or resource.reported:
            for transport in destructor.transports:
                set_reported(transport)
            return None
        if not complained:
            parts = [part for part in parts if part.is_part_of(resource)]
            return self._in_place_of(parts, resource) if parts else None
        responsible = resource.made_by(resource.keepers)
        if responsible is None or responsible.reported:
            return None
        # If its connections were reported, this is the same cause; else they are part of this.
        for transport in destructor.transports:
            if is_reported(transport) and not self._withdraw(ask(transport, CARRIED)):
                return None
            set_reported(transport)
        for part in destructor.kept:
            if not any(part is maker for maker in resource.makers):
                part.reported = True
                self._withdraw(part.finding)
        if responsible is not resource:
            responsible.reported = resource.reported = True
            return self._finding(responsible, _part_of(resource))
        resource.reported = True
        note = "It was destroyed while open, and its destructor reported that."
        resource.finding = self._finding(resource, note)
        if self.watch.tracker.collecting:
            self._collected[id(destructor.obj)] = resource
        return resource.finding

    def _in_place_of(self, parts: list[Resource], resource: Resource) -> Finding | None:
        """What to report of an object instead of its parts, which the collector destroyed first."""
        withdrawn = [self._withdraw(part.finding) for part in parts]
        if not any(withdrawn):
            return None
        resource.reported = True
        return self._finding(resource, _part_of(parts[0]))

    def _withdraw(self, finding: Finding | None) -> bool:
        """Take ``finding`` back. False if it is too late for that."""
        found = self.watch.take()
        kept = [each for each in found if each is not finding]
        self.watch.found.extendleft(reversed(kept))
        return len(kept) < len(found)

    def _finding(self, resource: Resource, *notes: str) -> Finding:
        name = shorten(clean(resource.closing.public_name), 200)
        by_task = self.watch.reported.is_made_by_task(resource.tenure, resource.mark)
        return Finding(
            self.kind,
            f"{name} was never closed",
            _advice(resource.closing),
            resource.tenure.owner,
            origin=place_of(resource.mark),
            notes=(*notes, *_who_made(resource)),
            subject=name,
            trace=tuple(reversed(places_of((*resource.mark, *resource.outer)))),
            part_of="pending-task" if by_task else "",
        )


def _part_of(part: Resource) -> str:
    name = clean(shorten(part.closing.public_name, 200))
    return f"Its {name} was destroyed while open, and the destructor reported that."


def _who_made(resource: Resource) -> tuple[str, ...]:
    """Notes about the objects of libraries that made the one to close."""
    via = resource.via
    if via is None:
        note = "A library made it. If a client or a pool holds it, close that instead."
        return (note,) if resource.by_library else ()
    name = clean(shorten(via.public_name, 200))
    close = f"call await {clean(shorten(via.name, 200))}.{via.method}() on"
    how = f"{close} that instead" if via.method else "use that in async with instead"
    return (f"It was made by {name}. If that keeps it, {how}.",)


def _advice(closing: Closing) -> str:
    """How to close the object."""
    name = clean(shorten(closing.name, 200))
    before = "before the test or fixture that created it ends"
    if closing.method:
        advice = f"Call await {name}.{closing.method}() on it {before}"
        return advice + (", or use it in async with." if closing.is_context_manager else ".")
    advice = "Use it in an async with statement"
    if closing.has_plain_close:
        advice += f", or call {name}.close() on it,"
    return f"{advice} {before}."
