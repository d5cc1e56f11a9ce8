"""The SARIF 2.1.0 report, for code scanning services.

Each cause is a result. The number of its findings is the occurrence count.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ..baseline.file import Key, key_of
from ..core.trap import Trap
from ..model.causes import Counted
from ..model.finding import Finding, Place
from ..model.lines import lines_of
from ..model.sources import Sources
from ..model.text import clean, shorten
from ..policy.rules import BadRuleError
from .explain import explain
from .run import Run

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT: Final = "%SRCROOT%"
_LEVELS: Final = {"fail": "error", "warn": "warning", "allow": "note", "baseline": "note"}
_SUPPRESSED: Final = {"marker": "inSource", "rule": "external", "baseline": "external"}
#: The number of lines shown before and after the line of a finding.
_CONTEXT: Final = 3
#: The longest message, in characters, that services show in full.
_LONGEST: Final = 1_000


def render(run: Run) -> bytes:
    """The report as ASCII-only JSON, a log with one run."""
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(run)]}
    return (json.dumps(log, indent=1, ensure_ascii=True) + "\n").encode()


def _run(run: Run) -> dict[str, Any]:
    version = run.versions["tool"]
    return {
        "tool": {
            "driver": {
                "name": "pytest-asyncio-traps",
                "version": version,
                "rules": [_rule(trap) for trap in run.traps],
                "notifications": [
                    {
                        "id": "blind-spot",
                        "shortDescription": {"text": "Something could not be watched."},
                    },
                    {
                        "id": "fault",
                        "shortDescription": {"text": "A part of the plugin failed."},
                    },
                    {
                        "id": "error",
                        "shortDescription": {"text": "The run failed, but not in a test."},
                    },
                ],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not (run.faults or run.errors),
                "toolExecutionNotifications": [*_notifications(run)],
            }
        ],
        "originalUriBaseIds": {_ROOT: {"uri": _uri(run.root) + "/"}},
        "columnKind": "unicodeCodePoints",
        "results": [*_results(run)],
        "properties": {"python": run.python, "pytest": run.versions["pytest"]},
    }


# -- rules --------------------------------------------------------------------


def _rule(trap: type[Trap]) -> dict[str, Any]:
    try:
        page = explain(trap.kind, [trap])
    except BadRuleError:  # the pages are not installed
        page = f"{trap.title}.\n\n{trap.advice}"
    return {
        "id": trap.kind,
        "name": "".join(word.capitalize() for word in trap.kind.split("-")),
        "shortDescription": {"text": f"{trap.title}."},
        "fullDescription": {
            "text": " ".join(
                filter(None, (_part(page, "What it is"), _part(page, "Why it matters")))
            )
            or f"{trap.title}."
        },
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"enabled": trap.enabled == "always", "level": "error"},
        "properties": {"tags": ["asyncio", "correctness", "tests"]},
    }


def _part(page: str, heading: str) -> str:
    """The first paragraph below ``heading`` in ``page``, on one line; empty if there is none."""
    _, _, rest = page.partition(f"\n{heading}\n")
    paragraphs = rest.split("\n\n")
    return " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else ""


# -- results ------------------------------------------------------------------


def _results(run: Run) -> Iterator[dict[str, Any]]:
    """One result for each cause and action."""
    sources = Sources()
    results: dict[tuple[Key, str], list[Counted]] = {}
    for group in run.groups:
        for finding, count in group.findings:
            key = key_of(finding, run.relative, sources)
            results.setdefault((key, finding.action), []).append((finding, count))
    for (key, _), counted in results.items():
        yield _result(run, key, counted)


def _result(run: Run, key: Key, counted: list[Counted]) -> dict[str, Any]:
    finding = counted[0][0]
    tests = sorted({clean(found.owner.nodeid) for found, _ in counted if found.owner.nodeid})
    places = [*_places(finding)]
    result: dict[str, Any] = {
        "ruleId": finding.kind,
        "ruleIndex": next((n for n, t in enumerate(run.traps) if t.kind == finding.kind), -1),
        "level": _LEVELS[finding.action],
        "message": {"text": _message(finding, tests)},
        "locations": [_location(run, finding)],
        "occurrenceCount": sum(count for _, count in counted),
        "partialFingerprints": {"asyncioTrap/v1": _fingerprint(key)},
        "properties": {"action": finding.action, "tests": tests},
    }
    if places:
        result["relatedLocations"] = [
            {"id": number, **_at(run, place), "message": {"text": label}}
            for number, (label, place) in enumerate(places)
        ]
    if len(places) > 1:
        steps = [
            {"location": {**_at(run, place), "message": {"text": label}}} for label, place in places
        ]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    if finding.consent is not None:
        consent = finding.consent
        suppression = {"kind": _SUPPRESSED[consent.by], "status": "accepted"}
        if consent.text:
            suppression["justification"] = clean(consent.text)
        result["suppressions"] = [suppression]
    return result


def _message(finding: Finding, tests: list[str]) -> str:
    drawn = any(note.startswith(" ") for note in finding.notes)  # lines, rather than sentences
    sentences = [f"{finding.summary}.", *(() if drawn else finding.notes), finding.advice]
    if len(tests) > 1:
        sentences.insert(1, f"Sprung by {len(tests)} tests, such as {tests[0]}.")
    elif tests:
        sentences.insert(1, f"Sprung by {tests[0]}.")
    # Services render "](" as a Markdown link. The text comes from user code.
    text = shorten(clean(" ".join(sentences)), _LONGEST)
    if drawn:
        text = "\n".join((text, *map(clean, finding.notes)))
    return text.replace("](", "] (")


def _places(finding: Finding) -> Iterator[tuple[str, Place]]:
    """The origin and the location of ``finding``, each with its label."""
    if finding.origin is not None:
        yield finding.origin_label, finding.origin
    if finding.location is not None and finding.location != finding.origin:
        yield finding.location_label, finding.location


def _fingerprint(key: Key) -> str:
    """A hash that stays the same when the line of the cause moves."""
    parts = (key.kind, key.path, key.function, key.code, str(key.number), key.subject)
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


# -- places -------------------------------------------------------------------


def _location(run: Run, finding: Finding) -> dict[str, Any]:
    if finding.place is not None:
        return _at(run, finding.place)
    # Services require a location for each result, so use the file of the test or module.
    owner = finding.owner
    path = (owner.nodeid or owner.name).partition("::")[0]
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": clean(owner.nodeid or owner.name)}]
    }
    if (run.root / path).is_file():
        location["physicalLocation"] = {"artifactLocation": _artifact(run, str(run.root / path))}
    return location


def _at(run: Run, place: Place) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"name": clean(place.function), "kind": "function"}]
    }
    if place.path.startswith("<") or place.line < 1:
        return location  # not a line of a file
    region: dict[str, Any] = {"startLine": place.line}
    physical: dict[str, Any] = {"artifactLocation": _artifact(run, place.path), "region": region}
    lines = lines_of(place.path)
    if 0 < place.line <= len(lines):
        first = max(1, place.line - _CONTEXT)
        last = min(len(lines), place.line + _CONTEXT)
        region["snippet"] = {"text": _code(lines[place.line - 1])}
        physical["contextRegion"] = {
            "startLine": first,
            "endLine": last,
            "snippet": {"text": "".join(map(_code, lines[first - 1 : last]))},
        }
    location["physicalLocation"] = physical
    return location


def _code(line: str) -> str:
    return clean(line.rstrip("\r\n")) + "\n"


def _artifact(run: Run, path: str) -> dict[str, Any]:
    relative = run.relative(path)
    if not os.path.isabs(relative):
        return {"uri": _quoted(relative.replace(os.sep, "/")), "uriBaseId": _ROOT}
    return {"uri": _uri(Path(path))}


def _uri(path: Path) -> str:
    try:
        return path.as_uri()
    except ValueError:  # not an absolute path
        return _quoted(str(path))


def _quoted(path: str) -> str:
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:  # a made-up name that no file can have
        name = path.encode("utf-8", "surrogatepass")
    # The colon is quoted: "a:" in a name like "a:b.py" would be read as a URI scheme.
    return quote(name, safe="/~!$&'()*+,;=@")


# -- notifications --------------------------------------------------------------


def _notifications(run: Run) -> Iterator[dict[str, Any]]:
    for what, reason in sorted(run.blind_spots.items()):
        yield {
            "descriptor": {"id": "blind-spot", "index": 0},
            "level": "note",
            "message": {"text": clean(f"Not watched: {what}: {reason}.")},
        }
    for error in run.errors:
        notification: dict[str, Any] = {
            "descriptor": {"id": "error", "index": 2},
            "level": "error",
            "message": {"text": clean(f"{error.where(run.relative)}: {error.text}")},
            "properties": {"id": error.id},
        }
        if error.path:
            physical: dict[str, Any] = {"artifactLocation": _artifact(run, error.path)}
            if error.line:
                physical["region"] = {"startLine": error.line}
            notification["locations"] = [{"physicalLocation": physical}]
        yield notification
    for fault in run.faults:
        yield {
            "descriptor": {"id": "fault", "index": 1},
            "level": "error",
            "message": {
                "text": clean(
                    f"The plugin's part {fault.part!r} failed. "
                    f"Off since {fault.since}: {fault.off}."
                ),
            },
            "exception": {"message": "\n".join(map(clean, fault.text.splitlines()))},
        }
