"""The shape of a trap: one kind of finding, and how it comes to be noticed."""

from __future__ import annotations

from typing import ClassVar, Literal

from .watch import Watch


class Trap:
    """One kind of trap.

    A subclass sets the texts and fills in `arm`. What it replaces, it replaces
    through ``watch.patches``, so that everything is put back; what it finds, it
    hands to ``watch.report``. Whether a finding fails a test, and how it is
    printed, is decided elsewhere.
    """

    #: The kebab-case id, for ever.
    kind: ClassVar[str]
    #: When it is on: ``always``, under ``--asyncio-strict`` (``strict``), or only where a rule
    #: that fails or warns names it (``named``, which turns the others on as well).
    enabled: ClassVar[Literal["always", "strict", "named"]] = "always"
    #: Whether the same code shows it in every run, however fast the machine is.
    steady: ClassVar[bool] = True
    #: What happened, for a heading.
    title: ClassVar[str]
    #: What to do about it, one sentence.
    advice: ClassVar[str]

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        watch.faults.apart.add(self.kind)

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
