"""Findings that show late belong to the test or fixture that made the object."""

from __future__ import annotations

from ..run import Suite

HEAD = """
import asyncio, gc, pytest, pytest_asyncio

KEPT = []

async def work(): await asyncio.sleep(0)
async def boom(): raise ValueError("x")
async def poll(): await asyncio.sleep(3600)
"""


def test_a_coroutine_in_a_module_global(suite: Suite) -> None:
    """It shows at the end of the run, as a further failure of the test that made it."""
    outcome = suite.test(
        HEAD
        + """
async def test_guilty():
    KEPT.append(work())  # here

async def test_innocent():
    await work()
"""
    )

    finding = outcome.only()
    assert (finding["kind"], finding["when"]) == ("never-awaited", "late")
    assert finding["nodeid"] == "test_it.py::test_guilty"
    assert finding["origin"]["line"] == suite.line_of("here")
    outcome.result.assert_outcomes(passed=2, failed=1)
    assert outcome.result.ret == 1


def test_a_coroutine_in_a_global_of_a_sync_test(suite: Suite) -> None:
    """The same where no loop ever ran."""
    outcome = suite.test(
        HEAD
        + """
def test_before(): pass

def test_guilty():
    KEPT.append(work())  # here

def test_after(): pass
"""
    )

    finding = outcome.only()
    assert finding["nodeid"] == "test_it.py::test_guilty"
    assert finding["origin"]["line"] == suite.line_of("here")


def test_a_coroutine_in_a_cycle(suite: Suite) -> None:
    """The collector is not left to find it during a neighbour's test."""
    outcome = suite.test(
        HEAD
        + """
async def test_guilty():
    ring = [work()]  # here
    ring.append(ring)

async def test_innocent():
    gc.collect()
"""
    )

    finding = outcome.only()
    assert finding["nodeid"] == "test_it.py::test_guilty"
    assert finding["when"] == "teardown"
    assert finding["origin"]["line"] == suite.line_of("here")


def test_a_cycle_that_a_neighbour_collects(suite: Suite) -> None:
    """Collected during a neighbour's test, it is still the maker's."""
    outcome = suite.test(
        HEAD
        + """
def test_guilty():
    ring = [work()]  # here
    ring.append(ring)

def test_innocent():
    gc.collect()
"""
    )

    finding = outcome.only()
    assert finding["nodeid"] == "test_it.py::test_guilty"
    assert finding["origin"]["line"] == suite.line_of("here")
    assert outcome.result.ret == 1


def test_a_task_that_works_on_during_a_neighbours_test(suite: Suite) -> None:
    """What a left-over of one test does during another is the first one's."""
    outcome = suite.test(
        HEAD
        + """
pytestmark = pytest.mark.asyncio(loop_scope="module")
GO = []

async def later(go):
    await go.wait()
    work()  # here

async def test_guilty():
    GO.append(asyncio.Event())
    KEPT.append(asyncio.create_task(later(GO[0])))

async def test_innocent():
    GO[0].set()
    await asyncio.sleep(0.01)
"""
    )

    finding = outcome.only()
    assert (finding["kind"], finding["when"]) == ("never-awaited", "late")
    assert finding["nodeid"] == "test_it.py::test_guilty"
    assert finding["origin"]["line"] == suite.line_of("here")


def test_an_exception_that_a_global_keeps(suite: Suite) -> None:
    """On the test's own loop, an unretrieved exception is judged with the test."""
    outcome = suite.test(
        HEAD
        + """
async def test_guilty():
    KEPT.append(asyncio.create_task(boom()))  # here
    await asyncio.sleep(0.01)

async def test_innocent():
    await work()
"""
    )

    finding = outcome.only()
    assert finding["kind"] == "unretrieved-exception"
    assert (finding["nodeid"], finding["when"]) == ("test_it.py::test_guilty", "teardown")
    assert finding["origin"]["line"] == suite.line_of("here")
    assert finding["location"]["function"] == "boom"
    assert finding["exception"] == "ValueError: x"


def test_an_exception_retrieved_by_a_later_test(suite: Suite) -> None:
    """On a loop that outlives the test there is time to retrieve it."""
    outcome = suite.test(
        HEAD
        + """
pytestmark = pytest.mark.asyncio(loop_scope="module")

async def test_a():
    KEPT.append(asyncio.create_task(boom()))
    await asyncio.sleep(0.01)

async def test_b():
    with pytest.raises(ValueError):
        await KEPT[0]
"""
    )

    outcome.clean()


