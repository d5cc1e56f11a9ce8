"""The hooks that are offered to others: kinds of their own, and a look at each finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..blocks import blocks_of
from ..cases import cases
from ..reports.samples import PENDING_TASK
from ..run import Suite, guilty

PAGE = Path(__file__).parents[2] / "docs" / "extending.rst"
CLIENT, KIND = (block.text for block in blocks_of(PAGE)[:2])
TESTS = """
import pytest
from client import Client

async def test_bad():
    Client("example.org")  # here

async def test_good():
    Client("example.org").close()
"""


@pytest.fixture
def client(suite: Suite) -> Suite:
    """A suite with the client and the kind of ``docs/extending.rst``."""
    suite.write(client=CLIENT, conftest=KIND)
    return suite


def test_the_example_is_short() -> None:
    """As promised: a kind takes less than 30 lines."""
    assert len([line for line in KIND.splitlines() if line.strip()]) < 30


def test_an_added_kind_fails_the_guilty_test(client: Suite) -> None:
    outcome = client.test(TESTS)

    finding = outcome.only()
    assert guilty(outcome) == [("unclosed-client", "test_bad", "fail")]
    assert finding["origin"]["line"] == client.line_of("here")
    assert finding["when"] == "teardown"
    outcome.no_fault()


@pytest.mark.parametrize(
    "conftest",
    [
        "@pytest.fixture\ndef client(): return Client('example.org')  # here",
        "@pytest.fixture(scope='module')\ndef client(): return Client('example.org')  # here",
    ],
)
def test_a_line_next_to_the_kind_is_the_users(client: Suite, conftest: str) -> None:
    """Only the kind's own methods are passed over, not the file in which they stand."""
    client.write(conftest=f"{KIND}\n\n\n{conftest}\n")
    outcome = client.test("def test_it(client): pass\n\ndef test_other(): pass")

    finding = outcome.only()
    assert finding["origin"] == {
        "path": "conftest.py",
        "line": client.line_of("here", "conftest.py"),
        "function": "client",
    }
    assert finding["owner"]["type"] == "fixture"
    assert finding["nodeid"] == "test_it.py::test_it"


def test_a_sync_test_without_a_loop_is_judged_at_its_end(client: Suite) -> None:
    outcome = client.test(
        "from client import Client\n\ndef test_bad(): Client('x')\n\ndef test_next(): pass"
    )

    assert [(f["nodeid"], f["when"]) for f in outcome.findings] == [
        ("test_it.py::test_bad", "teardown")
    ]


@pytest.mark.parametrize(
    ("args", "action"),
    [
        (("--asyncio-traps=warn:unclosed-client",), "warn"),
        (("--asyncio-traps=allow:unclosed-client:left open",), "allow"),
        (("--asyncio-traps=allow:unclosed-client:left ajar",), "fail"),
        (("--asyncio-traps=allow", "--asyncio-traps=fail:unclosed-client"), "fail"),
    ],
)
def test_rules_name_it(client: Suite, args: tuple[str, ...], action: str) -> None:
    assert client.test(TESTS, *args).only()["action"] == action


def test_the_ini_names_it(client: Suite) -> None:
    client.pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_traps = off:unclosed-client\ntestpaths = tests\n"
    )

    client.test(TESTS).clean()


def test_the_conftest_of_testpaths_adds_kinds(suite: Suite) -> None:
    suite.pytester.makeini(
        "[pytest]\nasyncio_mode = auto\ntestpaths = checks\npythonpath = .\n"
        "asyncio_traps = warn:unclosed-client\n"
    )
    folder = suite.pytester.mkdir("checks")
    suite.write(client=CLIENT)
    (folder / "conftest.py").write_text(KIND)
    (folder / "test_it.py").write_text(TESTS)

    assert suite.run().only()["action"] == "warn"


