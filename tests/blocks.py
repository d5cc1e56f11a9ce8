"""The code blocks of a page, and the orders that stand in comments before them.

A comment that begins with ``tests:`` says what ``tests/test_docs.py`` is to do with the block that
follows; what stands indented under it belongs to it. Readers of the page do not see it::

    .. tests: file test_app.py
        import pytest

    .. code-block:: python

        def test_app(): ...
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ORDER = re.compile(r"( *)\.\. tests: (.+)")
_CODE = re.compile(r"( *)\.\. (code-block|code|sourcecode|literalinclude):: *(.*)")
_OPTION = re.compile(r" +:([\w-]+): *(.*)")


@dataclass(frozen=True)
class Order:
    """``text`` stands in the comment's first line, ``body`` in those below."""

    text: str
    body: str = ""

    @property
    def verb(self) -> str:
        return self.text.partition(" ")[0].rstrip(":")

    @property
    def rest(self) -> str:
        return self.text.partition(" ")[2].strip()


@dataclass(frozen=True)
class Block:
    """A code block: ``language`` is ``include`` for what is cut out of a file, and may be empty."""

    page: Path
    line: int
    language: str
    text: str
    orders: tuple[Order, ...] = ()
    #: Of what is included: which file, and between which lines.
    source: Path | None = None
    section: str = ""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line} ({self.language or 'literal block'})"


def blocks_of(page: Path) -> list[Block]:
    """The blocks of ``page``, in their order."""
    return list(_Scanner(page).scan())


class _Scanner:
    def __init__(self, page: Path) -> None:
        self._page = page
        self._lines = page.read_text(encoding="utf-8").splitlines()
        self._at = 0

    def scan(self) -> Iterator[Block]:
        orders: list[Order] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            number = self._at
            order, code = _ORDER.fullmatch(line), _CODE.fullmatch(line)
            if order:
                body, _ = self._body(len(order[1]))
                orders.append(Order(order[2].strip(), body))
                continue
            if code:
                body, options = self._body(len(code[1]))
                if code[2] == "literalinclude":
                    yield self._included(number, code[3], options, tuple(orders))
                else:
                    yield Block(self._page, number, code[3], body, tuple(orders))
            elif line.endswith("::") and not line.lstrip().startswith(".. "):
                body, _ = self._body(_indent(line))
                yield Block(self._page, number, "", body, tuple(orders))
            else:
                continue
            orders = []
        if orders:
            yield Block(self._page, len(self._lines), "end", "", tuple(orders))

    def _body(self, indent: int) -> tuple[str, dict[str, str]]:
        """What is indented deeper than ``indent``, and the options at its beginning."""
        options = {}
        while self._at < len(self._lines) and (option := _OPTION.fullmatch(self._here)):
            options[option[1]] = option[2]
            self._at += 1
        begin = self._at
        while self._at < len(self._lines) and (
            not self._here.strip() or _indent(self._here) > indent
        ):
            self._at += 1
        return textwrap.dedent("\n".join(self._lines[begin : self._at])).strip("\n"), options

    @property
    def _here(self) -> str:
        return self._lines[self._at]

    def _included(
        self, number: int, name: str, options: dict[str, str], orders: tuple[Order, ...]
    ) -> Block:
        source = (self._page.parent / name).resolve()
        lines = source.read_text(encoding="utf-8").splitlines()
        after, before = options.get("start-after"), options.get("end-before")
        begin = next(n + 1 for n, line in enumerate(lines) if after is None or after in line)
        begin = begin if after else 0
        end = len(lines)
        if before:
            end = next(n for n in range(begin, end) if before in lines[n])
        text = "\n".join(lines[begin:end]).strip("\n")
        section = (after or "").removeprefix("# [").removesuffix("]")
        return Block(self._page, number, "include", text, orders, source, section)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
