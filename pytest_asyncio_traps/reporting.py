"""All wording: findings to failures, sections and summaries."""

from __future__ import annotations

import linecache
import os
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from .bridge import Block, ExceptionRepr, make_longrepr
from .core.finding import Finding, Place

#: How many lines of code are shown before the one in question.
_CONTEXT = 2
#: Where longer sentences are folded.
_WIDTH = 90


def clean(text: str) -> str:
    """``text`` without control characters, so that what users name cannot steer a terminal."""
    return "".join(
        char
        if char == "\t" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp")
        else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in text
    )


class Reporter:
    """Words findings, with paths relative to ``root`` where they lie in it."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def relative(self, path: str) -> str:
        """``path`` as the reader knows it."""
        try:
            relative = os.path.relpath(path, self._root)
        except ValueError:  # another drive
            return path
        return path if relative.startswith("..") else relative.replace(os.sep, "/")

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
            lines.append(f"{finding.origin_label} {self.where(origin)}")
        if finding.owner.type == "fixture":
            owner = finding.owner
            lines.append(clean(f"by the {owner.scope} fixture {owner.name!r}"))
        if location is not None and location != origin:
            lines.append(f"{finding.location_label} {self.where(location)}")
        if location is not None and location != finding.place:
            code = linecache.getline(location.path, location.line).strip()
            if code:
                lines.append(f"    {clean(code)}")
        lines += [clean(note) for note in finding.notes]
        lines += textwrap.wrap(f"To mend it: {finding.advice}", _WIDTH, subsequent_indent="    ")
        if finding.owner.nodeid:
            allow = f'@pytest.mark.asyncio_allow("{finding.kind}", reason="...")'
        else:
            allow = f"the rule allow:{finding.kind} (see asyncio_traps in the docs)"
        lines.append(f"To allow it: {allow}")
        return lines

    def block(self, finding: Finding, count: int, fallback: Place) -> Block:
        """A finding as pytest shows one entry of a traceback: code, then what is wrong with it."""
        place = finding.place or fallback
        lines = list(_code(place))
        lines.append(f"E   {self.headline(finding, count)}")
        lines += [f"E     {line}" for line in self.details(finding)]
        return lines, (clean(self.relative(place.path)), place.line, finding.kind)

    def failure(
        self, findings: Sequence[tuple[Finding, int]], fallback: tuple[str, int]
    ) -> ExceptionRepr:
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

    def summary(self, findings: Iterable[tuple[Finding, int]]) -> list[str]:
        """How many findings of each kind there were, and what was done about them."""
        tally: dict[str, Counter[str]] = {}
        for finding, count in findings:
            tally.setdefault(finding.kind, Counter())[finding.action] += count
        words = {"fail": "failed", "warn": "warned", "allow": "allowed"}
        return [
            f"{kind}: "
            + ", ".join(
                f"{counter[action]} {word}" for action, word in words.items() if counter[action]
            )
            for kind, counter in sorted(tally.items())
        ]


def _code(place: Place) -> Iterable[str]:
    """The line of ``place`` behind a ``>``, and what stands before it in its function."""
    code = clean(linecache.getline(place.path, place.line).rstrip("\r\n"))
    if not code.strip():
        return []
    lines = [f">   {code}"]
    for number in range(place.line - 1, max(0, place.line - 1 - _CONTEXT), -1):
        before = clean(linecache.getline(place.path, number).rstrip("\r\n"))
        if not before.strip() or (_indent(before) < _indent(code) and not _opens(before)):
            break
        if _opens(code):
            break
        lines.insert(0, f"    {before}")
        if _indent(before) < _indent(code):
            break
    return lines


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _opens(line: str) -> bool:
    return line.lstrip().startswith(("def ", "async def ", "class ", "@"))