def test_markers_and_expect_know_it(client: Suite) -> None:
    outcome = client.test(
        """
        import pytest
        from client import Client

        @pytest.mark.asyncio_allow("unclosed-client", reason="closed at exit")
        async def test_marked():
            Client("example.org")

        async def test_expected(asyncio_traps):
            with pytest.raises(pytest.fail.Exception, match="trap unclosed-client"):
                with asyncio_traps.expect("unclosed-client"):
                    pass
            with pytest.raises(ValueError, match="unknown kind 'unclosed'.*, unclosed-client"):
                with asyncio_traps.expect("unclosed"):
                    pass
        """,
        "--asyncio-strict",
    )

    assert guilty(outcome) == [("unclosed-client", "test_marked", "allow")]
    assert outcome.result.ret == 0


def test_the_baseline_keeps_it(client: Suite) -> None:
    client.write(test_it=TESTS)
    baseline = "--asyncio-traps-baseline=known.txt"
    assert client.run(baseline, "--asyncio-traps-update-baseline").result.ret == 0
    text = (client.pytester.path / "known.txt").read_text()
    assert "unclosed-client test_it.py test_bad\n    code: Client(" in text

    assert client.run(baseline, "--asyncio-strict").only()["action"] == "baseline"

    client.write(test_it=TESTS.replace("# here", ".close()").replace(")  .close()", ").close()"))
    outcome = client.run(baseline, "--asyncio-strict")
    assert outcome.findings == []
    assert outcome.result.ret == 1
    outcome.result.stdout.fnmatch_lines(
        ["*:*: stale baseline entry: unclosed-client test_it.py test_bad: *"]
    )


def test_it_is_explained(client: Suite) -> None:
    """From its own words; the list of all kinds has it, too."""
    one = client.run("--asyncio-traps-explain", "unclosed-client").result
    all_ = client.run("--asyncio-traps-explain").result
    unknown = client.run("--asyncio-traps-explain", "unopened-client").result

    assert one.ret == all_.ret == 0
    one.stdout.fnmatch_lines(
        [
            "unclosed-client",
            "a client was left open.",
            "A client keeps its connection *",
            "Close it before *",
            '@pytest.mark.asyncio_allow("unclosed-client"*',
            "conftest.UnclosedClient",
        ]
    )
    all_.stdout.fnmatch_lines(["unclosed-client * a client was left open"])
    assert unknown.ret == pytest.ExitCode.USAGE_ERROR
    unknown.stderr.fnmatch_lines(
        [
            "*unknown kind 'unopened-client' (did you mean unclosed-client[?]), must be *, unclosed-client"
        ]
    )


def test_workers_of_xdist_have_it(client: Suite) -> None:
    outcome = client.test(TESTS, "-n1", "--asyncio-traps=warn:never-awaited", plugins=("xdist",))

    assert guilty(outcome) == [("unclosed-client", "test_bad", "fail")]
    assert outcome.result.ret == 1


PLUGIN = """
import app
import pytest
from pytest_asyncio_traps import Trap

class Naps(Trap):
    "Naps are for the night."
    kind = "nap"
    title = "somebody took a nap"
    advice = "Stay awake."

    def arm(self):
        self.before(app, "nap", lambda: self.report("a nap was taken", self.here()))

def pytest_asyncio_traps_kinds():
    return [Naps]
"""


def test_a_plugin_is_armed_before_the_first_conftest(suite: Suite) -> None:
    """So that a conftest.py takes by its name what the kind has put there."""
    suite.write(
        app="def nap(): pass",
        naps=PLUGIN,
        conftest="from app import nap\n\nimport pytest\n\n@pytest.fixture\ndef night(): nap()  # here",
    )
    outcome = suite.test(
        "def test_it(night): pass", "-p", "naps", "--asyncio-traps=warn:nap", plugins=()
    )

    finding = outcome.only()
    assert (finding["kind"], finding["action"]) == ("nap", "warn")
    assert finding["origin"]["line"] == suite.line_of("here", "conftest.py")


def test_a_kind_that_is_named_only(suite: Suite) -> None:
    suite.write(
        app="def nap(): pass", conftest=PLUGIN.replace('"nap"\n', '"nap"\n    enabled = "named"\n')
    )
    suite.write(test_it="import app\n\ndef test_it(): app.nap()")

    suite.run("--asyncio-strict").clean()
    assert suite.run("--asyncio-traps=fail:nap").kinds == ["nap"]


