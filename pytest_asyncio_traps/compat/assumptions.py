"""What the plugin assumes about private parts of Python, and what is lost where that is wrong.

Each assumption is stated once, in `compat.cpython` or `compat.asyncio`, next to the private names
that it covers. A probe tests the behaviour itself rather than a version number. It runs once per
process, when the first run starts. Where it fails, the code that depends on the assumption takes a
slower way or stands down, and the run reports a blind spot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final


class Assumption:
    """One assumption about CPython or asyncio.

    ``name`` identifies it in the table of ARCHITECTURE.rst. ``users`` names the modules that rely
    on it. ``lost`` is the blind spot, and empty where a slower way replaces what is missing;
    ``reason`` says what is different in this Python. ``probe`` takes less than a millisecond and
    returns whether the assumption holds; an exception counts as False.
    """

    __slots__ = ("_holds", "lost", "name", "probe", "reason", "users")

    name: str
    users: str
    lost: str
    reason: str
    probe: Callable[[], bool]

    def __init__(
        self, name: str, users: str, lost: str, reason: str, probe: Callable[[], bool]
    ) -> None:
        self.name = name
        self.users = users
        self.lost = lost
        self.reason = reason
        self.probe = probe
        self._holds: bool | None = None
        ASSUMPTIONS.append(self)

    @property
    def holds(self) -> bool:
        """Whether the probe succeeded. The first call runs it."""
        if self._holds is None:
            try:
                self._holds = self.probe() is True
            except Exception:  # a name that is missing, or that has another shape
                self._holds = False
        return self._holds

    def __repr__(self) -> str:
        return f"<Assumption {self.name}>"


#: All of them, in the order in which they are defined.
ASSUMPTIONS: Final[list[Assumption]] = []


def blind_spots() -> Iterator[tuple[str, str]]:
    """What cannot be watched in this process because an assumption failed, and the reason."""
    for assumption in ASSUMPTIONS:
        if not assumption.holds and assumption.lost:
            yield assumption.lost, assumption.reason
