"""A line of source in words that outlive a shift of lines: its text, and what it stands in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .finding import Place
from .lines import lines_of

#: What may begin a text of several lines, and what only seems to.
_QUOTES = re.compile(r"""#.*|(?P<open>\"{3}|'{3})|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_SCOPE = re.compile(r"(?:async\s+def|def|class)\s+(\w+)")


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of source.

    ``function`` is qualified (``Poller.start``), ``code`` the text of the line without
    surplus blanks, empty where the source cannot be read. ``number`` is 2 for the second
    of several equal lines of the function, and so on.
    """

    function: str
    code: str
    number: int


class Sources:
    """Finds the `Spot` of a place. ``read`` gives the lines of a file, none if it has none.

    It looks at indentation only. Python's own parser would be exact, but may warn, within
    the test that happens to run; and a wrong name does no harm while it is the same next time.
    """

    def __init__(self, read: Callable[[str], Sequence[str]] = lines_of) -> None:
        self._read = read
        self._files: dict[str, list[_Line]] = {}

    def spot(self, place: Place) -> Spot:
        """What stands at ``place``."""
        lines = self._files.get(place.path)
        if lines is None:
            lines = self._files[place.path] = list(_lines(self._read(place.path)))
        if not 0 < place.line <= len(lines):
            return Spot(place.function, "", 1)
        scope, code, number = lines[place.line - 1]
        return Spot(_qualified(scope, place.function), code, number)


#: The names around a line, its text, and the how manieth of its like it is there.
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
    """The quotes of the text of several lines that is open after ``line``, if there is one."""
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
        names.append(function)  # a lambda, or the line of a def, which stands outside of it
    return ".".join(names)