TRAP = """
from pytest_asyncio_traps import Trap

class Odd(Trap):
    kind, title, advice = "odd", "something is odd", "Make it even."
    def arm(self): {arm}
    {more}

def pytest_asyncio_traps_kinds():
    {body}
"""


@pytest.mark.parametrize(
    ("more", "body", "message"),
    [
        ("", "return [1]", "*_kinds of *conftest.py: 1 is not a subclass of *Trap"),
        ("", "return [Trap]", "*'pytest_asyncio_traps.core.trap.Trap'> is not a subclass of *"),
        ("", "return Odd", "*<class 'conftest.Odd'> is not a list of subclasses of Trap"),
        ("", "return 'odd'", "*'odd' is not a list of subclasses of Trap"),
        ("kind = 'Odd One'", "return [Odd]", "*kind of conftest.Odd must be words in small *"),
        ("kind = 7", "return [Odd]", "*kind of conftest.Odd must be words *, not 7"),
        ("title = ''", "return [Odd]", "*conftest.Odd lacks a title*"),
        ("advice = None", "return [Odd]", "*conftest.Odd lacks a advice*"),
        ("enabled = 'often'", "return [Odd]", "*enabled of conftest.Odd must be *, not 'often'"),
        ("arm = Trap.arm", "return [Odd]", "*conftest.Odd lacks the method arm"),
        (
            "kind = 'slow-callback'",
            "return [Odd]",
            "*kind 'slow-callback' of conftest.Odd is there already, from "
            "pytest_asyncio_traps.traps.slow_callback.SlowCallback",
        ),
        (
            "",
            "return [Odd, type('Odd2', (Odd,), {'__module__': 'other'})]",
            "*kind 'odd' of other.Odd2 is there already, from conftest.Odd",
        ),
    ],
)
def test_what_is_no_kind_is_a_usage_error(suite: Suite, more: str, body: str, message: str) -> None:
    """Of a conftest.py, and of a plugin that is asked before there is one."""
    text = TRAP.format(arm="pass", more=more, body=body)
    suite.write(test_it="def test_it(): pass", conftest=text)
    outcome = suite.run()

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([f"ERROR: asyncio-traps: {message}"])
    (suite.pytester.path / "conftest.py").unlink()
    suite.write(odd=text)
    outcome = suite.run("-p", "odd")
    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    text = outcome.result.stderr.str() + outcome.result.stdout.str()
    assert text.count("asyncio-traps: ") == 1
    assert "Traceback" not in text


def test_two_may_share_a_kind_and_one_may_add_none(suite: Suite) -> None:
    suite.write(
        odd=TRAP.format(arm="pass", more="", body="return [Odd]"),
        even="from odd import pytest_asyncio_traps_kinds",
        conftest="def pytest_asyncio_traps_kinds(): pass",
    )

    suite.test("def test_it(): pass", "-p", "odd", "-p", "even").clean()


def test_a_conftest_below_comes_too_late(suite: Suite) -> None:
    """It is not passed over in silence."""
    folder = suite.pytester.mkdir("below")
    (folder / "conftest.py").write_text(TRAP.format(arm="pass", more="", body="return [Odd]"))
    (folder / "test_below.py").write_text("def test_it(): pass")
    outcome = suite.test("def test_it(): pass")

    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
    outcome.result.stdout.fnmatch_lines(["*kinds of *below*conftest.py comes too late*"])
    outcome.no_fault()
    assert suite.run("below").result.ret == 0  # there, pytest loads it at its start


