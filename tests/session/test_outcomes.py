"""Whether a test has failed by itself: then it does not fail once more, for what its teardown shows."""

from __future__ import annotations

import pytest

from ..run import Suite

LEAKY = """
import asyncio, threading, unittest
import pytest

async def work(): pass

@pytest.fixture
def leaky():
    yield
    work()
"""


def outcomes(suite: Suite, text: str, *args: str) -> dict[str, int]:
    suite.write(test_it=LEAKY + text)
    outcome = suite.run(*args)
    outcome.no_fault()
    counts = outcome.result.parseoutcomes()
    return {name: n for name, n in counts.items() if name not in ("warning", "warnings")}


@pytest.mark.parametrize(
    "text",
    [
        "@unittest.skip('no')\ndef test_it(leaky): pass",
        "def test_it(leaky): raise unittest.SkipTest('no')",
        "def test_it(leaky): pytest.skip('no')",
    ],
)
def test_a_skipped_test_has_not_failed(suite: Suite, text: str) -> None:
    """However it is skipped."""
    assert outcomes(suite, text) == {"skipped": 1, "errors": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def test_it(leaky): assert 0", {"failed": 1}),
        ("@pytest.mark.xfail\ndef test_it(leaky): assert 0", {"xfailed": 1}),
        ("@pytest.mark.xfail\ndef test_it(leaky): pass", {"xpassed": 1, "xfailed": 1}),
        ("@pytest.mark.xfail(strict=True)\ndef test_it(leaky): pass", {"failed": 1}),
        ("@pytest.mark.xfail(strict=True)\ndef test_it(leaky): work()", {"xfailed": 2}),
        (
            "@pytest.mark.usefixtures('leaky')\nclass TestIt(unittest.TestCase):\n"
            "    @unittest.expectedFailure\n    def test_it(self): assert 0",
            {"xfailed": 1},
        ),
        (
            "@pytest.mark.usefixtures('leaky')\nclass TestIt(unittest.TestCase):\n"
            "    def test_it(self): assert 0",
            {"failed": 1},
        ),
    ],
)
def test_a_failed_test_fails_once(suite: Suite, text: str, expected: dict[str, int]) -> None:
    """However it fails: by what it raises, or by passing against what was expected."""
    assert outcomes(suite, text) == expected


@pytest.mark.parametrize("becomes", ["passed", "failed"])
def test_what_another_plugin_makes_of_a_report(suite: Suite, becomes: str) -> None:
    """The report is what counts."""
    suite.pytester.makeconftest(
        f"""
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if call.when == "call":
                report.outcome = {becomes!r}
            return report
        """
    )
    text = f"def test_it(leaky): assert {becomes == 'failed'}"

    counts = outcomes(suite, text)

    assert counts == ({"failed": 1} if becomes == "failed" else {"passed": 1, "errors": 1})


def test_what_the_conftest_of_a_folder_makes_of_a_report(suite: Suite) -> None:
    """Also where the tests of another folder come first."""
    for name in ("first", "second"):
        suite.pytester.mkdir(name)
    folder = suite.pytester.path
    (folder / "first" / "test_first.py").write_text("def test_first(): pass\n", encoding="utf-8")
    (folder / "second" / "test_second.py").write_text(
        f"{LEAKY}\ndef test_second(leaky): pass\n", encoding="utf-8"
    )
    (folder / "second" / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n"
        "    report = yield\n"
        "    if call.when == 'call': report.outcome = 'failed'\n"
        "    return report\n",
        encoding="utf-8",
    )
    outcome = suite.run()

    outcome.no_fault()
    outcome.result.assert_outcomes(passed=1, failed=1)


def test_a_skip_on_top_of_a_refusal(suite: Suite) -> None:
    """asyncio's own check has raised, and what was made of it hides nothing."""
    suite.write(
        test_it=LEAKY
        + """
def test_it():
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    running = threading.Event()
    loop.call_soon(running.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running.wait()
    try:
        loop.call_soon(print)
    except RuntimeError:
        pytest.skip("does not work here")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
"""
    )
    outcome = suite.run()

    assert outcome.only()["kind"] == "wrong-thread"
    outcome.result.assert_outcomes(failed=1)


def test_a_plugin_that_cannot_bear_another(suite: Suite) -> None:
    """The hook for reports comes in while a test runs; who objects to that hides no trap."""
    suite.pytester.makeconftest(
        """
        def pytest_plugin_registered(plugin, manager):
            if "test_begun" in globals():
                raise ValueError("too late")

        def pytest_runtest_call():
            globals()["test_begun"] = True
        """
    )

    assert outcomes(suite, "def test_it(): work()") == {"failed": 1}


def test_a_test_that_raises_what_ends_generators(suite: Suite) -> None:
    """It fails like any other, and is no fault of the plugin's, whose hooks are generators."""
    text = "def test_it(leaky): raise StopIteration\ndef test_trap(): work()"

    assert outcomes(suite, text) == {"failed": 2}
