"""What ``--asyncio-traps-explain`` prints: the documentation's page about a kind, as plain text."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final

from .rules import BadRuleError
from .traps import KINDS, TRAPS

#: Where the pages stand in an installed package, and in a checkout.
_HERE: Final = Path(__file__).parent
_PAGES: Final = (_HERE / "pages", _HERE.parent / "docs" / "traps")
_SCENARIOS: Final = (_HERE / "pages" / "scenarios", _HERE.parent / "tests" / "scenarios")

_INCLUDE: Final = re.compile(r"\.\. literalinclude:: \S*/(?P<name>\w+\.py)")
_OPTION: Final = re.compile(r"\s+:(?P<name>[\w-]+): (?P<value>.*)")
_ROLE: Final = re.compile(r":[\w:]+:`([^`<]+?)(?: *<[^`>]*>)?`")
_WHEN: Final = {
    "always": "",
    "strict": " (under --asyncio-strict, or where a rule names it)",
    "named": " (only where a rule names it)",
}


def overview() -> str:
    """Each kind, what it is, and when it is on."""
    width = max(map(len, KINDS))
    lines = [f"{trap.kind:{width}}  {trap.title}{_WHEN[trap.enabled]}" for trap in TRAPS]
    lines += ["", "pytest --asyncio-traps-explain KIND says more about one of them."]
    return "\n".join(lines)


def explain(kind: str) -> str:
    """The page about ``kind``. Raises `BadRuleError` for an unknown kind, or a missing page."""
    if kind not in KINDS:
        raise BadRuleError(
            f"--asyncio-traps-explain: unknown kind {kind!r}, must be one of {', '.join(KINDS)}"
        )
    page = _find(_PAGES, f"{kind}.rst")
    if page is None:
        raise BadRuleError(f"--asyncio-traps-explain: the page about {kind} is not installed")
    return plain(page.read_text(encoding="utf-8"))


def plain(text: str) -> str:
    """reStructuredText as it reads well on a terminal: with the code that it includes."""
    out: list[str] = []
    lines = text.splitlines()
    while lines:
        line = lines.pop(0)
        include = _INCLUDE.match(line)
        if include:
            options = {}
            while lines and (option := _OPTION.match(lines[0])):
                options[option["name"]] = option["value"]
                lines.pop(0)
            code = _section(include["name"], options.get("start-after"), options.get("end-before"))
            out += textwrap.indent(code, "    ").splitlines()
        elif line.startswith(".. code-block::"):
            while lines and not lines[0].strip():
                lines.pop(0)
        elif not line.startswith((".. _", ".. seealso::", ".. index::")):
            out.append(_ROLE.sub(r"\1", line).replace("``", "`"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def _section(name: str, after: str | None, before: str | None) -> str:
    """The part of a scenario that a page shows."""
    path = _find(_SCENARIOS, name)
    if path is None:
        return f"(see {name} in the documentation)"
    lines = path.read_text(encoding="utf-8").splitlines()
    begin = next((n + 1 for n, line in enumerate(lines) if after and after in line), 0)
    end = next((n for n in range(begin, len(lines)) if before and before in lines[n]), len(lines))
    return "\n".join(lines[begin:end]).strip("\n")


def _find(folders: tuple[Path, ...], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