@pytest.mark.parametrize(
    ("arm", "more", "body"),
    [
        ("1 / 0", "", "return [Odd]"),
        ("pass", "def __init__(self, watch): 1 / 0", "return [Odd]"),
        ("pass", "def refresh(self): 1 / 0", "return [Odd]"),
        ("pass", "def judge(self, final): 1 / 0", "return [Odd]"),
        ("self.at_end(lambda: 1 / 0)", "", "return [Odd]"),
        ("import app; self.before(app, 'work', lambda: 1 / 0)", "", "return [Odd]"),
        ("import app; self.after(app, 'work', lambda: 1 / 0)", "", "return [Odd]"),
        ("import app; self.after(app, 'play', lambda: 0)", "", "return [Odd]"),
        ("pass", "def judge(self, final): self.report(7, self.here())", "return [Odd]"),
        ("pass", "", "1 / 0"),
        ("pass", "", "import pytest; pytest.fail('no kinds today')"),
    ],
)
@pytest.mark.parametrize("args", cases([(), ("-n1",)], [()]))
def test_a_fault_of_a_kind_is_told_as_its_own(
    suite: Suite, arm: str, more: str, body: str, args: tuple[str, ...]
) -> None:
    """With its traceback; the tests keep their outcomes, and other kinds go on."""
    suite.write(app="def work(): return 7", conftest=TRAP.format(arm=arm, more=more, body=body))
    outcome = suite.test(
        """
        import app

        def test_it():
            assert app.work() == 7

        async def lost(): pass

        async def test_lost():
            lost()
        """,
        *args,
        plugins=("xdist",),
    )

    outcome.result.assert_outcomes(passed=1, failed=1)
    assert outcome.kinds == ["never-awaited"]
    if "at_end" in arm:
        if not args:  # a worker's stderr goes nowhere
            text = outcome.result.stderr.str()
            assert "asyncio-traps: odd failed at its end:" in text
            assert "ZeroDivisionError" in text
        return
    outcome.no_fault()
    outcome.result.stdout.fnmatch_lines(
        ["*a fault of what extends pytest-asyncio-traps*", "* failed; your tests kept *"]
    )
    text = outcome.result.stdout.str()
    assert text.count("a fault of") == 1
    assert any(
        f"{name}: " in text
        for name in ("ZeroDivisionError", "Failed", "AttributeError", "TypeError")
    )


def test_what_failed_while_it_was_armed_leaves_nothing_behind(suite: Suite) -> None:
    """And where a rule names the kind that could not be had, the reason is given."""
    arm = "import app; self.before(app, 'work', lambda: print('told')); 1 / 0"
    suite.write(app="def work(): pass", conftest=TRAP.format(arm=arm, more="", body="return [Odd]"))
    outcome = suite.test("import app\n\ndef test_it(): assert not hasattr(app.work, '__wrapped__')")
    assert outcome.result.ret == 0

    suite.write(conftest=TRAP.format(arm="pass", more="", body="1 / 0"))
    outcome = suite.run("--asyncio-traps=fail:odd")
    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines(
        ["*unknown kind 'odd'*", "*_kinds of *conftest.py failed:", "*ZeroDivisionError*"]
    )


def test_all_is_put_back(suite: Suite) -> None:
    """What a kind has replaced, and what it does at the end."""
    arm = "import app; self.before(app, 'work', print); self.at_end(lambda: print('UNDONE'))"
    suite.write(app="def work(): pass", conftest=TRAP.format(arm=arm, more="", body="return [Odd]"))
    suite.write(
        test_it="def test_it(): pass",
        look="""
        import atexit
        import app

        atexit.register(lambda: print("LAST", hasattr(app.work, "__wrapped__")))

        def pytest_runtest_logfinish():
            print("THEN", hasattr(app.work, "__wrapped__"))
        """,
    )
    result = suite.run("-p", "look", "-s").result

    result.stdout.fnmatch_lines(["*THEN True", "*UNDONE", "LAST False"])


def test_the_kind_may_be_another_that_there_is(client: Suite) -> None:
    client.write(
        conftest=f"{KIND}\n\n\ndef pytest_asyncio_traps_finding(finding):\n"
        "    return finding._replace(kind='unclosed-client')\n"
    )

    assert client.test(PENDING_TASK).only()["kind"] == "unclosed-client"


def test_optional_hooks_stand_without_the_plugin(client: Suite) -> None:
    client.write(test_it=TESTS)
    outcome = client.run(plugins=("asyncio",))

    outcome.result.assert_outcomes(passed=2)
