"""The HTML report: a single file that can be read without network access and without JavaScript.

Nearly all text in it comes from user code. The template escapes HTML, and `_clean` escapes control
characters and characters that change the direction of text. The content security policy of the page
permits only the report's own style and script, by their hashes, and no requests.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, Final, NamedTuple

import jinja2
from markupsafe import Markup

from ..model.causes import Counted, Group
from ..model.finding import Finding
from ..model.text import clean
from ..policy.rules import BadRuleError
from .drawing import Drawing, draw
from .excerpts import Excerpt, excerpts_of
from .explain import explain
from .hang_views import views_of
from .run import Run

#: What each action is called.
_ACTIONS: Final = {"fail": "failed", "warn": "warned", "allow": "allowed", "baseline": "known"}
#: The number of causes that are expanded at first.
_OPEN: Final = 8
#: The number of slow steps of a cause that are drawn.
_DRAWN: Final = 3


def render(run: Run) -> bytes:
    """The report as an HTML page, encoded in UTF-8."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
        loader=jinja2.FunctionLoader(_part),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = _part("report.css"), _part("report.js")
    template = environment.get_template("report.html.jinja")
    text = template.render(
        run=run,
        style=Markup(style),
        script=Markup(script),
        policy="; ".join(
            (
                "default-src 'none'",
                f"style-src {_hash(style)}",
                f"script-src {_hash(script)}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        done=_ACTIONS,
        opened=_OPEN,
        tests=len({f.owner.nodeid for f, _ in run.findings if f.owner.nodeid}),
        hangs=[*views_of(run)],
        **_causes(run),
        kinds=[*_kinds(run)],
    )
    return text.encode()


def _part(name: str) -> str:
    text = files(__package__).joinpath("page", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")  # a browser normalizes line ends before it computes the hash


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _clean(value: Any) -> Any:
    """Applied to the value of each expression of the template. Only `Markup` passes unchanged."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


# -- causes -------------------------------------------------------------------


class Occurrence(NamedTuple):
    """A finding of a cause, as a row of a table.

    ``name`` is the test. ``made_by`` says which fixture or import created the object, and
    ``because`` what allows the finding; both may be empty. ``duration`` is in seconds.
    """

    name: str
    made_by: str
    when: str
    done: str
    because: str
    times: int
    duration: float | None


class Card(NamedTuple):
    """A cause, as a card of the page.

    ``done`` lists actions, each with its word and how often it was taken. ``drawings`` are those of
    the slowest steps; ``more_drawings`` is the number of slow steps that are not drawn.
    """

    rank: int
    kind: str
    where: str
    function: str
    tests: int
    times: int
    done: Sequence[tuple[str, str, int]]
    sample: Finding
    excerpts: Sequence[Excerpt]
    occurrences: Sequence[Occurrence]
    drawings: Sequence[Drawing]
    more_drawings: int


def _causes(run: Run) -> dict[str, list[Card]]:
    """The cards by section: ``loud`` for causes that fail or warn, ``quiet`` for the others."""
    cards: dict[str, list[Card]] = {"loud": [], "quiet": []}
    for group in run.groups:
        if group.actions.keys() & {"fail", "warn"}:
            cards["loud"].append(_card(run, group, len(cards["loud"]) + 1))
    for group in run.groups:
        if not group.actions.keys() & {"fail", "warn"}:
            rank = len(cards["loud"]) + len(cards["quiet"]) + 1
            cards["quiet"].append(_card(run, group, rank))
    return cards


def _card(run: Run, group: Group, rank: int) -> Card:
    cause, sample = group.cause, group.sample
    where = run.relative(cause.path) if cause.path else ""
    if cause.line:
        where += f":{cause.line}"
    slow = sorted(
        (counted for counted in group.findings if counted[0].timeline is not None),
        key=lambda counted: -(counted[0].duration or 0.0),
    )
    return Card(
        rank,
        cause.kind,
        where,
        cause.function,
        len(group.nodeids),
        group.times,
        [(act, word, group.actions[act]) for act, word in _ACTIONS.items() if group.actions[act]],
        sample,
        [*excerpts_of(run, sample)],
        [_occurrence(counted) for counted in group.findings],
        [draw(run, finding) for finding, _ in slow[:_DRAWN]],
        max(0, len(slow) - _DRAWN),
    )


def _occurrence(counted: Counted) -> Occurrence:
    finding, count = counted
    owner, consent = finding.owner, finding.consent
    made_by = ""
    if owner.type == "fixture":
        made_by = f"by the {owner.scope} fixture {owner.name!r}"
    elif owner.type == "module":
        made_by = "while it was imported"
    because = ""
    if consent is not None and consent.text:
        because = f"by the {consent.by}: {consent.text}"
    return Occurrence(
        owner.nodeid or owner.name or "no test",
        made_by,
        finding.when,
        _ACTIONS[finding.action],
        because,
        count,
        finding.duration,
    )


# -- kinds ----------------------------------------------------------------------


class Block(NamedTuple):
    """A block of a documentation page. ``form`` is ``heading``, ``code``, ``item`` or ``text``."""

    form: str
    text: str


class Kind(NamedTuple):
    """A kind: the number of its causes, and its documentation page, empty if not installed."""

    kind: str
    title: str
    advice: str
    causes: int
    page: Sequence[Block]


def _kinds(run: Run) -> Iterator[Kind]:
    """The kinds that were found. The kind with most causes comes first."""
    causes = Counter(group.cause.kind for group in run.groups)
    titles = {trap.kind: trap.title for trap in run.traps}
    advice = {finding.kind: finding.advice for finding, _ in run.findings}
    advice |= {trap.kind: trap.advice for trap in run.traps}
    for kind, count in sorted(causes.items(), key=lambda item: (-item[1], item[0])):
        try:
            page = explain(kind, run.traps)
        except BadRuleError:  # the pages are not installed
            page = ""
        yield Kind(kind, titles.get(kind, ""), advice[kind], count, _blocks(page))


def _blocks(page: str) -> list[Block]:
    """Split the output of `explain` into blocks, without the first, its title."""
    blocks: list[Block] = []
    for part in page.split("\n\n")[1:]:
        lines = part.strip("\n").splitlines()
        if not lines:
            continue
        if part.startswith("    "):
            code = "\n".join(line[4:] for line in lines)
            if blocks and blocks[-1].form == "code":
                code = f"{blocks.pop().text}\n\n{code}"
            blocks.append(Block("code", code))
        elif len(lines) > 1 and set(lines[1]) == {"-"}:
            blocks.append(Block("heading", lines[0]))
        elif lines[0].startswith("* "):
            blocks += [Block("item", item) for item in _items(lines)]
        else:
            blocks.append(Block("text", " ".join(line.strip() for line in lines)))
    return blocks


def _items(lines: Iterable[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if line.startswith("* "):
            items.append(line[2:].strip())
        else:
            items[-1] += f" {line.strip()}"
    return items
