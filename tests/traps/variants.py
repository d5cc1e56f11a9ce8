"""Many variants of one kind in one run."""

from __future__ import annotations

import ast
import textwrap

from ..run import Outcome, Suite, place_of

HEAD = """
import asyncio, contextlib, gc, os, socket, sys, threading, time, warnings
import pytest

KEPT = []

async def work(): await asyncio.sleep(0)
async def boom(): raise ValueError("x")
async def poll(): await asyncio.sleep(3600)
"""


def check(suite: Suite, text: str, kind: str, *args: str) -> Outcome:
    """Run ``text``: each line marked ``# here`` is one finding of ``kind``, and there is no other.

    A finding is charged to the test within which its line stands.
    """
    if kind != "slow-callback":  # a busy machine takes its time for an import
        args = ("-o", "asyncio_slow_callback_duration=5", *args)
    outcome = suite.test(HEAD + textwrap.dedent(text), *args)
    source = (suite.pytester.path / "test_it.py").read_text()
    wanted = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith(
            "test_"
        ):
            lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
            wanted |= {
                (node.name, node.lineno + n)
                for n, line in enumerate(lines)
                if line.rstrip().endswith("# here")
            }
    found = []
    for finding in outcome.findings:
        place = place_of(finding)
        found.append((finding["nodeid"].rpartition("::")[2], place and place["line"]))
    assert sorted(found) == sorted(wanted), outcome.result.stdout.str()
    assert set(outcome.kinds) <= {kind}
    outcome.no_fault()
    return outcome
