"""The words for findings, log records and warnings, as pytest prints them with a test.

`pytest_asyncio_traps.reports.summary` has the words for the end of a run.
"""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
import logging
import os
import re
import textwrap
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..compat.pytest import Block, make_longrepr
from ..core.reprs import text_of
from ..model.finding import Finding, Place
from ..model.lines import line_at
from ..model.text import LIMIT, clean, shorten

#: How many lines of code are shown before the one that a finding points to.
_CONTEXT = 2
#: How many of the calls that led to a line are shown.
_CALLS = 5
#: The width, in characters, at which sentences are wrapped.
_WIDTH = 90
#: The length, in characters, at which a line of source is cut.
_LONGEST = 500


class Failure(NamedTuple):
    """A failed phase of a test: a ``message`` of a line per finding, and pytest's ``longrepr``."""

    message: str
    longrepr: Any


class Reporter:
    """Words findings, with paths relative to ``root`` where they lie in it.

    ``start`` is the folder in which pytest was started. Editors, and tools that annotate lines in
    CI, resolve the path at the end of a failure from there.
    """

    def __init__(self, root: Path, start: Path) -> None:
        self._root = str(root)
        self._start = str(start)

    def relative(self, path: str) -> str:
        """``path`` relative to the root, with slashes, or as it is where it lies elsewhere."""
        if path.startswith("<"):  # not the path of a file
            return path
        try:
            relative = os.path.relpath(path, self._root)
        except ValueError:  # another drive
            return path
        return path if relative.startswith("..") else relative.replace(os.sep, "/")

    def from_start(self, path: str) -> str:
        """``path`` as pytest writes it at the end of a failure."""
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
        """The kind and the summary on one line."""
        times = f" ({count} times)" if count > 1 else ""
        return clean(f"{finding.kind}: {finding.summary}{times}")

    def details(self, finding: Finding) -> list[str]:
        """What follows the headline: where and how it happened, the fix, and how to allow it."""
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
        lines += textwrap.wrap(f"To fix it: {finding.advice}", _WIDTH, subsequent_indent="    ")
        lines.append(f"To allow it: {self._way_to_allow(finding)}")
        return lines

    def _way_to_allow(self, finding: Finding) -> str:
        if finding.owner.type == "fixture":
            # pytest takes no markers on fixtures, and another run may set it up for another test.
            about = re.escape(finding.subject[:80]) if finding.subject.isprintable() else ""
            rule = ":".join(filter(None, ("allow", finding.kind, about)))
            return f"the rule {rule} (ini asyncio_traps, or --asyncio-traps)"
        if finding.owner.nodeid:
            return f'@pytest.mark.asyncio_allow("{finding.kind}", reason="...")'
        return f"the rule allow:{finding.kind} (see asyncio_traps in the docs)"

    def _came_to(self, finding: Finding, origin: Place) -> list[str]:
        """The line that made the object and, where known, the calls from the test to it."""
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
        """A finding as an entry of a traceback: the code, and what is wrong with it."""
        place = finding.place or fallback
        lines = code_lines(place)
        lines.append(f"E   {self.headline(finding, count)}")
        lines += [f"E     {line}" for line in self.details(finding)]
        return lines, (clean(self.from_start(place.path)), place.line, finding.kind)

    def failure(
        self, findings: Sequence[tuple[Finding, int]], fallback: tuple[str, int]
    ) -> Failure:
        """The failure of a phase. ``fallback`` is the path and line of the test itself."""
        first, count = findings[0]
        test = Place(*fallback, "")
        place = first.place or test
        message = self.headline(first, count)
        if len(findings) > 1:
            message += f" (and {len(findings) - 1} more)"
        blocks = [self.block(finding, n, test) for finding, n in findings]
        longrepr = make_longrepr(blocks, (clean(place.path), place.line, message))
        return Failure("\n".join(self.headline(*counted) for counted in findings), longrepr)

    def warning(self, finding: Finding, count: int) -> str:
        """The text of a warning."""
        return "\n".join([self.headline(finding, count), *self.details(finding)])

    def text(self, findings: Iterable[tuple[Finding, int]]) -> str:
        """Findings as plain text, for a section of a report."""
        parts = []
        for finding, count in findings:
            lines = [self.headline(finding, count)]
            lines += [f"  {line}" for line in self.details(finding)]
            parts.append("\n".join(lines))
        return "\n\n".join(parts)


def log_text(records: Iterable[logging.LogRecord]) -> str:
    """Log records as plain text, for a section of a report."""
    return "\n".join(
        clean(f"{shorten(str(record.levelname), 50)} {line}")
        for record in records
        for line in _lines(_message(record))
    )


def warnings_text(shown: Iterable[warnings.WarningMessage]) -> str:
    """Warnings as plain text, for a section of a report."""
    return "\n".join(
        clean(f"{w.category.__name__} {w.filename}:{w.lineno} {line}")
        for w in shown
        for line in _lines(text_of(w.message))
    )


def _lines(text: str | None) -> list[str]:
    """The lines of a message, cut to a length that a report can bear."""
    return [shorten(line) for line in shorten(text or "", 10 * LIMIT).splitlines()]


def _message(record: logging.LogRecord) -> str | None:
    """The text of ``record``, even if its arguments do not fit its format."""
    try:
        return str.__str__(record.getMessage())
    except Exception:
        return text_of(record.msg)


def code_lines(place: Place) -> list[str]:
    """The line of ``place`` behind a ``>``, and the lines before it in its function."""
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
    """A line of source, cut: whole files may consist of one line."""
    return clean(shorten(code, _LONGEST))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _opens(line: str) -> bool:
    return line.lstrip().startswith(("def ", "async def ", "class ", "@"))
