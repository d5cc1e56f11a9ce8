"""The kinds of a run: those of the plugin, and those that others add."""

from __future__ import annotations

from collections.abc import Iterable
from re import fullmatch as _fullmatch  # tests of users may replace re.fullmatch
from typing import Any, Final

import pytest

from ..core.faults import Faults
from ..core.reprs import shown
from ..core.trap import Trap
from ..model.text import clean
from ..traps import KINDS, TRAPS

HOOK: Final = "pytest_asyncio_traps_kinds"
_ID: Final = "[a-z][a-z0-9]*(-[a-z0-9]+)*"


class BadKindError(ValueError):
    """A class that cannot be a kind; the message names it, its plugin and the reason."""


class Kinds:
    """The kinds of a run: at first the plugin's own."""

    faults: Faults

    def __init__(self) -> None:
        self.traps: tuple[type[Trap], ...] = TRAPS
        self.names: tuple[str, ...] = KINDS
        #: The faults of hooks and kinds of others, which leave the rest of the plugin on.
        self.faults = Faults()
        self._error = ""
        #: The plugins whose hooks `collect` has called.
        self._collected: list[object] = []

    @property
    def added(self) -> tuple[type[Trap], ...]:
        """The kinds that others have added."""
        return self.traps[len(TRAPS) :]

    def find(self, kind: str) -> type[Trap] | None:
        """The class of ``kind``, if there is one."""
        return next((trap for trap in self.traps if trap.kind == kind), None)

    def collect(self, config: pytest.Config) -> None:
        """Add the kinds of plugins that are new since the last call. `check` raises the errors.

        Each hook is called on its own, so that a fault of one does not concern the others.
        """
        for impl in reversed(_implementations(config)):
            if self._was_collected(impl.plugin):
                continue
            self._collected.append(impl.plugin)
            where = f"{HOOK} of {clean(impl.plugin_name)}"
            try:
                self._add(impl.function(), where)
            except BadKindError as exc:
                self._error = self._error or str(exc)
            except (Exception, pytest.fail.Exception, pytest.skip.Exception) as exc:
                self.faults.record(where, exc)

    def check(self) -> None:
        """Raise `pytest.UsageError` if a hook has returned something that is no kind."""
        if self._error:
            raise pytest.UsageError(f"asyncio-traps: {self._error}")

    def refuse_late(self, config: pytest.Config, plugin: object) -> None:
        """Raise `pytest.UsageError` if ``plugin`` adds kinds after the run is armed."""
        for impl in _implementations(config):
            if impl.plugin is plugin and not self._was_collected(plugin):
                raise pytest.UsageError(
                    f"asyncio-traps: {HOOK} of {clean(impl.plugin_name)} comes too late: kinds are "
                    "added by plugins, and by the conftest.py files that pytest loads at its start "
                    "(of the rootdir, of testpaths, and of what is named on the command line)"
                )

    def hint(self) -> str:
        """What to add to an error about an unknown kind: the faults of hooks that add kinds."""
        return "".join(
            f"\n{clean(part)} failed:\n{text}" for part, text in self.faults.texts.items()
        )

    def _was_collected(self, plugin: object) -> bool:
        return any(plugin is known for known in self._collected)

    def _add(self, given: object, where: str) -> None:
        if given is None:
            return
        if isinstance(given, (str, type)) or not isinstance(given, Iterable):
            raise BadKindError(f"{where}: {shown(given)} is not a list of subclasses of Trap")
        for cls in given:
            trap = _checked(cls, where)
            known = self.find(trap.kind)
            if known is trap:
                continue  # two plugins may share one
            if known is not None:
                raise BadKindError(
                    f"{where}: the kind {trap.kind!r} of {_name(trap)} is there already, "
                    f"from {_name(known)}"
                )
            self.traps = (*self.traps, trap)
            self.names = (*self.names, trap.kind)


kinds_key: pytest.StashKey[Kinds] = pytest.StashKey[Kinds]()


def kinds_of(config: pytest.Config) -> Kinds:
    """The kinds of the run of ``config``."""
    if kinds_key not in config.stash:
        config.stash[kinds_key] = Kinds()
    return config.stash[kinds_key]


def _implementations(config: pytest.Config) -> list[Any]:
    return list(config.pluginmanager.hook.pytest_asyncio_traps_kinds.get_hookimpls())


def _name(cls: type) -> str:
    return clean(f"{cls.__module__}.{cls.__qualname__}")


def _checked(cls: object, where: str) -> type[Trap]:
    """``cls`` as a kind. Raises `BadKindError`."""
    if not (isinstance(cls, type) and issubclass(cls, Trap)) or cls is Trap:
        raise BadKindError(f"{where}: {shown(cls)} is not a subclass of pytest_asyncio_traps.Trap")
    kind: object = getattr(cls, "kind", None)
    if not isinstance(kind, str) or not _fullmatch(_ID, kind):
        raise BadKindError(
            f"{where}: the kind of {_name(cls)} must be words in small letters, joined by hyphens, "
            f"not {shown(kind)}"
        )
    for name in ("title", "advice"):
        text: object = getattr(cls, name, None)
        if not isinstance(text, str) or not text.strip():
            raise BadKindError(f"{where}: {_name(cls)} lacks a {name}, a sentence for the reader")
    enabled: object = cls.enabled
    if enabled not in ("always", "strict", "named"):
        raise BadKindError(
            f"{where}: enabled of {_name(cls)} must be always, strict or named, "
            f"not {shown(enabled)}"
        )
    if cls.arm is Trap.arm:
        raise BadKindError(f"{where}: {_name(cls)} lacks the method arm")
    return cls
