"""All wording: findings to failures, sections and summaries."""

from __future__ import annotations

import os
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compat.pytest import Block, make_longrepr
from ..model.finding import Finding, Place
from ..model.lines import line_at
from ..model.text import clean, shorten

if TYPE_CHECKING:
    from ..model.causes import Group

#: How many lines of code are shown before the one in question.
_CONTEXT = 2
#: How many calls are named of those that led to a line.
_CALLS = 5
#: Where longer sentences are folded.
_WIDTH = 90
#: How many causes the summary names, and how many of them it shows in full, without -v.
_NAMED = 40
_SHOWN = 5
#: Where a line of source is cut.
_LONGEST = 500
#: What was done about a finding, as the summary says it.
_DONE = {"fail": "failed", "warn": "warned", "allow": "allowed", "baseline": "known"}


class Reporter:
    """Words findings, with paths relative to ``root`` where they lie in it.

    ``start`` is the folder in which pytest was started: where an editor, or whoever marks lines
    in CI, looks for what a failure points to.
    """

    def __init__(self, root: Path, start: Path) -> None:
        self._root = str(root)
        self._start = str(start)

    def relative(self, path: str) -> str:
        """``path`` as the reader knows it."""
        if path.startswith("<"):  # no file
            return path
        try:
            relative = os.path.relpath(path, self._root)
        except ValueError:  # another drive
            return path
        return path if relative.startswith("..") else relative.replace(os.sep, "/")

    def _from_start(self, path: str) -> str:
        """``path`` as pytest itself writes it at the end of a failure."""
        if path.startswith("<"):
            return path
        try:
            relative = os.path.relpath(path, self._start)
        except ValueError:  # another drive
            return path
        return relative if len(relative) < len(path) else path

    def where(self, place: Place) -> str:
        """``path:line, in function``."""
        return clean(f"{self.relative(place.path)}:{place.line}, in {place.function}")

    def headline(self, finding: Finding, count: int = 1) -> str:
        """The kind and the summary, on one line."""
        times = f" ({count} times)" if count > 1 else ""
        return clean(f"{finding.kind}: {finding.summary}{times}")

    def details(self, finding: Finding) -> list[str]:
        """What follows the headline, one sentence or fact a line."""
        lines = []
        origin, location = finding.origin, finding.location
        if origin is not None:
            lines += self._came_to(finding, origin)
        if finding.owner.type == "fixture":
            owner = finding.owner
            lines.append(clean(f"by the {owner.scope} fixture {owner.name!r}"))
        if finding.owner.via:
            lines.append(clean(f"while {finding.owner.nodeid} ran, {finding.owner.via}"))
        if location is not None and location != origin:
            lines.append(f"{finding.location_label} {self.where(location)}")
        if location is not None and location != finding.place:
            code = line_at(location).strip()
            if code:
                lines.append(f"    {_fit(code)}")
        lines += [clean(note) for note in finding.notes]
        lines += textwrap.wrap(f"To mend it: {finding.advice}", _WIDTH, subsequent_indent="    ")
        if finding.owner.type == "fixture":
            # pytest takes no markers on fixtures, and the next run may charge another test.
            about = re.escape(finding.subject[:80]) if finding.subject.isprintable() else ""
            rule = ":".join(filter(None, ("allow", finding.kind, about)))
            allow = f"the rule {rule} (ini asyncio_traps, or --asyncio-traps)"
        elif finding.owner.nodeid:
            allow = f'@pytest.mark.asyncio_allow("{finding.kind}", reason="...")'
        else:
            allow = f"the rule allow:{finding.kind} (see asyncio_traps in the docs)"
        lines.append(f"To allow it: {allow}")
        return lines

    def _came_to(self, finding: Finding, origin: Place) -> list[str]:
        """Where it was made and, where there is more to say, how the test came there."""
        calls = [call for call in reversed(finding.trace) if not call.path.startswith("<")]
        if len(calls) < 2 or calls[0] != origin:
            return [f"{finding.origin_label} {self.where(origin)}"]
        words = [f"{self.relative(c.path)}:{c.line} {c.function}" for c in calls]
        if len(words) > _CALLS:
            words = [*words[: _CALLS - 1], "...", words[-1]]
        text = clean(f"{finding.origin_label} " + " \u2190 ".join(words))
        return textwrap.wrap(
            text, _WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )

    def block(self, finding: Finding, count: int, fallback: Place) -> Block:
        """A finding as pytest shows one entry of a traceback: code, then what is wrong with it."""
        place = finding.place or fallback
        lines = list(_code(place))
        lines.append(f"E   {self.headline(finding, count)}")
        lines += [f"E     {line}" for line in self.details(finding)]
        return lines, (clean(self._from_start(place.path)), place.line, finding.kind)

    def failure(self, findings: Sequence[tuple[Finding, int]], fallback: tuple[str, int]) -> Any:
        """The failure of a phase. ``fallback`` is the test's own (path, line)."""
        first, count = findings[0]
        test = Place(*fallback, "")
        place = first.place or test
        message = self.headline(first, count)
        if len(findings) > 1:
            message += f" (and {len(findings) - 1} more)"
        blocks = [self.block(finding, n, test) for finding, n in findings]
        return make_longrepr(blocks, (clean(place.path), place.line, message))

    def text(self, findings: Iterable[tuple[Finding, int]]) -> str:
        """Findings as plain text, for a section of a report."""
        parts = []
        for finding, count in findings:
            lines = [self.headline(finding, count)]
            lines += [f"  {line}" for line in self.details(finding)]
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def summary(self, findings: Sequence[tuple[Finding, int]], verbosity: int = 0) -> list[str]:
        """The causes, what most tests sprang first, and how many findings of each kind there were.

        What was allowed, or is known, comes behind the rest. With ``-v`` nothing is left out,
        with ``-q`` there is a line for each cause, with ``-qq`` there is none.
        """
        from ..model.causes import grouped  # not before there is something to group

        groups = grouped(findings)
        loud = [group for group in groups if group.actions.keys() & {"fail", "warn"}]
        quiet = [group for group in groups if not group.actions.keys() & {"fail", "warn"}]
        lines: list[str] = []
        if verbosity > 0:
            for group in loud + quiet:
                lines += [self.cause(group), *self._sample(group)]
                lines += [f"    {clean(nodeid)}" for nodeid in group.nodeids]
        elif verbosity > -2:
            for number, group in enumerate(loud[:_NAMED]):
                lines.append(self.cause(group))
                # What a single test sprang is told in that test's own report.
                if verbosity == 0 and number < _SHOWN and len(group.nodeids) > 1:
                    lines += [*self._sample(group), f"    {clean(group.sample.owner.nodeid)}"]
                    lines.append(f"    and {len(group.nodeids) - 1} more (-v names them)")
            lines += self._left_out(loud[_NAMED:])
            lines += map(self.cause, quiet[:_NAMED])
            lines += self._left_out(quiet[_NAMED:])
        return lines + _tally(findings)

    def cause(self, group: Group) -> str:
        """A cause and how many tests sprang it, on one line."""
        cause, actions = group.cause, group.actions
        where = self.relative(cause.path) if cause.path else ""
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
        code = _code(sample.place) if sample.place is not None else []
        lines = [*code, f"E   {self.headline(sample, count)}"]
        lines += [f"E     {line}" for line in self.details(sample)]
        return [f"    {line}" for line in lines]

    def _left_out(self, groups: Sequence[Group]) -> list[str]:
        if not groups:
            return []
        tests = len({nodeid for group in groups for nodeid in group.nodeids})
        return [
            f"... and {_number(len(groups), 'more cause')}, "
            f"sprung by {_number(tests, 'test')} (-v names them)"
        ]