def test_a_module_fixtures_worker_that_nobody_ends(suite: Suite) -> None:
    """It is charged to the fixture, at the test that had it set up."""
    outcome = suite.test(
        HEAD
        + """
pytestmark = pytest.mark.asyncio(loop_scope="module")

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker():
    task = asyncio.create_task(poll())  # here
    yield task

async def test_first(worker): await work()
async def test_second(worker): await work()
"""
    )

    finding = outcome.only()
    assert finding["kind"] == "pending-task"
    assert finding["owner"] == {"type": "fixture", "name": "worker", "scope": "module"}
    assert finding["nodeid"] == "test_it.py::test_first"
    assert finding["origin"]["line"] == suite.line_of("here")
    assert finding["location"]["function"] == "poll"


def test_a_server_of_a_session_fixture_and_its_connection(suite: Suite) -> None:
    """What the server does for a request is the test's that runs meanwhile."""
    outcome = suite.test(
        HEAD
        + """
pytestmark = pytest.mark.asyncio(loop_scope="session")

async def serve(reader, writer):
    work()  # here
    writer.close()

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server():
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server

async def test_first(server): await work()

async def test_second(server):
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await reader.read()
    writer.close()
    await writer.wait_closed()
"""
    )

    finding = outcome.only()
    name = "test_it.py::test_second"
    assert finding["owner"] == {"type": "test", "name": name, "scope": "function"}
    assert finding["nodeid"] == name
    assert finding["origin"]["line"] == suite.line_of("here")
    outcome.result.stdout.fnmatch_lines(
        [f"*while {name} ran, in a server of the session fixture 'server'"]
    )


def test_a_failed_test_keeps_its_failure(suite: Suite) -> None:
    """The findings of a test that fails by itself join its report as a section."""
    outcome = suite.test(
        HEAD
        + """
async def test_it():
    work()
    asyncio.create_task(poll())
    assert 1 == 2
"""
    )

    outcome.result.assert_outcomes(failed=1)
    outcome.result.stdout.fnmatch_lines(
        ["*assert 1 == 2", "*asyncio traps (call)*", "*never-awaited: *", "pending-task: *"]
    )
    assert sorted(outcome.kinds) == ["never-awaited", "pending-task"]


def test_skip_and_xfail(suite: Suite) -> None:
    """A skipped test that sprang a trap fails; an expected failure may be a trap's."""
    outcome = suite.test(
        HEAD
        + """
async def test_skipped():
    work()
    pytest.skip("half-way")

@pytest.mark.xfail(strict=True)
async def test_expected():
    work()
"""
    )

    outcome.result.assert_outcomes(failed=1, xfailed=1)
    assert outcome.kinds == ["never-awaited"] * 2


def test_a_stopped_run_reports_what_it_saw(suite: Suite) -> None:
    """-x stops at a trap as at any failure; the rest is still judged."""
    outcome = suite.test(
        HEAD
        + """
async def test_a():
    KEPT.append(work())
async def test_b():
    work()
async def test_c():
    work()
""",
        "-x",
    )

    assert sorted(f["nodeid"][-6:] for f in outcome.findings) == ["test_a", "test_b"]
    assert outcome.result.ret == 1 or outcome.result.ret == 2


def test_one_cause_in_a_loop_is_one_finding(suite: Suite) -> None:
    """The same line, a hundred times, is told once, with a count."""
    outcome = suite.test(
        HEAD
        + """
async def test_it():
    for _ in range(100):
        KEPT.append(asyncio.create_task(poll()))
    await work()
"""
    )

    assert outcome.only()["count"] == 100
    outcome.result.stdout.fnmatch_lines(["*(100 times)*"])


def test_a_task_that_waits_for_another_is_told_once(suite: Suite) -> None:
    """Of tasks that wait for one another, the one that nobody waits for is the cause."""
    outcome = suite.test(
        HEAD
        + """
async def outer():
    async with asyncio.TaskGroup() as group:
        group.create_task(poll())
        await asyncio.gather(poll(), asyncio.wait_for(poll(), 100), wait())

async def wait():
    await asyncio.wait([asyncio.create_task(poll())])

async def test_it():
    task = asyncio.create_task(outer())  # here
    await asyncio.sleep(0.01)
"""
    )

    finding = outcome.only()
    assert finding["origin"]["line"] == suite.line_of("here")


def test_what_happens_on_import_belongs_to_no_test(suite: Suite) -> None:
    """It is told, and fails the run in strict only."""
    text = HEAD + "\nwork()  # here\n\ndef test_it(): pass\n"

    outcome = suite.test(text)
    strict = suite.run("--asyncio-strict")

    finding = outcome.only()
    assert (finding["action"], finding["when"]) == ("warn", "session")
    assert finding["owner"] == {"type": "module", "name": "test_it.py", "scope": "module"}
    assert outcome.result.ret == 0
    assert strict.only()["action"] == "fail"
    assert strict.result.ret == 1
    strict.result.stdout.fnmatch_lines(["*belong to no test*", "*never-awaited: *"])
