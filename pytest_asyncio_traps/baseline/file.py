"""The file of a baseline: accepted findings, as text. Nothing here uses pytest.

People review the file. An entry is a cause, described so that it stays the same when lines shift,
with the tests that show it::

    pending-task app/poller.py Poller.start
        code: self._task = asyncio.create_task(self._poll())
        about: Poller._poll
        test: tests/test_poller.py::test_start

``number: 2`` refers to the second of identical lines of the function. ``sometimes: yes``, which is
written by hand, says that the cause does not show in every run. A value that is not plain text
stands in double quotes, with escapes as in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..model.causes import owner_of
from ..model.finding import Finding
from ..model.sources import Sources
from ..policy.rules import guess

HEADER = (
    "# Asyncio traps that this suite is known to spring: pytest-asyncio-traps lists them, and",
    "# fails for new ones only. Written by pytest --asyncio-traps-update-baseline. Entries may be",
    "# taken out by hand; comments of your own stay with the entry that follows them.",
)
#: The length, in characters, at which a text is cut: a key has to tell causes apart, no more.
_LONGEST = 300


class BadBaselineError(ValueError):
    """A baseline with an error; the message begins with the number of its line, and says why."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What tells one cause from another.

    ``code`` is the text of the line, and ``number`` its ordinal, from 1 on, among identical lines
    of the function. ``subject`` is what the finding is about: it tells apart the findings of one
    line of a helper, such as the coroutines of which ``spawn()`` makes tasks.
    """

    kind: str
    path: str
    function: str
    code: str = ""
    number: int = 1
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A known cause.

    ``tests`` are beginnings of nodeids: functions, classes or files. There are none where the
    cause belongs to no test. ``comments`` and ``sometimes`` are written by the user; an entry with
    ``sometimes`` is never stale. ``line`` is the line of the file, from 1 on, at which the entry
    begins; it is 0 for an entry that was not read from a file.
    """

    key: Key
    tests: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    sometimes: bool = False
    line: int = field(default=0, compare=False)


def key_of(finding: Finding, relative: Callable[[str], str], sources: Sources) -> Key:
    """The key of ``finding``. ``relative`` makes its path the same on all machines."""
    # The line at which a slow step blocks is a sample, and differs from run to run.
    place = finding.origin if finding.duration is not None else finding.place
    if place is None:
        path, function = owner_of(finding)
        what = (finding.exception or "").partition(":")[0]
        parts = finding.kind, path, function, what, finding.subject
        number = 1
    else:
        spot = sources.find(place)
        path = _portable(relative(place.path))
        parts = finding.kind, path, spot.function, spot.code, finding.subject
        number = spot.number
    kind, path, function, code, subject = map(_cut, parts)
    return Key(kind, path, function, code, number, subject)


def _portable(path: str) -> str:
    """``path``, for an installed library from the folder ``site-packages`` on."""
    path = path.replace("\\", "/")
    for folder in ("site-packages/", "dist-packages/"):
        before, found, rest = path.rpartition(folder)
        if found and (not before or before.endswith("/")):
            return found + rest
    return path


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


# -- writing ----------------------------------------------------------------


def render(entries: Iterable[Entry]) -> str:
    """``entries``, sorted, as the text of a file."""
    parts = ["\n".join(HEADER)]
    parts += ["\n".join(_written(entry)) for entry in sorted(entries, key=lambda e: e.key)]
    return "\n\n".join(parts) + "\n"


def _written(entry: Entry) -> Iterator[str]:
    key = entry.key
    yield from entry.comments
    yield " ".join(_word(text) for text in (key.kind, key.path, key.function))
    if key.code:
        yield f"    code: {_value(key.code)}"
    if key.number != 1:
        yield f"    number: {key.number}"
    if key.subject:
        yield f"    about: {_value(key.subject)}"
    if entry.sometimes:
        yield "    sometimes: yes"
    for test in sorted(entry.tests):
        yield f"    test: {_value(test)}"


def _word(text: str) -> str:
    plain = text.isprintable() and not re.search(r'[\s"]', text) and not text.startswith("#")
    return text if text and plain else _quoted(text)


def _value(text: str) -> str:
    plain = text.isprintable() and text == text.strip() and not text.startswith('"')
    return text if text and plain else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


# -- reading ----------------------------------------------------------------

_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