def _tally(findings: Iterable[tuple[Finding, int]]) -> list[str]:
    tally: dict[str, Counter[str]] = {}
    for finding, count in findings:
        tally.setdefault(finding.kind, Counter())[finding.action] += count
    return [f"{kind}: {_worded(counter)}" for kind, counter in sorted(tally.items())]


def _worded(actions: Mapping[str, int]) -> str:
    return ", ".join(f"{actions[act]} {word}" for act, word in _DONE.items() if actions.get(act))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _code(place: Place) -> Iterable[str]:
    """The line of ``place`` behind a ``>``, and what stands before it in its function."""
    code = _fit(line_at(place).rstrip("\r\n"))
    if not code.strip():
        return []
    lines = [f">   {code}"]
    for number in range(place.line - 1, max(0, place.line - 1 - _CONTEXT), -1):
        before = _fit(line_at(place._replace(line=number)).rstrip("\r\n"))
        if not before.strip() or (_indent(before) < _indent(code) and not _opens(before)):
            break
        if _opens(code):
            break
        lines.insert(0, f"    {before}")
        if _indent(before) < _indent(code):
            break
    return lines


def _fit(code: str) -> str:
    """A line of source, fit to be shown: there are files that are one line."""
    return clean(shorten(code, _LONGEST))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _opens(line: str) -> bool:
    return line.lstrip().startswith(("def ", "async def ", "class ", "@"))
