"""What is imported before any test: conftest.py, and the code under test with it."""

from __future__ import annotations

import pytest

from ..run import Suite

APP = """
from asyncio import run_coroutine_threadsafe
from time import sleep

async def fail(): raise ValueError("nobody reads this")

async def pause():
    sleep(0.001)  # sleeps

def start(loop):
    return run_coroutine_threadsafe(fail(), loop)
"""
TESTS = """
import asyncio

import app

async def test_pause():
    await app.pause()

async def test_start():
    app.start(asyncio.get_running_loop())
    await asyncio.sleep(0.01)
"""


def test_names_that_it_takes_are_watched(suite: Suite) -> None:
    """A conftest.py imports the application, which takes functions by their names."""
    suite.write(app=APP, conftest="import app")
    outcome = suite.test(TESTS, "--asyncio-traps=fail:blocking-call")

    assert [(f["kind"], f["nodeid"].rpartition("::")[2]) for f in outcome.findings] == [
        ("blocking-call", "test_pause"),
        ("unretrieved-exception", "test_start"),
    ]
    assert outcome.findings[0]["location"]["line"] == suite.line_of("sleeps", "app.py")
    outcome.no_fault()


@pytest.mark.parametrize("strict", [False, True])
def test_its_own_traps_belong_to_no_test(suite: Suite, strict: bool) -> None:
    """They warn, and in strict they fail the run."""
    suite.write(conftest="async def work(): pass\n\nwork()  # dropped\n")
    outcome = suite.test("def test_it(): pass", *["--asyncio-strict"] * strict)

    finding = outcome.only()
    assert (finding["kind"], finding["when"]) == ("never-awaited", "session")
    assert finding["action"] == ("fail" if strict else "warn")
    assert finding["origin"]["line"] == suite.line_of("dropped", "conftest.py")
    assert outcome.result.ret == int(strict)


def test_a_bad_rule_is_told_once(suite: Suite) -> None:
    suite.write(conftest="import app", app=APP)
    outcome = suite.test(TESTS, "--asyncio-traps=fail:nothing")

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    text = outcome.result.stderr.str() + outcome.result.stdout.str()
    assert text.count("unknown kind 'nothing'") == 1
    assert "Traceback" not in text


def test_it_may_change_what_was_asked_for(suite: Suite) -> None:
    """By the time of its pytest_configure(), pytest is no more than about to begin."""
    suite.write(
        conftest="""
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(config):
            config.option.asyncio_traps.append("warn")
        """
    )
    outcome = suite.test("async def work(): pass\n\nasync def test_it(): work()")

    assert outcome.only()["action"] == "warn"
    assert outcome.result.ret == 0
    outcome.no_fault()


def test_it_may_load_the_plugin(suite: Suite) -> None:
    """Then everything begins when pytest is configured."""
    suite.write(conftest='pytest_plugins = ["pytest_asyncio_traps.plugin"]')
    suite.write(test_it="async def work(): pass\n\nasync def test_it(): work()")
    outcome = suite.run(plugins=("asyncio",))

    outcome.result.assert_outcomes(failed=1)
    outcome.result.stdout.fnmatch_lines(["*never-awaited: coroutine 'work' was never awaited"])
