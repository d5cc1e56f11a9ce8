"""Small edges of asyncio, logging, pytest-xdist and terminals at which the plugin might show."""

from __future__ import annotations

import sys

import pytest

from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.object_tracker import ObjectTracker
from pytest_asyncio_traps.core.ownership import Ownership, Tenure
from pytest_asyncio_traps.model.files import write_whole

from ..run import XDIST, Suite


def test_each_thread_reads_debug_mode(suite: Suite) -> None:
    """What another thread does at that moment changes no answer."""
    suite.test(
        """
        import asyncio, threading

        async def test_it():
            loop = asyncio.get_running_loop()
            answers, begun, done = set(), threading.Event(), False

            def ask():
                while not done:
                    answers.add(loop.get_debug())
                    begun.set()

            thread = threading.Thread(target=ask)
            thread.start()
            begun.wait()
            for _ in range(3000):
                loop.create_future()
                await asyncio.sleep(0)
            done = True
            thread.join()
            assert answers == {True}
        """,
        "--asyncio-traps=off:slow-callback",
    ).clean()


def test_a_childs_records_are_its_own(suite: Suite) -> None:
    """The levels of the ``asyncio`` logger and of its children are those that the user has set."""
    suite.test(
        """
        import asyncio, logging

        def test_child(caplog):
            child = logging.getLogger("asyncio.child")
            child.debug("nobody asked for this")
            child.info("nor this")
            assert caplog.records == []
            assert not child.isEnabledFor(logging.DEBUG)
            assert not logging.getLogger("asyncio").isEnabledFor(logging.DEBUG)
            assert logging.getLogger("asyncio").level == logging.NOTSET
            child.warning("but this")
            assert len(caplog.records) == 1

        def test_asked_for(caplog):
            with caplog.at_level(logging.DEBUG, logger="asyncio"):
                logging.getLogger("asyncio.child").debug("the child's")
                logging.getLogger("asyncio").debug("its own")
            assert len(caplog.records) == 2

        def test_disabled(caplog, asyncio_traps):
            logging.disable(logging.INFO)
            try:
                logging.getLogger("asyncio").debug("off")
            finally:
                logging.disable(logging.NOTSET)
            assert not asyncio_traps.records

        def test_records(asyncio_traps):
            logger = logging.getLogger("asyncio")
            logger.debug("one")
            logger.log(logging.INFO, "two")
            assert [record.getMessage() for record in asyncio_traps.records] == ["one", "two"]
        """
    ).clean()


def test_a_runner_of_the_users_own(suite: Suite) -> None:
    """A class `TestRunner` in a folder whose name has "anyio" in it is not anyio's."""
    folder = suite.pytester.mkdir("anyio_demo")
    (folder / "test_runner.py").write_text(
        "import asyncio\n"
        "class TestRunner:\n"
        "    async def forever(self):\n"
        "        await asyncio.Event().wait()\n"
        "    async def test_leak(self):\n"
        "        asyncio.create_task(self.forever())\n"
        "        await asyncio.sleep(0)\n",
        encoding="utf-8",
    )

    finding = suite.run().only()

    assert finding["kind"] == "pending-task"
    assert finding["origin"]["line"] == 6


STALE = "pending-task test_it.py test_it\n    code: gone()\n    test: test_it.py::test_it\n"


def test_workers_of_any_name(suite: Suite) -> None:
    """A stale entry of the baseline is found, whatever the workers are called."""
    suite.write(test_it="def test_it(): pass")
    suite.pytester.path.joinpath("baseline.txt").write_text(STALE, encoding="utf-8")

    outcome = suite.run(
        *("--tx", "popen//id=w1", "--dist", "load", "--asyncio-strict"),
        "--asyncio-traps-baseline=baseline.txt",
        plugins=XDIST,
    )

    assert outcome.result.ret == 1
    outcome.result.stdout.fnmatch_lines(["*:*: stale baseline entry: pending-task test_it.py*"])


#: The beginning of a conftest.py: a plugin whose hook others wrap.
INNER = """
import pytest

class Inner:
    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_traps_finding(self, finding):
        return finding._replace(summary=finding.summary + ", inner")

def pytest_configure(config):
    config.pluginmanager.register(Inner())
"""


@pytest.mark.parametrize("hook", ["wrapper=True", "hookwrapper=True"])
def test_a_wrapper_of_the_finding_hook(suite: Suite, hook: str) -> None:
    """It sees what the others make of a finding, and may amend that."""
    old = "hookwrapper" in hook
    suite.write(
        conftest=INNER
        + f"""
@pytest.hookimpl({hook}, optionalhook=True)
def pytest_asyncio_traps_finding(item, finding):
    assert "inner" not in finding.summary
    result = yield
    finding = {"result.get_result()" if old else "result"}
    finding = finding._replace(summary=finding.summary + ", outer")
    {"result.force_result(finding)" if old else "return finding"}
"""
    )
    outcome = suite.test("async def work(): pass\n\ndef test_it():\n    work()\n")

    assert outcome.only()["summary"].endswith("was never awaited, inner, outer")
    assert outcome.report["faults"] == []


def test_a_wrapper_that_fails(suite: Suite) -> None:
    """Its fault takes nothing from what it wraps."""
    suite.write(
        conftest=INNER
        + """
@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_asyncio_traps_finding(item, finding):
    yield
    1 / 0
"""
    )
    outcome = suite.test("async def work(): pass\n\ndef test_it():\n    work()\n")

    assert outcome.only()["summary"].endswith("was never awaited, inner")
    (fault,) = outcome.report["faults"]
    assert "conftest.py" in fault["part"]


def test_no_marks_where_nobody_reads_them() -> None:
    """On a free-threaded build the collector keeps no order, and so nothing has to be marked."""
    faults = Faults()
    tracker = ObjectTracker(Ownership(), faults)
    tracker.blind = True
    tracker.arm()
    try:
        for number in range(100):
            nodeid = f"test_x.py::test_{number}"
            tracker.mark(Tenure("test", nodeid, "function", nodeid))
            tracker.scan()
        assert len(tracker._markers) == 1
    finally:
        tracker.disarm()


def test_explain_on_a_terminal_without_the_letters(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are escaped, and the tests do not run."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    suite.write(
        conftest="""
        from pytest_asyncio_traps import Trap

        class Fancy(Trap):
            kind, title, advice = "fancy", "it is \\u00e9l\\u00e9gant", "Make it plain."
            def arm(self): pass

        def pytest_asyncio_traps_kinds():
            return [Fancy]
        """,
        test_it="def test_it(): pass",
    )

    result = suite.run("--asyncio-traps-explain", "fancy").result

    assert result.ret == 0
    result.stdout.fnmatch_lines([r"it is \xe9l\xe9gant.".replace("\\", "[\\]")])
    result.stdout.no_fnmatch_line("*passed*")
    assert "fault" not in result.stdout.str() + result.stderr.str()


@pytest.mark.skipif(sys.platform == "win32", reason="file systems there count characters")
@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u4e2d", "\U0001f40d"])
def test_long_names_of_reports(tmp_path: object, letter: str) -> None:
    """A name of as many bytes as the file system takes is written by way of a shorter one."""
    from pathlib import Path

    name = letter * ((255 - 5) // len(letter.encode())) + ".json"
    path = Path(str(tmp_path)) / name

    write_whole(path, b"{}")

    assert path.read_bytes() == b"{}"
    assert [entry.name for entry in path.parent.iterdir()] == [name]
