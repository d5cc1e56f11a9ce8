"""``--asyncio-traps-explain``."""

from __future__ import annotations

import re

import pytest

from pytest_asyncio_traps.policy.rules import BadRuleError
from pytest_asyncio_traps.reports.explain import explain, overview, plain
from pytest_asyncio_traps.traps import KINDS

from ..run import Suite


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_page_that_reads_well(kind: str) -> None:
    """With its examples, and without marks that only Sphinx understands."""
    text = explain(kind)

    assert text.startswith(f"{kind}\n=")
    for heading in ("What it is", "Why it matters", "Bad", "Good", "How to allow"):
        assert re.search(f"^{heading}$", text, re.MULTILINE), heading
    assert re.search("def test_bad", text)
    assert re.search("def test_good", text)
    assert not re.search(r"^\.\. |``|:\w+:`|# \[", text, re.MULTILINE)


def test_an_unknown_kind_has_none() -> None:
    with pytest.raises(BadRuleError, match="unknown kind 'foo', must be one of pending-task"):
        explain("foo")


def test_the_overview_has_every_kind() -> None:
    """And says which are off by default."""
    lines = overview().splitlines()

    assert [line.split()[0] for line in lines[: len(KINDS)]] == list(KINDS)
    (line,) = (line for line in lines if line.startswith("blocking-call"))
    assert line.endswith("(only where a rule names it)")


def test_plain_text() -> None:
    """Roles and literals lose their marks, code is indented, gaps are closed."""
    text = """
See :doc:`never-awaited` or :ref:`this <that>`, and ``code``.

.. _label:

.. code-block:: python

    x = 1



End.
"""

    assert plain(text) == "See never-awaited or this, and `code`.\n\n    x = 1\n\nEnd."


def test_the_option_prints_and_ends(suite: Suite) -> None:
    suite.write(test_it="def test_it(): raise SystemExit")

    one = suite.run("--asyncio-traps-explain", "pending-task")
    all_ = suite.run("--asyncio-traps-explain")

    assert one.result.ret == all_.result.ret == 0
    one.result.stdout.fnmatch_lines(["pending-task", "*async def test_good():"])
    all_.result.stdout.fnmatch_lines(["never-awaited *"])
    all_.result.stdout.no_fnmatch_line("*test session starts*")


def test_an_unknown_kind_is_a_usage_error(suite: Suite) -> None:
    outcome = suite.run("--asyncio-traps-explain", "foo")

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines(["ERROR: asyncio-traps: *unknown kind 'foo'*"])
