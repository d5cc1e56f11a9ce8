"""``--asyncio-traps-explain``: the documentation page about a kind, as plain text."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..core.trap import Trap
from ..model.text import clean
from ..policy.rules import BadRuleError, check_kind
from ..traps import KINDS, TRAPS

#: Folders of the pages and their examples: in an installed package, and in a checkout.
_HERE: Final = Path(__file__).parents[1]
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


def overview(traps: Iterable[type[Trap]] = TRAPS) -> str:
    """A line for each kind: its name, its title, and when it is active."""
    traps = list(traps)
    width = max(len(trap.kind) for trap in traps)
    lines = [f"{t.kind:{width}}  {clean(t.title)}{_WHEN[t.enabled]}" for t in traps]
    lines += ["", "pytest --asyncio-traps-explain KIND says more about one of them."]
    return "\n".join(lines)


def explain(kind: str, traps: Iterable[type[Trap]] = TRAPS) -> str:
    """The page about ``kind``. Raises `BadRuleError` if the kind or its page does not exist."""
    known = {trap.kind: trap for trap in traps}
    check_kind(kind, tuple(known), "--asyncio-traps-explain")
    if kind not in KINDS:
        return _of_class(known[kind])
    page = _find(_PAGES, f"{kind}.rst")
    if page is None:
        raise BadRuleError(f"--asyncio-traps-explain: the page about {kind} is not installed")
    return plain(page.read_text(encoding="utf-8"))


def _of_class(trap: type[Trap]) -> str:
    """A page about a kind that another plugin has added, made from the docstring of its class."""
    doc = inspect.cleandoc(trap.__doc__) if trap.__doc__ else ""
    about = [clean(line) for line in plain(doc).splitlines()]
    parts = {
        "What it is": "\n".join([clean(trap.title) + _WHEN[trap.enabled] + ".", "", *about]),
        "How to mend it": clean(trap.advice),
        "How to allow": f'@pytest.mark.asyncio_allow("{trap.kind}", reason="..."), or the rule '
        f"allow:{trap.kind}.",
        "Where it comes from": clean(f"{trap.__module__}.{trap.__qualname__}"),
    }
    lines = [trap.kind, "=" * len(trap.kind)]
    for heading, text in parts.items():
        lines += ["", heading, "-" * len(heading), "", text.rstrip()]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Convert reStructuredText to text for a terminal. Included code becomes part of the text."""
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
    """The part of an example file between ``after`` and ``before``, as ``literalinclude`` shows."""
    path = _find(_SCENARIOS, name)
    if path is None:
        return f"(see {name} in the documentation)"
    lines = path.read_text(encoding="utf-8").splitlines()
    begin = next((n + 1 for n, line in enumerate(lines) if after and after in line), 0)
    end = next((n for n in range(begin, len(lines)) if before and before in lines[n]), len(lines))
    return "\n".join(lines[begin:end]).strip("\n")


def _find(folders: tuple[Path, ...], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
