"""Checks a finding that was built by code of others: a third-party kind, or a hook."""

from __future__ import annotations

from typing import Any

from ..model.finding import Finding, Owner, Place


def checked(finding: Finding) -> Finding:
    """``finding`` with plain values. Raises `TypeError` for a value of the wrong type."""
    for name in ("kind", "summary", "advice", "origin_label", "location_label", "subject"):
        _want(finding, name, isinstance(getattr(finding, name), str), "a string")
    for name in ("origin", "location"):
        value = getattr(finding, name)
        _want(finding, name, value is None or _is_place(value), "a Place or None")
    _want(finding, "owner", isinstance(finding.owner, Owner), "an Owner")
    _want(finding, "at_location", isinstance(finding.at_location, bool), "True or False")
    notes: object = finding.notes
    fit = isinstance(notes, (tuple, list)) and all(isinstance(note, str) for note in notes)
    _want(finding, "notes", fit, "a tuple of strings")
    seconds = finding.duration
    fit = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    fit = fit and 0 <= float(seconds or 0) < float("inf")
    _want(finding, "duration", seconds is None or fit, "a number of seconds or None")
    exc = finding.exception
    _want(finding, "exception", exc is None or isinstance(exc, str), "a string or None")
    # A subclass of str may do anything when it is compared, formatted or pickled.
    plain: dict[str, Any] = {
        name: str.__str__(value)
        for name, value in finding._asdict().items()
        if isinstance(value, str)
    }
    return finding._replace(
        **plain,
        notes=tuple(map(str.__str__, finding.notes)),
        origin=_plain(finding.origin),
        location=_plain(finding.location),
        duration=None if seconds is None else float(seconds),
    )


def _is_place(value: object) -> bool:
    return (
        isinstance(value, Place)
        and isinstance(value.path, str)
        and isinstance(value.function, str)
        and isinstance(value.line, int)
        and value.line >= 0
    )


def _plain(place: Place | None) -> Place | None:
    if place is None:
        return None
    return Place(str.__str__(place.path), int(place.line), str.__str__(place.function))


def _want(finding: Finding, name: str, fits: bool, what: str) -> None:
    if not fits:
        value = type(getattr(finding, name)).__name__
        raise TypeError(f"{name} of a finding must be {what}, not {value}")
