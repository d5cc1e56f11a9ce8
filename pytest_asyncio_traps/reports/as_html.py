"""The HTML report: one file that needs nothing else, neither a network nor a script to be read.

All text comes from the user's code one way or another. The template escapes what it is given,
and so does `_fit`, of what could turn lines around; the policy in the file's head lets the browser
run our own style and script, by their hashes, and load nothing.
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
from ..model.finding import Finding, Place
from ..model.lines import lines_of
from ..model.text import clean
from ..policy.rules import BadRuleError
from .drawing import Drawing, draw
from .explain import explain
from .run import Run

#: What was done about a finding.
_DONE: Final = {"fail": "failed", "warn": "warned", "allow": "allowed", "baseline": "known"}
#: Lines of code shown before and after the one in question.
_AROUND: Final = 3
#: How many causes are open at first, and how many slow steps of a cause are drawn.
_OPEN: Final = 8
_DRAWN: Final = 3


def render(run: Run) -> bytes:
    """The report as a page."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_fit,
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
        done=_DONE,
        opened=_OPEN,
        tests=len({f.owner.nodeid for f, _ in run.findings if f.owner.nodeid}),
        **_causes(run),
        kinds=[*_kinds(run)],
    )
    return text.encode()


def _part(name: str) -> str:
    text = files(__package__).joinpath("page", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")  # as a browser reads it, before it takes the hash


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _fit(value: Any) -> Any:
    """What an expression of the template comes to, without what is not to be seen in a page."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


# -- causes -------------------------------------------------------------------


class Line(NamedTuple):
    """A line of source; ``marked`` is the one in question."""

    number: int
    code: str
    marked: bool


class Excerpt(NamedTuple):
    """A place, and the code around it."""

    label: str
    where: str
    function: str
    lines: Sequence[Line]


class Sprung(NamedTuple):
    """A finding of a cause: by whom, when, and what was done about it."""

    name: str
    made_by: str
    when: str
    done: str
    because: str
    times: int
    duration: float | None


class Card(NamedTuple):
    """A cause as the page shows it."""

    rank: int
    kind: str
    where: str
    function: str
    tests: int
    times: int
    done: Sequence[tuple[str, str, int]]
    sample: Finding
    excerpts: Sequence[Excerpt]
    sprung: Sequence[Sprung]
    drawings: Sequence[Drawing]
    more_drawings: int


def _causes(run: Run) -> dict[str, list[Card]]:
    """What fails or warns, and the rest."""
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
        [(act, word, group.actions[act]) for act, word in _DONE.items() if group.actions[act]],
        sample,
        [*_excerpts(run, sample)],
        [_sprung(counted) for counted in group.findings],
        [draw(run, finding) for finding, _ in slow[:_DRAWN]],
        max(0, len(slow) - _DRAWN),
    )


def _sprung(counted: Counted) -> Sprung:
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
    return Sprung(
        owner.nodeid or owner.name or "no test",
        made_by,
        finding.when,
        _DONE[finding.action],
        because,
        count,
        finding.duration,
    )


def _excerpts(run: Run, finding: Finding) -> Iterator[Excerpt]:
    """The line to look at first, and the other one, if there is another."""
    places = [(finding.origin_label, finding.origin), (finding.location_label, finding.location)]
    places.sort(key=lambda labelled: labelled[1] != finding.place)
    seen: set[Place] = set()
    for label, place in places:
        if place is not None and place not in seen:
            seen.add(place)
            yield Excerpt(label, run.where(place), place.function, _lines(place))


def _lines(place: Place) -> list[Line]:
    """The code around ``place``, as far as it belongs to the same function."""
    source = [line.expandtabs(4).rstrip() for line in lines_of(place.path)]
    if not 0 < place.line <= len(source):
        return []
    here = place.line - 1
    depth = _indent(source[here])
    first = last = here
    while first > max(0, here - _AROUND) and not _opens(source[first], depth):
        first -= 1
    while last + 1 < min(len(source), here + _AROUND + 1):
        if source[last + 1] and _indent(source[last + 1]) < depth:
            break
        last += 1
    while not source[first] and first < here:
        first += 1
    while not source[last] and last > here:
        last -= 1
    shift = min(_indent(line) for line in source[first : last + 1] if line or first == last)
    return [Line(n + 1, source[n][shift:], n == here) for n in range(first, last + 1)]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _opens(line: str, depth: int) -> bool:
    """Whether a function or class that holds the line indented by ``depth`` begins here."""
    opens = line.lstrip().startswith(("def ", "async def ", "class ", "@"))
    return opens and _indent(line) <= depth


# -- kinds ----------------------------------------------------------------------


class Block(NamedTuple):
    """A part of a page of the documentation: ``form`` is heading, code, item or text."""

    form: str
    text: str


class Kind(NamedTuple):
    """A kind, and what there is to say about it."""

    kind: str
    title: str
    advice: str
    causes: int
    page: Sequence[Block]


def _kinds(run: Run) -> Iterator[Kind]:
    """Those that were found, what has most causes first."""
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
    """What `explain` prints, taken apart; without the kind, which is its title."""
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
