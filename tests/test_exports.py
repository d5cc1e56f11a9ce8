"""What can be imported is what the documentation promises, and no more."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import pytest_asyncio_traps
from pytest_asyncio_traps import hookspecs

DOCS = Path(__file__).parent.parent / "docs"
#: Each name, and the page that promises it. None of them goes away.
NAMES = {
    "AsyncioTrapWarning": "options.rst",
    "CallSite": "extending.rst",
    "DROP": "extending.rst",
    "Drop": "extending.rst",
    "Finding": "extending.rst",
    "Here": "extending.rst",
    "Owner": "extending.rst",
    "Place": "extending.rst",
    "Trap": "extending.rst",
    "TrapRecorder": "options.rst",
    "TrapsFound": "options.rst",
}
#: What a kind may rely on, and what a finding consists of.
TRAP = {
    *("kind", "title", "advice", "enabled", "steady"),
    *("arm", "judge", "refresh"),
    *("before", "after", "wrap", "guard", "here", "made", "report", "at_end", "blind"),
}
FINDING = {
    *("kind", "summary", "advice", "owner", "origin", "location", "notes"),
    *("duration", "exception", "subject", "when", "action", "place"),
}


def test_the_package_exports_these_names() -> None:
    assert set(pytest_asyncio_traps.__all__) == set(NAMES)
    public = {name for name in vars(pytest_asyncio_traps) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(pytest_asyncio_traps, name))}
    assert public - modules == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_promises_each(name: str) -> None:
    page = (DOCS / NAMES[name]).read_text(encoding="utf-8")

    assert f"{name}``" in page, f"{NAMES[name]} does not name {name}"
    assert getattr(pytest_asyncio_traps, name).__doc__


def test_a_kind_has_what_the_page_says() -> None:
    """Not less; and what is public besides is for the plugin's own kinds, and not promised."""
    page = (DOCS / "extending.rst").read_text(encoding="utf-8")
    there = {name for name in dir(pytest_asyncio_traps.Trap) if not name.startswith("_")}

    assert there | {"kind", "title", "advice"} == TRAP
    assert {
        name for name in TRAP if f"``{name}" not in page and f"``self.{name}(" not in page
    } == set()
    assert {name for name in FINDING if f"``{name}``" not in page} == set()
    assert set(dir(pytest_asyncio_traps.Finding)) >= FINDING


def test_the_page_has_each_hook() -> None:
    page = (DOCS / "extending.rst").read_text(encoding="utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("pytest_")]

    assert hooks == ["pytest_asyncio_traps_kinds", "pytest_asyncio_traps_finding"]
    for name in hooks:
        hook = getattr(hookspecs, name)
        assert f"``{name}({', '.join(inspect.signature(hook).parameters)})``" in page
        assert hook.__doc__
