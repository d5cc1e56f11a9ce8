"""The words of the summary at the end of a run: causes, counts, and what fails the run itself."""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..model.causes import Counted, Group, grouped
from ..model.run_error import FINDING, STALE, UNUSED_MARKER, UNUSED_RULE, RunError
from ..model.text import clean
from .terminal import Reporter, code_lines

if TYPE_CHECKING:
    from ..baseline.run import BaselineRun

#: How many causes the summary names, and how many of them it shows in full, without -v.
_NAMED = 40
_SHOWN = 5
#: The words for what was done about a finding.
_DONE = {"fail": "failed", "warn": "warned", "allow": "allowed", "baseline": "known"}

#: What to do about errors of a run, by their ids.
_FIXES = {
    STALE: "Remove stale entries by hand, or with --asyncio-traps-update-baseline. To keep an "
    "entry that occurs in some runs only, add the line 'sometimes: yes' to it.",
    UNUSED_RULE: "Remove unused rules.",
    UNUSED_MARKER: "Remove unused markers.",
}


class Line(NamedTuple):
    """A line, and whether it says why the run fails."""

    text: str
    bad: bool = False


class Summary:
    """Words a whole run, with the words of ``reporter`` for a finding."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def causes(self, findings: Sequence[Counted], verbosity: int = 0) -> list[str]:
        """The causes, those of the most tests first, and the number of findings of each kind.

        Causes that are all allowed or known come last. With ``-v`` nothing is left out, with
        ``-q`` there is a line for each cause, with ``-qq`` there is none.
        """
        groups = grouped(findings)
        loud = [group for group in groups if group.actions.keys() & {"fail", "warn"}]
        quiet = [group for group in groups if not group.actions.keys() & {"fail", "warn"}]
        lines: list[str] = []
        if verbosity > 0:
            for group in loud + quiet:
                lines += [self._cause(group), *self._sample(group)]
                lines += [f"    {clean(nodeid)}" for nodeid in group.nodeids]
        elif verbosity > -2:
            for number, group in enumerate(loud[:_NAMED]):
                lines.append(self._cause(group))
                # The report of a single test has already shown what that test has found.
                if verbosity == 0 and number < _SHOWN and len(group.nodeids) > 1:
                    lines += [*self._sample(group), f"    {clean(group.sample.owner.nodeid)}"]
                    lines.append(f"    and {len(group.nodeids) - 1} more (-v names them)")
            lines += _left_out(loud[_NAMED:])
            lines += map(self._cause, quiet[:_NAMED])
            lines += _left_out(quiet[_NAMED:])
        return lines + _tally(findings)

    def errors(self, errors: Sequence[RunError], findings: Sequence[Counted]) -> list[Line]:
        """The errors of the run, and in full the ``findings`` among them."""
        if not errors:
            return []
        lines = [Line("These errors belong to no test, and fail the run:", bad=True)]
        lines += [Line(f"  {line}") for line in self._reporter.text(findings).splitlines()]
        for name in dict.fromkeys(error.id for error in errors if error.id != FINDING):
            for error in errors:
                if error.id == name:
                    where = clean(error.where(self._reporter.from_start))
                    lines.append(Line(f"  {where}: {error.text}", bad=True))
            if fix := _FIXES.get(name):
                lines.append(Line(f"  {fix}"))
        return lines

    def _cause(self, group: Group) -> str:
        """A cause and the number of its tests, on one line."""
        cause, actions = group.cause, group.actions
        where = self._reporter.relative(cause.path) if cause.path else ""
        if cause.line:
            where += f":{cause.line}"
        tests = _number(len(group.nodeids), "test") if group.nodeids else "no test"
        times = f", {group.times} times" if group.times > max(1, len(group.nodeids)) else ""
        done = ""
        if len(actions) > 1:
            done = f" ({_worded(actions)})"
        elif "fail" not in actions:
            done = f" ({', '.join(_DONE[action] for action in actions)})"
        text = " ".join(part for part in (cause.kind, where, cause.function) if part)
        return clean(f"{text}, {tests}{times}{done}")

    def _sample(self, group: Group) -> list[str]:
        sample, count = group.findings[0]
        code = code_lines(sample.place) if sample.place is not None else []
        lines = [*code, f"E   {self._reporter.headline(sample, count)}"]
        lines += [f"E     {line}" for line in self._reporter.details(sample)]
        return [f"    {line}" for line in lines]


def blind_lines(blind_spots: Mapping[str, str]) -> list[Line]:
    """What could not be watched, and why."""
    spots = sorted(blind_spots.items())
    return [Line(f"Not watched: {what}: {reason}.") for what, reason in spots]


def baseline_lines(baseline: "BaselineRun | None", start: Path) -> list[Line]:
    """What the run wrote to the baseline; ``start`` is the folder in which pytest was started."""
    if baseline is None or baseline.failure or baseline.result is None:
        return []
    result = baseline.result
    name = clean(os.path.relpath(baseline.path, start))
    text = (
        f"{name}: {len(result.entries)} known "
        f"({result.new} new, {result.gone} gone, {result.unseen} not judged by this run)"
    )
    return [Line(text)]


def _left_out(groups: Sequence[Group]) -> list[str]:
    if not groups:
        return []
    tests = len({nodeid for group in groups for nodeid in group.nodeids})
    return [
        f"... and {_number(len(groups), 'more cause')}, "
        f"sprung by {_number(tests, 'test')} (-v names them)"
    ]


def _tally(findings: Iterable[Counted]) -> list[str]:
    tally: dict[str, Counter[str]] = {}
    for finding, count in findings:
        tally.setdefault(finding.kind, Counter())[finding.action] += count
    return [f"{kind}: {_worded(counter)}" for kind, counter in sorted(tally.items())]


def _worded(actions: Mapping[str, int]) -> str:
    return ", ".join(f"{actions[act]} {word}" for act, word in _DONE.items() if actions.get(act))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
