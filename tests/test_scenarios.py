"""The examples that the documentation shows: each does what its page says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pytest_asyncio_traps.traps import KINDS

from .run import Outcome, Suite, place_of

SCENARIOS = Path(__file__).parent / "scenarios"
PAGES = Path(__file__).parents[1] / "docs" / "traps"


def scenario(kind: str) -> Path:
    return SCENARIOS / f"{kind.replace('-', '_')}.py"


def names_of(kind: str, prefix: str) -> list[str]:
    """The names of the scenario's tests that begin with ``prefix``, in order."""
    module = ast.parse(scenario(kind).read_text(encoding="utf-8"))
    return [
        node.name
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(prefix)
    ]


def section_of(test: str) -> str:
    """``test_bad_chain`` stands in the section ``bad chain``."""
    return test.removeprefix("test_").replace("_", " ")


def marked_line(kind: str, section: str) -> int:
    """The number of the one line in ``section`` that ends in ``# here``."""
    lines = scenario(kind).read_text(encoding="utf-8").splitlines()
    begin, end = lines.index(f"# [{section}]"), lines.index(f"# [{section} end]")
    (number,) = (n for n in range(begin, end) if lines[n].endswith("# here"))
    return number + 1


def run(suite: Suite, kind: str, *names: str) -> Outcome:
    """Run the tests ``names`` of the scenario of ``kind``, with that kind turned on."""
    suite.write(test_it=scenario(kind).read_text(encoding="utf-8"))
    return suite.run(f"--asyncio-traps=fail:{kind}", *(f"test_it.py::{name}" for name in names))


def test_each_kind_has_a_scenario() -> None:
    """And there is none for a kind that does not exist."""
    assert {path for path in SCENARIOS.glob("*.py") if path.stem != "__init__"} == {
        scenario(kind) for kind in KINDS
    }


BAD = [(kind, name) for kind in KINDS for name in names_of(kind, "test_bad")]


@pytest.mark.parametrize(("kind", "name"), BAD, ids=[f"{k}-{section_of(n)}" for k, n in BAD])
def test_the_bad_ones_fail_at_their_lines(suite: Suite, kind: str, name: str) -> None:
    """Each by one finding of its kind. ``tests/test_docs.py`` compares what the page shows."""
    outcome = run(suite, kind, name)

    finding = outcome.only()
    assert finding["kind"] == kind
    assert finding["nodeid"] == f"test_it.py::{name}"
    assert finding["action"] == "fail"
    place = place_of(finding)
    assert (place["path"], place["line"]) == ("test_it.py", marked_line(kind, section_of(name)))
    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    outcome.no_fault()


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_ones_are_silent(suite: Suite, kind: str) -> None:
    """Also next to the bad ones, whose traps show late."""
    good = names_of(kind, "test_good")
    run(suite, kind, *good).clean()

    outcome = run(suite, kind, *names_of(kind, "test_bad"), *good)
    guilty = {finding["nodeid"].rpartition("::")[2] for finding in outcome.findings}
    assert guilty == set(names_of(kind, "test_bad"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_docs_can_cut_the_examples_out(kind: str) -> None:
    """Each test has a section of its own, in their order, and the page includes each."""
    lines = scenario(kind).read_text(encoding="utf-8").splitlines()
    markers = [line for line in lines if line.startswith("# [")]
    sections = [section_of(name) for name in names_of(kind, "test_")]

    assert markers == [f"# [{name}{end}]" for name in sections for end in ("", " end")]
    page = (PAGES / f"{kind}.rst").read_text(encoding="utf-8")
    for section in sections:
        assert f":start-after: # [{section}]\n" in page, f"the page lacks {section!r}"


def test_the_map_of_cpythons_page_names_what_is_there() -> None:
    """Every kind stands in ``docs/page.rst``, and so does no example that does not exist."""
    page = (PAGES.parent / "page.rst").read_text(encoding="utf-8")

    assert set(re.findall(r":doc:`traps/([\w-]+)`", page)) == set(KINDS)
    named = re.findall(r"``(\w+)\.py``: (\w[\w, ]*)$", page, re.MULTILINE)
    assert {name.replace("_", "-") for name, _ in named} == set(KINDS)
    for name, sections in named:
        there = {section_of(test) for test in names_of(name.replace("_", "-"), "test_")}
        assert set(sections.split(", ")) <= there, name
