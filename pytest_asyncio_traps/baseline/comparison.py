"""What a run can say about the baseline: which entries are over, and how the file reads next.

An entry is over when the run would have met it, and has not. The tests that an entry names are
its witnesses: each of them has to have run to its end. So a run of a part of the suite judges
those entries that this part had to spring, and no others. Knows nothing of pytest.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..model.causes import without_parameters
from ..model.finding import Finding
from ..policy.rules import BASELINE
from .file import Entry, Key

#: With more functions of a file than this, an entry names the file.
_FUNCTIONS = 5


@dataclass
class RunCoverage:
    """What a run took up of the suite, and how that ended. All names are nodeids."""

    #: The tests that were to run, and those that something left out once they were collected.
    selected: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    #: The files that were collected without an error.
    files: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    #: Why the run as a whole says nothing about what it did not meet, if there is a reason.
    broken: str = ""
    #: Whether a file would have been collected, if it were there.
    covers: Callable[[str], bool] = lambda file: False
    #: Whether a file is there.
    exists: Callable[[str], bool] = lambda file: True

    def note(self, nodeid: str, when: str | None, outcome: str) -> None:
        """A phase of a test has ended: ``outcome`` is passed, failed, skipped or xfailed."""
        if outcome == "failed":
            self.failed.add(nodeid)
        elif outcome == "skipped":
            self.skipped.add(nodeid)
        elif when == "call" and outcome in ("passed", "xfailed"):
            self.called.add(nodeid)
        elif when == "teardown" and outcome == "passed":
            self.ended.add(nodeid)


class CoverageIndex:
    """A `RunCoverage`, counted up for each function, class, file and for the whole."""

    def __init__(self, coverage: RunCoverage) -> None:
        self._coverage = coverage
        self._tests: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._cut: Counter[str] = Counter()
        done = (coverage.called & coverage.ended) - coverage.failed - coverage.skipped
        skipped = coverage.skipped - coverage.failed
        for nodeid in coverage.selected - coverage.cut:
            for part in _parts(nodeid):
                self._tests[part] += 1
                self._done[part] += nodeid in done
                self._skipped[part] += nodeid in skipped
        for nodeid in coverage.cut:
            self._cut.update(_parts(nodeid))

    def saw(self, test: str) -> bool:
        """Whether all tests that ``test`` names ran to their end, or are no more."""
        coverage = self._coverage
        if coverage.broken:
            return False
        if self._tests[test] or self._cut[test]:
            return not self._cut[test] and self._done[test] == self._tests[test]
        file = test.partition("::")[0]
        if file in coverage.files:
            return self._ran(file)  # it was renamed or removed
        return not coverage.exists(file) and coverage.covers(file) and self._ran("")

    def saw_all(self) -> bool:
        """Whether the run was one of the whole suite."""
        return not self._coverage.broken and self._coverage.covers("") and self._ran("")

    def _ran(self, part: str) -> bool:
        """Whether whatever there is ran. What is skipped was not named, and is not waited for."""
        return not self._cut[part] and self._done[part] + self._skipped[part] == self._tests[part]


def _parts(nodeid: str) -> list[str]:
    """The whole, and the file, the classes and the function of a test."""
    names = without_parameters(nodeid).split("::")
    parts = ["::".join(names[: length + 1]) for length in range(len(names))]
    return ["", *parts]


@dataclass(frozen=True)
class Result:
    """The entries of the next file, and how many of them are new, gone, and were not judged."""

    entries: tuple[Entry, ...]
    new: int
    gone: int
    unseen: int


class BaselineComparison:
    """The entries of a baseline, held against the findings of a run.

    ``key_of`` gives the key of a finding. ``can_find`` says whether the run looks for a kind, and
    hides nothing of it by its rules.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        key_of: Callable[[Finding], Key],
        can_find: Callable[[str], bool] = lambda kind: True,
    ) -> None:
        self.entries: Mapping[Key, Entry] = {entry.key: entry for entry in entries}
        self.key_of = key_of
        self._can_find = can_find

    def knows(self, finding: Finding) -> bool:
        """Whether ``finding`` is of a cause that is known."""
        return self.key_of(finding) in self.entries

    def stale(
        self, findings: Iterable[Finding], coverage: RunCoverage, steady: Callable[[str], bool]
    ) -> list[Entry]:
        """The entries that are over. ``steady`` says whether a kind shows in each run."""
        met = {self.key_of(finding) for finding in findings}
        index = CoverageIndex(coverage)
        return sorted(
            (
                entry
                for key, entry in self.entries.items()
                if key not in met and steady(key.kind) and self._is_over(entry, index)
            ),
            key=lambda entry: entry.key,
        )

    def _is_over(self, entry: Entry, index: CoverageIndex) -> bool:
        if entry.sometimes or not self._can_find(entry.key.kind):
            return False
        if not entry.tests:
            return index.saw_all()
        return all(map(index.saw, entry.tests))

    def updated(self, findings: Iterable[Finding], coverage: RunCoverage) -> Result:
        """What the file is to hold after this run: what it found, and what it could not see."""
        found: dict[Key, set[tuple[str, bool]]] = {}
        for finding in findings:
            if finding.action == BASELINE:
                found.setdefault(self.key_of(finding), set()).update(_witness(finding))
        index = CoverageIndex(coverage)
        entries = [
            dataclasses.replace(
                self.entries.get(key, Entry(key)),
                tests=_folded(self._witnesses(key, witnesses, index)),
            )
            for key, witnesses in found.items()
        ]
        unseen = [
            entry
            for key, entry in self.entries.items()
            if key not in found and not self._is_over(entry, index)
        ]
        return Result(
            tuple(sorted([*entries, *unseen], key=lambda entry: entry.key)),
            new=len(found.keys() - self.entries.keys()),
            gone=len(self.entries.keys() - found.keys()) - len(unseen),
            unseen=len(unseen),
        )

    def _witnesses(self, key: Key, found: set[tuple[str, bool]], index: CoverageIndex) -> set[str]:
        tests = {test for test, _ in found}
        if key not in self.entries:
            return tests
        before = self.entries[key].tests
        if self.entries[key].sometimes:
            return tests.union(before)  # that a test did not spring it says nothing
        if all(shared for _, shared in found) and any(map(index.saw, before)):
            # A shared fixture is charged to whichever of its tests comes first. In another
            # order that is another one, which is no reason to change the file.
            return set(before)
        return tests | {test for test in before if not index.saw(test)}


def _witness(finding: Finding) -> set[tuple[str, bool]]:
    """What is to run for ``finding`` to show again, and whether others could show it as well."""
    owner = finding.owner
    if owner.type == "module":
        return {(owner.name, False)}
    if not owner.nodeid:
        return set()
    test = without_parameters(owner.nodeid)
    if owner.type == "fixture":
        if owner.scope == "module":
            return {(test.partition("::")[0], False)}
        if owner.scope == "class":
            return {(test.rpartition("::")[0], False)}
        return {(test, owner.scope != "function")}
    return {(test, False)}


def _folded(tests: set[str]) -> tuple[str, ...]:
    """``tests``, with a file in the place of many of its functions."""
    files = Counter(test.partition("::")[0] for test in tests)
    whole = {file for file, count in files.items() if count > _FUNCTIONS or file in tests}
    return tuple(sorted(whole | {test for test in tests if test.partition("::")[0] not in whole}))