def parse(data: bytes, kinds: Sequence[str] | None) -> tuple[Entry, ...]:
    """The entries of a file. Raises `BadBaselineError`.

    They may be of any of ``kinds``, or of any kind at all where ``kinds`` is None.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise BadBaselineError(f"{line}: not UTF-8 ({exc.reason})") from None
    entries: dict[Key, Entry] = {}
    for entry in _Reader(kinds).read(text):
        before = entries.get(entry.key, entry)  # a merge of branches may leave an entry twice
        tests = tuple(sorted({*before.tests, *entry.tests}))
        comments = tuple(dict.fromkeys((*before.comments, *entry.comments)))
        sometimes = before.sometimes or entry.sometimes
        entries[entry.key] = Entry(entry.key, tests, comments, sometimes, before.line)
    return tuple(entries.values())


class _Reader:
    def __init__(self, kinds: Sequence[str] | None) -> None:
        self._kinds = kinds
        self._number = 0
        self._first = 0
        self._head: list[str] | None = None
        self._fields: dict[str, list[str]] = {}
        self._comments: list[str] = []
        self._next: list[str] = []

    def read(self, text: str) -> Iterator[Entry]:
        for self._number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip()
            if not stripped or stripped in HEADER:
                continue
            elif stripped.startswith("#"):
                self._next.append(stripped)
            elif line[0] in " \t":
                self._field(stripped)
            else:
                yield from self._entry()
                self._begin(stripped)
        yield from self._entry()

    def _begin(self, line: str) -> None:
        self._head, self._first, rest = [], self._number, line
        while rest:
            word, rest = self._take(rest, r"\S+")
            self._head.append(word)
            if rest and not rest[0].isspace():
                raise self._bad("a blank is missing after the closing quote")
            rest = rest.lstrip()
        if self._kinds is not None and self._head[0] not in self._kinds:
            raise self._bad(
                f"unknown kind {self._head[0]!r}{guess(self._head[0], self._kinds)}, "
                f"must be one of {', '.join(self._kinds)}"
            )
        if len(self._head) != 3:
            raise self._bad(
                f"an entry begins with a kind, a path and a function, not {len(self._head)} words"
            )
        self._fields = {"code": [], "number": [], "about": [], "sometimes": [], "test": []}
        self._comments, self._next = self._next, []

    def _field(self, line: str) -> None:
        name, colon, value = line.partition(":")
        if self._head is None:
            raise self._bad("a line of an entry stands before the first entry")
        if not colon or name not in self._fields:
            raise self._bad(f"unknown field {name!r}, must be one of {', '.join(self._fields)}")
        if not value.strip():
            raise self._bad(f"{name} has no value")
        text, rest = self._take(value.strip(), ".+")
        if rest:
            raise self._bad("there is more after the closing quote")
        if name != "test" and self._fields[name]:
            raise self._bad(f"{name} stands twice in an entry")
        if name == "number" and not re.fullmatch("[1-9][0-9]{0,8}", text):
            raise self._bad(f"{text!r} is not a number of a line, from 1 on")
        if name == "sometimes" and text != "yes":
            raise self._bad(f"sometimes is either yes or left out, not {text!r}")
        self._fields[name].append(text)

    def _take(self, text: str, plain: str) -> tuple[str, str]:
        """A value at the beginning of ``text``, and the rest."""
        if not text.startswith('"'):
            match = re.match(plain, text, re.DOTALL)
            return (match[0], text[match.end() :]) if match else ("", text)
        match = re.match(r'"((?:\\.|[^"\\])*)"', text)
        if match is None:
            raise self._bad("a quote is not closed")
        return _ESCAPE.sub(self._unescaped, match[1]), text[match.end() :]

    def _unescaped(self, match: re.Match[str]) -> str:
        escape = match[0]
        if escape[1] in '"\\':
            return escape[1]
        try:
            return chr(int(escape[2:], 16))
        except ValueError:
            raise self._bad(f"unknown escape {escape}") from None

    def _entry(self) -> Iterator[Entry]:
        if self._head is None:
            return
        kind, path, function = self._head
        fields: Mapping[str, Sequence[str]] = self._fields
        code, number, subject = (
            fields[name][0] if fields[name] else otherwise
            for name, otherwise in (("code", ""), ("number", "1"), ("about", ""))
        )
        key = Key(kind, path, function, code, int(number), subject)
        tests = tuple(sorted(set(fields["test"])))
        yield Entry(key, tests, tuple(self._comments), bool(fields["sometimes"]), self._first)

    def _bad(self, reason: str) -> BadBaselineError:
        return BadBaselineError(f"{self._number}: {reason}")
