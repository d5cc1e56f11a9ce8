"""Compares a baseline with a run: which entries are stale, and what the next file holds.

An entry is stale if its cause did not show in a run in which it had to. It had to if each test that
the entry names has run to its end. So a run of a part of the suite judges the entries of that part,
and no others. Nothing here uses pytest.
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

#: An entry that would name more functions of a file than this names the file instead.
_FUNCTIONS = 5


@dataclass
class RunCoverage:
    """Which part of the suite a run has covered, and with what outcomes. All names are nodeids."""

    #: The tests that were collected, and those of them that were deselected.
    collected: set[str] = field(default_factory=set)
    deselected: set[str] = field(default_factory=set)
    #: The files that were collected without an error.
    files: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    #: Why no entry may be called stale after this run; empty where there is no such reason.
    broken: str = ""
    #: Whether the run would have collected a file, if that existed.
    covers: Callable[[str], bool] = lambda file: False
    #: Whether a file exists.
    exists: Callable[[str], bool] = lambda file: True

    def add(self, nodeid: str, when: str | None, outcome: str) -> None:
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
    """The counts of a `RunCoverage` for each function, each class, each file and the whole."""

    def __init__(self, coverage: RunCoverage) -> None:
        self._coverage = coverage
        self._tests: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._deselected: Counter[str] = Counter()
        done = (coverage.called & coverage.ended) - coverage.failed - coverage.skipped
        skipped = coverage.skipped - coverage.failed
        for nodeid in coverage.collected - coverage.deselected:
            for part in _parts(nodeid):
                self._tests[part] += 1
                self._done[part] += nodeid in done
                self._skipped[part] += nodeid in skipped
        for nodeid in coverage.deselected:
            self._deselected.update(_parts(nodeid))

    def has_run(self, test: str) -> bool:
        """Whether all tests that ``test`` names have run to their end, or no longer exist."""
        coverage = self._coverage
        if coverage.broken:
            return False
        if self._tests[test] or self._deselected[test]:
            return not self._deselected[test] and self._done[test] == self._tests[test]
        file = test.partition("::")[0]
        if file in coverage.files:
            return self._is_complete(file)  # the test was renamed or removed
        return not coverage.exists(file) and coverage.covers(file) and self._is_complete("")

    def has_run_all(self) -> bool:
        """Whether the run was one of the whole suite."""
        return not self._coverage.broken and self._coverage.covers("") and self._is_complete("")

    def _is_complete(self, part: str) -> bool:
        """Whether all tests of ``part`` have run to their end, save those that were skipped.

        The entry names none of those that were skipped.
        """
        if self._deselected[part]:
            return False
        return self._done[part] + self._skipped[part] == self._tests[part]


def _parts(nodeid: str) -> list[str]:
    """The whole, and the file, the classes and the function of a test."""
    names = without_parameters(nodeid).split("::")
    parts = ["::".join(names[: length + 1]) for length in range(len(names))]
    return ["", *parts]


@dataclass(frozen=True)
class Result:
    """The entries of the next file, and the numbers of new, removed and not judged entries."""

    entries: tuple[Entry, ...]
    new: int
    gone: int
    unseen: int


class BaselineComparison:
    """Compares the entries of a baseline with the findings of a run.

    ``key_of`` returns the key of a finding. ``can_find`` says of a kind whether the run looks for
    it, and no rule hides its findings.
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
        """Whether the baseline has an entry for the cause of ``finding``."""
        return self.key_of(finding) in self.entries

    def stale(
        self, findings: Iterable[Finding], coverage: RunCoverage, steady: Callable[[str], bool]
    ) -> list[Entry]:
        """The stale entries. ``steady`` says of a kind whether it shows in every run."""
        met = {self.key_of(finding) for finding in findings}
        index = CoverageIndex(coverage)
        return sorted(
            (
                entry
                for key, entry in self.entries.items()
                if key not in met and steady(key.kind) and self._is_stale(entry, index)
            ),
            key=lambda entry: entry.key,
        )

    def _is_stale(self, entry: Entry, index: CoverageIndex) -> bool:
        """Whether the run had to show ``entry``, which it has not."""
        if entry.sometimes or not self._can_find(entry.key.kind):
            return False
        if not entry.tests:
            return index.has_run_all()
        return all(map(index.has_run, entry.tests))

    def updated(self, findings: Iterable[Finding], coverage: RunCoverage) -> Result:
        """The file after this run: what the run has found, and the entries it cannot judge."""
        found: dict[Key, set[tuple[str, bool]]] = {}
        for finding in findings:
            if finding.action == BASELINE:
                found.setdefault(self.key_of(finding), set()).update(_test_of(finding))
        index = CoverageIndex(coverage)
        entries = [
            dataclasses.replace(
                self.entries.get(key, Entry(key)),
                tests=_folded(self._tests_of(key, tests, index)),
            )
            for key, tests in found.items()
        ]
        unseen = [
            entry
            for key, entry in self.entries.items()
            if key not in found and not self._is_stale(entry, index)
        ]
        return Result(
            tuple(sorted([*entries, *unseen], key=lambda entry: entry.key)),
            new=len(found.keys() - self.entries.keys()),
            gone=len(self.entries.keys() - found.keys()) - len(unseen),
            unseen=len(unseen),
        )

    def _tests_of(self, key: Key, found: set[tuple[str, bool]], index: CoverageIndex) -> set[str]:
        """The tests that the entry of ``key`` names: those of ``found``, and earlier ones."""
        tests = {test for test, _ in found}
        if key not in self.entries:
            return tests
        before = self.entries[key].tests
        if self.entries[key].sometimes:
            return tests.union(before)  # the cause need not show in each run of a test
        if all(shared for _, shared in found) and any(map(index.has_run, before)):
            # A shared fixture is charged to the first of its tests. Another order of tests is no
            # reason to change the file.
            return set(before)
        return tests | {test for test in before if not index.has_run(test)}


def _test_of(finding: Finding) -> set[tuple[str, bool]]:
    """What has to run for ``finding`` to show again, and whether other tests show it as well."""
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
    """``tests``, in which a file replaces its functions where these are many."""
    files = Counter(test.partition("::")[0] for test in tests)
    whole = {file for file, count in files.items() if count > _FUNCTIONS or file in tests}
    return tuple(sorted(whole | {test for test in tests if test.partition("::")[0] not in whole}))
