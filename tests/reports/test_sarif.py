"""The SARIF report."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from pytest_asyncio_traps.traps import TRAPS

from ..run import Outcome, Suite, line_of
from .samples import PENDING_TASK


def schema() -> dict[str, Any] | None:
    """The JSON schema of SARIF 2.1.0, where ``SARIF_SCHEMA`` says which file it is in.

    It is part of the npm package @microsoft/jest-sarif, and not of this project.
    """
    path = os.environ.get("SARIF_SCHEMA")
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else None


def check(log: dict[str, Any]) -> None:
    """Raise if there is a schema, and ``log`` is not valid by it."""
    found = schema()
    if found is not None:
        jsonschema.Draft4Validator(found, format_checker=jsonschema.FormatChecker()).validate(log)


def sarif(suite: Suite, outcome: Outcome, name: str = "traps.sarif") -> dict[str, Any]:
    """The one run of the log, which is valid."""
    outcome.no_fault()
    log = json.loads((suite.pytester.path / name).read_text(encoding="utf-8"))
    check(log)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return dict(run)


def test_the_schema_is_one() -> None:
    """It refuses what is no SARIF: a test that it passes says something."""
    found = schema()
    if found is None:
        pytest.skip("SARIF_SCHEMA does not name the file of the schema")
    validator = jsonschema.Draft4Validator(found)

    assert validator.is_valid({"version": "2.1.0", "runs": []})
    assert not validator.is_valid({"version": "2.0.0", "runs": []})
    assert not validator.is_valid({"version": "2.1.0", "runs": [{"results": []}]})


def test_a_result(suite: Suite) -> None:
    """Where, which code, what to do, from where to where, and known again by what."""
    outcome = suite.test(PENDING_TASK, "--asyncio-traps-report=traps.sarif")

    (result,) = sarif(suite, outcome)["results"]
    line = suite.line_of("here")
    assert result["ruleId"] == "pending-task"
    assert result["level"] == "error"
    assert result["occurrenceCount"] == 1
    assert result["message"]["text"].startswith(
        "task running 'poll' was left pending. Sprung by test_it.py::test_it. "
    )
    assert result["message"]["text"].endswith("start it in an asyncio.TaskGroup.")
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {
        "uri": "test_it.py",
        "uriBaseId": "%SRCROOT%",
    }
    region = location["physicalLocation"]["region"]
    assert region["startLine"] == line
    assert region["snippet"]["text"] == "    task = asyncio.create_task(poll())  # here\n"
    context = location["physicalLocation"]["contextRegion"]
    assert context["startLine"] == line - 3
    assert context["endLine"] == line + 1
    assert context["snippet"]["text"].count("\n") == 5
    (steps,) = [flow["locations"] for flow in result["codeFlows"][0]["threadFlows"]]
    assert [
        (
            step["location"]["message"]["text"],
            step["location"]["physicalLocation"]["region"]["startLine"],
            step["location"]["logicalLocations"][0]["name"],
        )
        for step in steps
    ] == [("created at", line, "test_it"), ("waiting at", 4, "poll")]
    assert [place["id"] for place in result["relatedLocations"]] == [0, 1]
    assert "suppressions" not in result
    assert result["properties"]["tests"] == ["test_it.py::test_it"]


def test_each_kind_is_a_rule(suite: Suite) -> None:
    """With what it is, why, and how to mend it, as --asyncio-traps-explain has it."""
    run = sarif(suite, suite.test("def test_it(): pass", "--asyncio-traps-report=traps.sarif"))

    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [trap.kind for trap in TRAPS]
    for rule, trap in zip(rules, TRAPS, strict=True):
        assert rule["shortDescription"]["text"] == f"{trap.title}."
        assert len(rule["fullDescription"]["text"]) > 60
        assert rule["fullDescription"]["text"].endswith(".")
        for form in ("text", "markdown"):
            assert (
                "async def test_good" in rule["help"][form] or "def test_good" in rule["help"][form]
            )
            assert "How to allow" in rule["help"][form]
        assert not re.search(r"^\.\. |:doc:|``", rule["help"]["markdown"], re.MULTILINE)
        assert rule["defaultConfiguration"]["enabled"] is (trap.enabled == "always")
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is True


def test_every_kind_as_a_result(suite: Suite) -> None:
    """The scenarios of all kinds make a valid log, with the guilty lines."""
    folder = Path(__file__).parent.parent / "scenarios"
    for source in folder.glob("*.py"):
        (suite.pytester.path / f"test_{source.name}").write_text(
            source.read_text(encoding="utf-8"), encoding="utf-8"
        )

    outcome = suite.run(
        "--asyncio-strict",
        "--asyncio-traps=fail:blocking-call",
        "--asyncio-traps-report=traps.sarif",
    )

    run = sarif(suite, outcome)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert {result["ruleId"] for result in run["results"]} == set(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith(".py")
    assert sum(result["occurrenceCount"] for result in run["results"]) == sum(
        finding["count"] for finding in outcome.findings
    )


def test_one_cause_is_one_result(suite: Suite) -> None:
    """However many tests spring it."""
    outcome = suite.test(
        """
        import asyncio, pytest

        def spawn(): return asyncio.create_task(asyncio.sleep(3600))  # here

        @pytest.mark.parametrize("n", range(20))
        async def test_it(n):
            spawn()
            await asyncio.sleep(0)
        """,
        "--asyncio-traps-report=traps.sarif",
    )

    (result,) = sarif(suite, outcome)["results"]
    assert result["occurrenceCount"] == 20
    assert len(result["properties"]["tests"]) == 20
    assert "Sprung by 20 tests, such as test_it.py::test_it[0]." in result["message"]["text"]


def test_fingerprints_outlive_a_shift_of_lines(suite: Suite) -> None:
    """And tell one line of a function from another, and an equal one."""
    text = """
    import asyncio

    async def test_it():
        kept = [asyncio.create_task(asyncio.sleep(3600))]
        kept += [asyncio.create_task(asyncio.sleep(3600))]
        kept = [asyncio.create_task(asyncio.sleep(3600))]
        await asyncio.sleep(0)
    """

    def prints() -> dict[int, str]:
        outcome = suite.run("--asyncio-traps-report=traps.sarif")
        return {
            result["locations"][0]["physicalLocation"]["region"]["startLine"]: result[
                "partialFingerprints"
            ]["asyncioTrap/v1"]
            for result in sarif(suite, outcome)["results"]
        }

    suite.write(test_it=text)
    before = prints()
    suite.write(test_it="# a new line\n" * 7 + textwrap.dedent(text))
    after = prints()

    assert len(set(before.values())) == 3
    shift = min(after) - min(before)
    assert shift > 5
    assert {line + shift: value for line, value in before.items()} == after


def test_what_is_done_about_it(suite: Suite) -> None:
    """A level for each action; what is allowed or known is suppressed, by whom and why."""
    suite.write(
        test_it="""
        import asyncio, pytest

        async def work(): pass

        @pytest.mark.asyncio_allow("never-awaited", reason="it is a test")
        async def test_marker(): work()

        async def test_rule(): asyncio.get_running_loop().create_task(asyncio.sleep(3600))

        async def test_known():
            work()

        async def test_warned():
            asyncio.get_running_loop().create_future().set_exception(ValueError())
        """
    )
    suite.run(
        "-k", "known", "--asyncio-traps-baseline=known.txt", "--asyncio-traps-update-baseline"
    )

    outcome = suite.run(
        "--asyncio-traps-baseline=known.txt",
        "--asyncio-traps=allow:pending-task",
        "--asyncio-traps=warn:unretrieved-exception",
        "--asyncio-traps-report=traps.sarif",
    )

    assert outcome.report["counts"] == {"fail": 0, "warn": 1, "allow": 2, "baseline": 1}
    seen = {
        result["properties"]["tests"][0].partition("::")[2]: (
            result["level"],
            result.get("suppressions"),
        )
        for result in sarif(suite, outcome)["results"]
    }

    def suppressed(kind: str, why: str = "") -> list[dict[str, str]]:
        because = {"justification": why} if why else {}
        return [{"kind": kind, "status": "accepted", **because}]

    assert seen == {
        "test_marker": ("note", suppressed("inSource", "it is a test")),
        "test_rule": ("note", suppressed("external", "allow:pending-task")),
        "test_known": ("note", suppressed("external")),
        "test_warned": ("warning", None),
    }


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows refuses")
def test_names_of_files_are_percent_encoded(suite: Suite) -> None:
    """Blanks, letters beyond ASCII, what would end a path, and what would begin a scheme."""
    for name in ("a b#ü%41?.py", "http:x.py"):
        path = suite.pytester.path / f"test_{name}"
        path.write_text("async def work(): pass\nasync def test_it(): work()\n", encoding="utf-8")
    names = [path.name for path in suite.pytester.path.glob("test_*.py")]
    outcome = suite.run(*names, "--asyncio-traps-report=traps.sarif")

    results = sarif(suite, outcome)["results"]
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results
    }
    assert uris == {"test_a%20b%23%C3%BC%2541%3F.py", "test_http%3Ax.py"}
    assert {unquote(uri) for uri in uris} == set(names)


def test_a_file_outside_of_the_root(suite: Suite, tmp_path: Path) -> None:
    """It has an absolute URI of its own; the root's ends in a slash."""
    outside = tmp_path / "out side.py"
    outside.write_text("async def work(): pass\ndef forget(): work()  # here\n", encoding="utf-8")
    outcome = suite.test(
        f"""
        import importlib.util

        spec = importlib.util.spec_from_file_location("outside", {str(outside)!r})
        outside = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(outside)

        async def test_it(): outside.forget()
        """,
        "--asyncio-traps-report=traps.sarif",
    )

    run = sarif(suite, outcome)
    (result,) = run["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": outside.as_uri()}
    assert physical["region"]["startLine"] == line_of(outside, "here")
    root = run["originalUriBaseIds"]["%SRCROOT%"]["uri"]
    assert root == suite.pytester.path.as_uri() + "/"


