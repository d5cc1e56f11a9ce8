"""The service in ``examples/``: its README says what its tests do, and they do that."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from pytest_asyncio_traps.traps import KINDS

from .run import Outcome, Suite, place_of

EXAMPLES = Path(__file__).parent.parent / "examples"
BROKEN = "tests/test_broken.py"
MENDED = "tests/test_fixed.py"


#: Of each kind: the file and the start of the line that its finding points to.
LINES = {
    "never-awaited": (BROKEN, "assert client.result(number)"),
    "unretrieved-exception": (BROKEN, "tasks = [asyncio.create_task("),
    "pending-task": ("jobs/worker.py", "self._workers.append(asyncio.create_task("),
    "unclosed-transport": ("jobs/client.py", "reader, writer = await asyncio.open_connection("),
    "unclosed-loop": (BROKEN, "loop = asyncio.new_event_loop()"),
    "slow-callback": (BROKEN, "time.sleep(0.25)"),
    "unclosed-asyncgen": (BROKEN, "async for result in results(client, numbers)"),
    "unclosed-resource": (BROKEN, "session = Session(*address)"),
    "wrong-thread": (BROKEN, 'finished.put_nowait("ADA")'),
    "wrong-loop": (BROKEN, 'printed.put_nowait("9")'),
    "invalid-state": (BROKEN, 'loop.call_soon(reply.set_result, "9")'),
    "callback-exception": (BROKEN, 'return f"{number} {unit[0]}"'),
    "blocking-call": (BROKEN, "return path.read_text("),
    "lingering-timer": (BROKEN, "asyncio.get_running_loop().call_later(60,"),
    "deadlock": (BROKEN, 'assert await answers.get() == "9"'),
    "swallowed-cancellation": (BROKEN, "worker = asyncio.create_task("),
}


@pytest.fixture
def examples(suite: Suite) -> Suite:
    """A copy of ``examples/``, with its own pytest.ini."""
    root = suite.pytester.path
    (root / "tox.ini").unlink()
    shutil.copytree(
        EXAMPLES, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    return suite


def name_of(kind: str) -> str:
    return f"test_{kind.replace('-', '_')}"


def names_in(path: str) -> set[str]:
    module = ast.parse((EXAMPLES / path).read_text(encoding="utf-8"))
    return {
        node.name
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_the_readme_has_a_row_for_each_kind() -> None:
    """In a table that is one: nothing stands in the margins between its columns."""
    lines = (EXAMPLES / "README.rst").read_text(encoding="utf-8").splitlines()
    ruler = "========================== "
    begin, body, end = (n for n, line in enumerate(lines) if line.startswith(ruler))
    margins = [n for n, char in enumerate(lines[begin]) if char == " "]
    rows = lines[body + 1 : end]

    assert [line for line in rows if any(line[n : n + 1].strip() for n in margins)] == []
    assert {line.split()[0].strip("`") for line in rows if line[:1].strip()} == set(KINDS)


@pytest.mark.parametrize("path", [BROKEN, MENDED])
def test_each_kind_has_its_test(path: str) -> None:
    assert names_in(path) == {name_of(kind) for kind in KINDS}
    assert set(LINES) == set(KINDS)


def test_each_broken_test_is_found_once_at_its_line(examples: Suite) -> None:
    outcome = examples.run(BROKEN)

    found = {finding["kind"]: finding for finding in outcome.findings}
    assert set(found) == set(KINDS)
    assert len(outcome.findings) == len(KINDS)
    for kind, finding in found.items():
        assert finding["action"] == "fail"
        assert finding["nodeid"] == f"{BROKEN}::{name_of(kind)}"
        path, start = LINES[kind]
        place = place_of(finding)
        assert place["path"] == path
        line = (EXAMPLES / path).read_text(encoding="utf-8").splitlines()[place["line"] - 1]
        assert line.strip().startswith(start)
    assert outcome.report["blind_spots"] == []
    outcome.result.assert_outcomes(passed=3, failed=13, errors=3)
    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    outcome.no_fault()


def test_the_guilty_fixture_is_named(examples: Suite) -> None:
    outcome = examples.run(f"{BROKEN}::test_pending_task")

    finding = outcome.only()
    assert finding["owner"] == {"type": "fixture", "name": "pool", "scope": "function"}
    assert finding["count"] == 2  # one for each worker


@pytest.mark.parametrize("options", [(), ("--asyncio-strict",)], ids=["default", "strict"])
def test_the_mended_tests_are_silent(examples: Suite, options: tuple[str, ...]) -> None:
    check_silent(examples.run(MENDED, *options))


@pytest.mark.parametrize("kind", KINDS)
def test_each_broken_test_is_found_alone(examples: Suite, kind: str) -> None:
    outcome = examples.run(f"{BROKEN}::{name_of(kind)}")

    assert outcome.only()["kind"] == kind
    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    outcome.no_fault()


def test_what_the_broken_tests_leave_is_not_charged_to_the_mended(examples: Suite) -> None:
    outcome = examples.run(BROKEN, MENDED)

    assert {finding["nodeid"].split("::")[0] for finding in outcome.findings} == {BROKEN}
    assert sorted(outcome.kinds) == sorted(KINDS)
    outcome.result.assert_outcomes(passed=3 + len(KINDS), failed=13, errors=3)


@pytest.mark.parametrize("path", [BROKEN, MENDED])
def test_without_the_plugin_all_pass(examples: Suite, path: str) -> None:
    """All but the deadlock, which would hang."""
    result = examples.run(path, "-k", "not deadlock", plugins=("asyncio",)).result

    result.assert_outcomes(passed=len(KINDS) - 1, deselected=1)
    assert result.ret == pytest.ExitCode.OK


def check_silent(outcome: Outcome) -> None:
    outcome.clean()
    outcome.result.assert_outcomes(passed=len(KINDS))
    assert outcome.report["counts"]["fail"] == 0
    assert outcome.report["blind_spots"] == []
