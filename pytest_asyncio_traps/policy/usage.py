"""Which ``asyncio_allow`` markers have allowed something, for strict mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pytest

from ..model.text import clean
from . import markers

#: Between the parts of a marker's name. Neither part has a line break.
_BREAK: Final = "\n"


class MarkerUsage:
    """The allow markers that have to allow something, and those that have.

    A marker goes by its text and the first test that it is on. All workers of pytest-xdist collect
    the same items in the same order, so that it has the same name in each of them.
    """

    #: By the name of a marker, the tests that it is on.
    expected: dict[str, set[str]]
    #: The names of the markers that have allowed something.
    used: set[str]

    def __init__(self) -> None:
        self.expected = {}
        self.used = set()
        #: By id: the mark, kept so that the id stays its own, and its name.
        self._names: dict[int, tuple[pytest.Mark, str]] = {}
        self._ran: set[str] = set()

    def expect(self, items: Sequence[pytest.Item]) -> None:
        """The allow markers of ``items`` have to allow something."""
        for item in items:
            for mark in item.iter_markers("asyncio_allow"):
                text = f"{clean(item.nodeid)}{_BREAK}{markers.describe(mark)}"
                _, name = self._names.setdefault(id(mark), (mark, text))
                self.expected.setdefault(name, set()).add(item.nodeid)

    def add_used(self, allowances: Iterable[markers.Allowance]) -> None:
        """These have allowed a finding."""
        for allowance in allowances:
            if id(allowance.mark) in self._names:
                self.used.add(self._names[id(allowance.mark)][1])

    def add_report(self, report: pytest.TestReport) -> None:
        """A test whose call was not skipped has had the chance to use its markers."""
        skipped = report.skipped and not hasattr(report, "wasxfail")
        if report.when == "call" and not skipped:
            self._ran.add(report.nodeid)

    def add_of_worker(self, expected: Mapping[str, Iterable[str]], used: Iterable[str]) -> None:
        """In the controller of pytest-xdist: take over ``expected`` and ``used`` of a worker."""
        for name, nodeids in expected.items():
            self.expected.setdefault(name, set()).update(nodeids)
        self.used.update(used)

    def unused(self) -> list[tuple[str, str]]:
        """The markers that have allowed nothing, though all of their tests ran.

        Each is the nodeid of the first test that it is on, and its text.
        """
        return [
            _split(name)
            for name, nodeids in self.expected.items()
            if name not in self.used and nodeids <= self._ran
        ]


def _split(name: str) -> tuple[str, str]:
    nodeid, _, text = name.partition(_BREAK)
    return nodeid, text