def test_what_could_not_be_watched_and_what_failed(suite: Suite) -> None:
    """A blind spot is a note of the run; a fault of ours is an error of it."""
    suite.pytester.makeconftest(
        """
        from pytest_asyncio_traps.session.lifecycle import lifecycle_key

        def pytest_sessionstart(session):
            watch = session.config.stash[lifecycle_key].watch
            watch.blind("the far side", "it is dark")
            watch.faults.record("a part", ValueError("\\x1bout of order"))
        """
    )
    suite.test("def test_it(): pass", "--asyncio-traps-report=traps.sarif")

    log = json.loads((suite.pytester.path / "traps.sarif").read_text(encoding="utf-8"))
    check(log)
    (invocation,) = log["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    blind, fault = invocation["toolExecutionNotifications"]
    assert blind["level"] == "note"
    assert blind["message"]["text"] == "Not watched: the far side: it is dark."
    assert fault["level"] == "error"
    assert "'a part'" in fault["message"]["text"]
    assert "ValueError: \\x1bout of order" in fault["exception"]["message"]


def test_what_has_no_line(suite: Suite) -> None:
    """The file of the test stands for it: services drop a result without a place."""
    outcome = suite.test(
        """
        import asyncio

        async def test_it():
            asyncio.Future().set_exception(ValueError("[click](http://example.invalid) \\ud800"))
        """,
        "--asyncio-traps-report=traps.sarif",
    )
    assert outcome.only()["origin"] is None

    (result,) = sarif(suite, outcome)["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "test_it.py"
    assert "](" not in result["message"]["text"]


def test_distributed_runs_write_the_same(suite: Suite) -> None:
    """Under pytest-xdist, the controller writes it, with all that the workers have found."""
    pytest.importorskip("xdist")
    text = PENDING_TASK + "\nasync def test_other():\n    poll()\n"

    alone = sarif(suite, suite.test(text, "--asyncio-traps-report=alone.sarif"), "alone.sarif")
    spread = sarif(
        suite,
        suite.test(text, "-n2", "--asyncio-traps-report=spread.sarif", plugins=("xdist",)),
        "spread.sarif",
    )

    assert spread["results"] == alone["results"]
    assert len(alone["results"]) == 2
