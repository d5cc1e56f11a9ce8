"""Identifies a line of source by its text and function, so that moving the line keeps it known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .finding import Place
from .lines import lines_of

#: Matches what opens a triple-quoted string, and what only seems to: comments and other strings.
_QUOTES = re.compile(r"""#.*|(?P<open>\"{3}|'{3})|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_SCOPE = re.compile(r"(?:async\s+def|def|class)\s+(\w+)")


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of source, identified without its line number.

    ``function`` is the qualified name (``Poller.start``). ``code`` is the text of the line with
    runs of whitespace collapsed; it is empty if the source cannot be read. ``number`` is the
    1-based ordinal among identical lines of the function.
    """

    function: str
    code: str
    number: int


class Sources:
    """Finds the `SourceLine` at a place. ``read`` returns the lines of a file, or none.

    Determines functions by indentation alone. Python's parser would be exact, but may emit warnings
    into the test that is running. A wrong name does no harm as long as the next run agrees.
    """

    def __init__(self, read: Callable[[str], Sequence[str]] = lines_of) -> None:
        self._read = read
        self._files: dict[str, list[_Line]] = {}

    def find(self, place: Place) -> SourceLine:
        """The line at ``place``; its ``code`` is empty if the file has no such line."""
        lines = self._files.get(place.path)
        if lines is None:
            lines = self._files[place.path] = list(_lines(self._read(place.path)))
        if not 0 < place.line <= len(lines):
            return SourceLine(place.function, "", 1)
        scope, code, number = lines[place.line - 1]
        return SourceLine(_qualified(scope, place.function), code, number)


#: The classes and functions around a line, its text, and its ordinal among identical lines there.
_Line = tuple[tuple[str, ...], str, int]


def _lines(lines: Iterable[str]) -> Iterator[_Line]:
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    around: list[tuple[int, tuple[str, ...]]] = [(-1, ())]
    quote = ""
    for line in lines:
        code = " ".join(line.split())
        within, quote = quote, _quote_after(line, quote)
        if code and not within and not code.startswith("#"):
            line = line.expandtabs()
            depth = len(line) - len(line.lstrip())
            while around[-1][0] >= depth:
                around.pop()
        scope = around[-1][1]
        seen[scope, code] += 1
        yield scope, code, seen[scope, code]
        if not within and (match := _SCOPE.match(code)):
            around.append((depth, (*scope, match[1])))


def _quote_after(line: str, quote: str) -> str:
    """The quotes of the multi-line string that is still open after ``line``; empty if none is."""
    start = 0
    while True:
        if quote:
            end = re.compile(rf"(?:\\.|(?!{quote})[^\\])*{quote}", re.DOTALL).match(line, start)
            if end is None:
                return quote
            start, quote = end.end(), ""
        opening = next((m for m in _QUOTES.finditer(line, start) if m["open"]), None)
        if opening is None:
            return ""
        start, quote = opening.end(), opening["open"]


def _qualified(scope: Sequence[str], function: str) -> str:
    if function == "<module>":
        return function
    names = list(scope)
    while names and names[-1] != function and function in names:
        names.pop()
    if not names or names[-1] != function:
        names.append(function)  # a lambda, or the line of the "def" itself
    return ".".join(names)
