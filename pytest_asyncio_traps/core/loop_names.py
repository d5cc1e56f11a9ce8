"""Names a loop in the user's terms: whose it is, of which scope, and where it was made."""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from ..compat.runners import LOOP_FIXTURES
from ..model.finding import Owner
from .places import place_of
from .stacks import is_user
from .watch import Watch

#: The scopes of pytest's fixtures, the narrowest first.
SCOPES: Final = ("function", "class", "module", "package", "session")
_UNKNOWN: Final = "another loop"


class LoopName(NamedTuple):
    """What a loop is called in a report.

    ``scope`` is empty for a loop that pytest-asyncio has not made. ``made``, a sentence, is empty
    if nothing is known.
    """

    text: str
    scope: str
    made: str


def name_of_loop(watch: Watch, loop: Any) -> LoopName:
    """The name of ``loop``, as seen from the test that runs."""
    creation = watch.created_at(loop) if loop is not None else None
    if creation is None:
        return LoopName(_UNKNOWN, "", "")
    owner = creation[1].owner
    if owner.type == "fixture" and owner.name in [f.format(owner.scope) for f in LOOP_FIXTURES]:
        text, whose = f"the {owner.scope}-scoped loop", _part(owner.nodeid, owner.scope)
        made = f"pytest-asyncio made {text} for {whose or 'the session'}."
        if whose != _part(watch.ownership.running.nodeid, owner.scope):
            text += f" of {whose}"
        return LoopName(text, owner.scope, made)
    text = _owned_by(owner)
    place = place_of(creation[0]) if is_user(creation[0]) else None
    if place is None:
        return LoopName(text, "", "")
    # The path of a report's lines depends on where pytest was started; here, the name is enough.
    line = f"{PurePath(place.path).name}:{place.line}, in {place.function}"
    return LoopName(text, "", f"{text[0].upper()}{text[1:]} was created at {line}.")


def names_of_loops(watch: Watch, first: Any, second: Any) -> tuple[LoopName, LoopName]:
    """The names of two loops, which differ."""
    one, other = name_of_loop(watch, first), name_of_loop(watch, second)
    if one.text == other.text and one.text.startswith("the "):
        text = "another " + one.text.removeprefix("the ")
        made = other.made.replace(other.text, text).replace("The ", "Another ", 1)
        other = LoopName(text, other.scope, made)
    return one, other


def _owned_by(owner: Owner) -> str:
    if owner.type == "fixture":
        return f"the loop of the {owner.scope} fixture {owner.name!r}"
    if owner.type in ("test", "module"):
        return f"the loop of {owner.type} {owner.name}"
    return "the loop of the session" if owner.type == "session" else _UNKNOWN


def _part(nodeid: str, scope: str) -> str:
    """The part of ``nodeid`` that has one fixture of ``scope``; empty for the whole session."""
    path = nodeid.partition("::")[0]
    if scope == "function":
        return nodeid
    if scope == "class":  # the parameters of a test may hold colons
        return nodeid.partition("[")[0].rpartition("::")[0]
    if scope == "module":
        return path
    return path.rpartition("/")[0] if scope == "package" else ""
