"""Each kind has everything that belongs to one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_asyncio_traps.traps import KINDS, TRAPS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_complete(kind: str) -> None:
    """Module, tests, scenario, docs page, README row, examples that spring it and are mended."""
    name = kind.replace("-", "_")

    for path in (
        f"pytest_asyncio_traps/traps/{name}.py",
        f"tests/traps/test_{name}.py",
        f"tests/scenarios/{name}.py",
        f"docs/traps/{kind}.rst",
    ):
        assert (ROOT / path).is_file(), f"{kind} lacks {path}"
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    assert f"``{kind}``" in readme, f"{kind} lacks a row in README.rst"
    index = (ROOT / "docs/traps/index.rst").read_text(encoding="utf-8")
    assert kind in index, f"{kind} lacks an entry in docs/traps/index.rst"
    for example in ("test_broken.py", "test_fixed.py"):
        text = (ROOT / "examples/tests" / example).read_text(encoding="utf-8")
        assert re.search(rf"def test_{name}\b", text), f"{kind} lacks a test in {example}"


def test_nothing_is_left_over() -> None:
    """No module, page or scenario of a kind that is not listed."""
    names = {kind.replace("-", "_") for kind in KINDS}

    assert {p.stem for p in (ROOT / "tests/scenarios").glob("*.py")} - {"__init__"} == names
    assert {p.stem for p in (ROOT / "docs/traps").glob("*.rst")} - {"index"} == set(KINDS)
    assert {p.stem for p in (ROOT / "pytest_asyncio_traps/traps").glob("*.py")} - {
        "__init__"
    } == names


def test_kinds_have_one_module_each() -> None:
    assert len({trap.__module__ for trap in TRAPS}) == len(TRAPS) == len(KINDS)
