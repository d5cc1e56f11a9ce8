"""The baseline: known findings are listed, new ones fail, and the file only shrinks."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_asyncio_traps.baseline.file import HEADER, parse, render
from pytest_asyncio_traps.traps import KINDS

from ..run import XDIST, Outcome, Suite

APP = """
import asyncio

KEPT = []

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)

def spawn(coroutine):
    KEPT.append(asyncio.get_running_loop().create_task(coroutine))
"""
SUITE = """
import asyncio, pytest
from app import KEPT, poll, spawn, work

@pytest.mark.parametrize("number", range(3))
async def test_spawns(number):
    spawn(poll())
    await asyncio.sleep(0)

async def test_drops():
    work()

async def test_fine():
    await work()
"""
OTHER = """
from app import work

async def test_other():
    work()
"""
FILE = "known.txt"
KNOWN = f"--asyncio-traps-baseline={FILE}"
UPDATE = (KNOWN, "--asyncio-traps-update-baseline")
STRICT = (KNOWN, "--asyncio-strict")


def make(suite: Suite, *args: str) -> Path:
    """The suite, and its baseline."""
    suite.write(app=APP, test_it=SUITE, test_other=OTHER)
    outcome = suite.run(*UPDATE, *args)
    assert outcome.result.ret == 0
    outcome.no_fault()
    return suite.pytester.path / FILE


def entries(path: Path) -> list[str]:
    """The entries of a file, without its header."""
    return path.read_text(encoding="utf-8").split("\n\n")[1:]


def stale(outcome: Outcome) -> list[str]:
    """The stale entries, which fail the run."""
    outcome.no_fault()
    pattern = re.compile(rf"  {FILE}:\d+: stale baseline entry: (.*)")
    return [match[1] for line in outcome.result.outlines if (match := pattern.fullmatch(line))]


def change(suite: Suite, old: str, new: str, name: str = "test_it.py") -> None:
    path = suite.pytester.path / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_known_findings_are_listed_and_new_ones_fail(suite: Suite) -> None:
    """A Monday: the file is made, lines shift, and then somebody adds a trap."""
    path = make(suite)
    assert entries(path) == [
        "never-awaited test_it.py test_drops\n"
        "    code: work()\n"
        "    about: work\n"
        "    test: test_it.py::test_drops",
        "never-awaited test_other.py test_other\n"
        "    code: work()\n"
        "    about: work\n"
        "    test: test_other.py::test_other",
        "pending-task app.py spawn\n"
        "    code: KEPT.append(asyncio.get_running_loop().create_task(coroutine))\n"
        "    about: poll\n"
        "    test: test_it.py::test_spawns\n",
    ]

    change(suite, "import asyncio", "import asyncio\n\n# a shift\n", "app.py")
    known = suite.run(*STRICT)
    assert known.result.ret == 0
    assert known.report["counts"] == {"fail": 0, "warn": 0, "allow": 0, "baseline": 5}
    assert {finding["action"] for finding in known.findings} == {"baseline"}
    known.result.stdout.fnmatch_lines(
        [
            "pending-task app.py:* spawn, 3 tests (known)",
            "never-awaited test_it.py:* test_drops, 1 test (known)",
            "never-awaited: 2 known",
        ]
    )

    change(suite, "await work()", "work()")
    new = suite.run(KNOWN)
    new.result.assert_outcomes(passed=5, failed=1)
    assert [f["nodeid"] for f in new.findings if f["action"] == "fail"] == ["test_it.py::test_fine"]


def test_another_coroutine_from_a_known_helper_is_new(suite: Suite) -> None:
    """A line that serves many is not one cause."""
    make(suite)
    change(suite, "await work()", "spawn(asyncio.sleep(3600)); await work()")

    outcome = suite.run(KNOWN)

    assert [f["nodeid"] for f in outcome.findings if f["action"] == "fail"] == [
        "test_it.py::test_fine"
    ]


def test_the_second_of_two_equal_lines_is_new(suite: Suite) -> None:
    path = make(suite)
    change(suite, "test_drops():\n    work()", "test_drops():\n    work()\n    work()")

    assert suite.run(KNOWN).result.ret == 1
    suite.run(*UPDATE)
    assert "    code: work()\n    number: 2\n    about: work\n" in path.read_text()
    change(suite, "    work()\n    work()", "    work()")
    assert len(stale(suite.run(*STRICT))) == 1


def test_what_no_longer_occurs_fails_in_strict(suite: Suite) -> None:
    """Until it is taken out, by hand or by an update."""
    path = make(suite)
    change(suite, "test_drops():\n    work()", "test_drops():\n    await work()")

    assert suite.run(KNOWN).result.ret == 0
    strict = suite.run(*STRICT)
    assert strict.result.ret == 1
    assert stale(strict) == ["never-awaited test_it.py test_drops: work()"]
    strict.result.stdout.fnmatch_lines(
        ["  Remove stale entries by hand, or with --asyncio-traps-update-*"]
    )

    text = path.read_text()
    line = "    test: test_it.py::test_drops"
    path.write_text(text.replace(line, f"    sometimes: yes\n{line}"))
    assert suite.run(*STRICT).result.ret == 0
    path.write_text(text)

    suite.run(*UPDATE).result.stdout.fnmatch_lines(
        [f"{FILE}: 2 known (0 new, 1 gone, 0 not judged by this run)"]
    )
    assert len(entries(path)) == 2
    assert suite.run(*STRICT).result.ret == 0


MENDED = ("spawn(poll())", "await work()")
POLL = "pending-task app.py spawn: KEPT.append(asyncio.get_running_loop().create_task(coroutine))"


@pytest.mark.parametrize(
    "args",
    [
        ("-k", "drops"),
        ("-k", "not 1"),
        ("-m", "nothing"),
        ("test_other.py",),
        ("test_it.py::test_spawns[0]",),
        ("test_it.py::test_spawns",),
        ("--deselect=test_it.py::test_spawns[1]",),
        ("--ignore=test_it.py",),
        ("--collect-only",),
        ("--setup-only",),
    ],
)
def test_a_run_of_a_part_calls_nothing_over_that_it_did_not_see(
    suite: Suite, args: tuple[str, ...]
) -> None:
    """And an update by such a run keeps it."""
    path = make(suite)
    change(suite, *MENDED)

    before = entries(path)
    assert POLL not in stale(suite.run(*STRICT, *args))
    suite.run(*UPDATE, *args)
    assert entries(path) == before


def test_a_run_of_the_part_that_had_to_spring_it_judges(suite: Suite) -> None:
    """One file, or some of its tests; also by an update, which leaves the rest alone."""
    path = make(suite)
    change(suite, *MENDED)

    assert stale(suite.run(*STRICT, "test_it.py")) == [POLL]
    assert stale(suite.run(*STRICT, "-k", "spawns")) == [POLL]
    suite.run(*UPDATE, "-k", "spawns")
    assert [entry.split()[0] for entry in entries(path)] == ["never-awaited", "never-awaited"]


@pytest.mark.parametrize(
    "body",
    [
        "pytest.skip('not here')",
        "assert number != 1",
        "pytest.xfail('early') if number == 2 else pytest.skip('not here')",
    ],
)
def test_a_test_that_did_not_run_through_may_have_sprung_it(suite: Suite, body: str) -> None:
    make(suite)
    change(suite, MENDED[0], body)

    assert stale(suite.run(*STRICT)) == []


def test_a_run_that_stops(suite: Suite) -> None:
    """-x leaves the rest unjudged; so do Ctrl-C, which does not write either, and --lf."""
    path = make(suite, "-p", "cacheprovider")
    before = path.read_text()
    change(suite, *MENDED)
    change(suite, "async def test_drops", "def test_stops():\n    assert 0\n\nasync def test_drops")

    assert stale(suite.run(*STRICT, "-x")) == [POLL]  # its tests came before
    path_it = suite.pytester.path / "test_it.py"
    text = path_it.read_text()
    head, _, tests = text.partition("@pytest.mark.parametrize")
    path_it.write_text(f"{head}def test_first(): assert 0\n\n@pytest.mark.parametrize{tests}")
    assert stale(suite.run(*STRICT, "-x")) == []
    assert stale(suite.run(*STRICT, "--maxfail=1")) == []

    path_it.write_text(
        path_it.read_text().replace(
            "test_first(): assert 0", "test_first(): raise KeyboardInterrupt"
        )
    )
    assert stale(suite.run(*STRICT)) == []
    stopped = suite.run(*UPDATE)
    assert stopped.result.ret == pytest.ExitCode.INTERRUPTED
    stopped.result.stdout.fnmatch_lines(
        [f"*{FILE}: baseline not written, file left unchanged: the run was interrupted"]
    )
    assert path.read_text() == before


def test_the_last_failures_only(suite: Suite) -> None:
    """--lf leaves out tests of a file without saying so."""
    make(suite)
    change(suite, *MENDED)
    change(suite, "await work()\n", "await work(); assert 0\n")
    plain = suite.pytester.runpytest_subprocess("-p", "asyncio", "-p", "asyncio_traps", KNOWN)
    assert plain.ret == 1

    args = ("-p", "asyncio", "-p", "asyncio_traps", *STRICT, "--lf")
    last = suite.pytester.runpytest_subprocess(*args)

    last.stdout.no_fnmatch_line("*stale baseline entry*")


def test_a_file_of_tests_that_is_gone(suite: Suite) -> None:
    """Whoever ran the whole suite, or the folder, knows that nobody springs it any more."""
    make(suite)
    (suite.pytester.path / "test_other.py").unlink()
    gone = ["never-awaited test_other.py test_other: work()"]

    assert stale(suite.run(*STRICT, "test_it.py")) == []
    assert stale(suite.run(*STRICT, "-k", "not drops")) == []
    assert stale(suite.run(*STRICT)) == gone
    assert stale(suite.run(*STRICT, ".")) == gone


def test_a_function_that_was_renamed(suite: Suite) -> None:
    """It is another cause: the new name fails, the old one is over."""
    make(suite)
    change(suite, "test_drops", "test_discards")

    outcome = suite.run(*STRICT)
    assert [f["nodeid"] for f in outcome.findings if f["action"] == "fail"] == [
        "test_it.py::test_discards"
    ]
    assert stale(outcome) == []  # a test of that file failed, and may have sprung it
    change(suite, "    work()\n", "    await work()\n")
    assert stale(suite.run(*STRICT)) == ["never-awaited test_it.py test_drops: work()"]


LATE = """
import asyncio, pytest, pytest_asyncio
from app import KEPT, work

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared():
    KEPT.append(work())
    yield
    work()

@pytest.mark.asyncio(loop_scope="session")
async def test_one(shared): pass

@pytest.mark.asyncio(loop_scope="session")
async def test_two(shared): pass

def test_last(): pass

work()
"""


def test_findings_of_a_wider_scope_and_of_no_test(suite: Suite) -> None:
    """What shows at the end, and what a module leaves when it is imported."""
    suite.write(app=APP, test_it=LATE)
    path = suite.pytester.path / FILE
    assert suite.run(*UPDATE).result.ret == 0
    text = path.read_text()
    assert [entry.splitlines()[0] for entry in entries(path)] == [
        "never-awaited test_it.py <module>",
        "never-awaited test_it.py shared",
        "never-awaited test_it.py shared",
    ]

    assert suite.run(*STRICT).result.ret == 0
    other = suite.run(*UPDATE, "-k", "two or last")
    assert other.result.ret == 0
    assert text.replace("::test_one\n", "::test_one\n    test: test_it.py::test_two\n") == (
        path.read_text()
    )
    change(suite, "    yield\n    work()", "    yield\n    await work()")
    assert stale(suite.run(*STRICT, "-k", "last")) == []
    assert stale(suite.run(*STRICT)) == ["never-awaited test_it.py shared: work()"]


def test_rules_and_markers_come_first(suite: Suite) -> None:
    """What they allow or drop is not known, but allowed; and what is hidden is not over."""
    path = make(suite)
    text = path.read_text()

    allowed = suite.run(*STRICT, "--asyncio-traps=allow:pending-task")
    assert allowed.report["counts"] == {"fail": 0, "warn": 0, "allow": 3, "baseline": 2}
    assert stale(allowed) == []
    off = suite.run(*STRICT, "--asyncio-traps=off:pending-task")
    assert off.report["counts"]["baseline"] == 2
    assert stale(off) == []
    suite.run(*UPDATE, "--asyncio-traps=off:pending-task")
    assert path.read_text() == text
    warned = suite.run(KNOWN, "--asyncio-traps=warn")
    assert warned.report["counts"]["baseline"] == 5

    suite.run(*UPDATE, "--asyncio-traps=allow:pending-task")
    assert [entry.split()[0] for entry in entries(path)] == ["never-awaited", "never-awaited"]


def test_kinds_that_are_not_on(suite: Suite) -> None:
    """An entry of a strict kind is not over in a run that does not look for it."""
    text = "import asyncio\nasync def test_it(): asyncio.get_running_loop().call_later(99, print)\n"
    suite.write(test_it=text)
    suite.run(*UPDATE, "--asyncio-strict")
    path = suite.pytester.path / FILE
    assert entries(path)[0].startswith("lingering-timer test_it.py test_it\n")

    suite.run(*UPDATE)
    assert entries(path)[0].startswith("lingering-timer test_it.py test_it\n")
    assert suite.run(*STRICT).result.ret == 0


def test_what_the_clock_decides_is_never_over(suite: Suite) -> None:
    """A machine may be fast today; an update takes it out."""
    suite.write(test_it="import time\nasync def test_it(): time.sleep(0.2)\n")
    suite.run(*UPDATE)
    path = suite.pytester.path / FILE
    assert entries(path) == [
        "slow-callback test_it.py test_it\n"
        "    code: async def test_it(): time.sleep(0.2)\n"
        "    about: test_it\n"
        "    test: test_it.py::test_it\n"
    ]
    assert suite.run(*STRICT).result.ret == 0

    suite.write(test_it="async def test_it(): pass\n")
    assert suite.run(*STRICT).result.ret == 0
    suite.run(*UPDATE)
    assert entries(path) == []


DOCS = Path(__file__).parent.parent.parent / "docs" / "adopting.rst"


def test_the_file_in_the_docs_is_one() -> None:
    """Read and written, it is what the page shows."""
    text = DOCS.read_text(encoding="utf-8").partition("An entry of the file is one cause:")[2]
    block = re.search(r"^\.\. code-block:: text\n\n((?: +.*\n|\n)+)", text, re.MULTILINE)
    assert block
    shown = textwrap.dedent(block[1]).strip("\n") + "\n"

    assert render(parse(shown.encode(), KINDS)) == "\n".join((*HEADER, "", shown))


# -- the file ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((KNOWN,), f"*{FILE}: there is no such baseline; --asyncio-traps-update-baseline makes it"),
        (
            ("--asyncio-traps-update-baseline",),
            "--asyncio-traps-update-baseline: there is no file*",
        ),
        (("--asyncio-traps-baseline=.",), "*: cannot be read: *"),
        (("--asyncio-traps-baseline=.", UPDATE[1]), "*: is a folder"),
        (("--asyncio-traps-baseline=no/where", UPDATE[1]), "*: there is no folder *"),
        (("-oasyncio_traps_baseline=known.txt",), "*: there is no such baseline*"),
        (("--asyncio-traps-baseline=broken.txt",), "*broken.txt:2: unknown kind 'what', must be*"),
        (("--asyncio-traps-baseline=broken.txt", UPDATE[1]), "*broken.txt:2: unknown kind *"),
    ],
)
def test_usage_errors(suite: Suite, args: tuple[str, ...], message: str) -> None:
    """One line, before any test runs; and a broken file is not written over."""
    broken = suite.pytester.path / "broken.txt"
    broken.write_text("# mine\nwhat is this\n")

    outcome = suite.test("def test_it(): assert 0", *args)

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([f"ERROR: asyncio-traps: {message}"])
    assert "test_it" not in outcome.result.stdout.str()
    assert broken.read_text() == "# mine\nwhat is this\n"


def test_the_ini_names_the_file_from_its_own_folder(suite: Suite) -> None:
    """An empty name on the command line does without it."""
    path = make(suite)
    suite.pytester.makeini(
        f"[pytest]\nasyncio_mode = auto\npythonpath = .\nasyncio_traps_baseline = {FILE}\n"
    )
    folder = suite.pytester.mkdir("sub")
    os.chdir(folder)

    assert suite.run("..").result.ret == 0
    assert suite.run("..", "--asyncio-traps-baseline=").result.ret == 1
    path.unlink()
    suite.run("..", "--asyncio-traps-update-baseline")
    assert len(entries(path)) == 3
    assert list(folder.iterdir()) == []


def test_comments_and_line_ends_stay(suite: Suite) -> None:
    path = make(suite)
    text = path.read_text().replace("pending-task", "# ticket 7\npending-task")
    path.write_bytes(text.replace("\n", "\r\n").encode())
    before = path.read_bytes()

    assert suite.run(*STRICT).result.ret == 0
    suite.run(*UPDATE)
    assert path.read_bytes() == before
    change(suite, "test_drops():\n    work()", "test_drops():\n    await work()")
    suite.run(*UPDATE)
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n")
    assert b"# ticket 7\r\npending-task" in path.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_a_link_is_followed(suite: Suite) -> None:
    folder = suite.pytester.mkdir("shared")
    (suite.pytester.path / FILE).symlink_to("shared/real.txt")

    make(suite)

    assert (suite.pytester.path / FILE).is_symlink()
    assert len(entries(folder / "real.txt")) == 3
    assert [path.name for path in folder.iterdir()] == ["real.txt"]


def test_a_file_that_cannot_be_written_fails_the_run(suite: Suite) -> None:
    """A clear line, no fault of the plugin's, and the file is what it was."""
    path = make(suite)
    before = path.read_text()
    suite.pytester.makeconftest(
        "import errno, os\n"
        "def full(fd): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "os.fsync = full\n"
    )
    change(suite, "await work()", "work()")

    outcome = suite.run(*UPDATE, "--asyncio-traps-report=other.json")

    assert outcome.result.ret == 1
    outcome.result.stdout.fnmatch_lines(
        [f"*{FILE}: baseline not written, file left unchanged: No space left on device"]
    )
    assert path.read_text() == before
    assert not [path.name for path in suite.pytester.path.iterdir() if path.name.endswith(".new")]


def test_odd_names(suite: Suite) -> None:
    """Whatever code and its names hold comes back from the file as it was."""
    suite.write(
        test_it=r"""
        import asyncio, pytest

        async def work(): pass
        work.__qualname__ = "w\x1b[31m\n\"\\ \ud800"
        NAMES = {"work": work}
        exec(compile("def helper(): work()", "odd \u2028 \x07#.py", "exec"), NAMES)

        @pytest.mark.parametrize("text", ["a b", "\x1b", "\udce9", "::[x]"])
        async def test_it(text):
            NAMES["helper"]()
            work() ; "  é	\u00a0 # \x0c"
        """
    )

    assert suite.run(*UPDATE).result.ret == 0
    text = (suite.pytester.path / FILE).read_text(encoding="utf-8")
    assert all(line.isprintable() for line in text.splitlines())
    assert len(entries(suite.pytester.path / FILE)) == 2
    known = suite.run(*STRICT)
    assert known.report["counts"]["baseline"] == 8
    assert known.result.ret == 0
    known.no_fault()


# -- pytest-xdist -----------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("dist", ["load", "loadfile"])
def test_distributed_runs(suite: Suite, dist: str) -> None:
    """Workers apply the file, the controller alone judges and writes it: as in one process."""
    pytest.importorskip("xdist")
    path = make(suite)
    text = path.read_text()
    path.unlink()
    spread = ("-n2", f"--dist={dist}")

    assert suite.run(*UPDATE, *spread, plugins=XDIST).result.ret == 0
    assert path.read_text() == text
    known = suite.run(*STRICT, *spread, plugins=XDIST)
    assert known.result.ret == 0
    assert known.report["counts"] == {"fail": 0, "warn": 0, "allow": 0, "baseline": 5}

    change(suite, *MENDED)
    over = suite.run(*STRICT, *spread, plugins=XDIST)
    assert stale(over) == [POLL]
    assert over.result.ret == 1
    assert stale(suite.run(*STRICT, *spread, "-k", "not 1", plugins=XDIST)) == []
    suite.run(*UPDATE, *spread, "-k", "not 1", plugins=XDIST)
    assert path.read_text() == text


def test_a_worker_that_dies_judges_nothing(suite: Suite) -> None:
    pytest.importorskip("xdist")
    path = make(suite)
    text = path.read_text()
    change(suite, *MENDED)
    suite.write(test_z="import os\ndef test_dies(): os._exit(7)\n")

    assert stale(suite.run(*STRICT, "-n2", plugins=XDIST)) == []
    suite.run(*UPDATE, "-n2", plugins=XDIST)
    assert path.read_text() == text


def test_a_plugin_that_leaves_out_tests_without_a_word(suite: Suite) -> None:
    make(suite)
    change(suite, *MENDED)
    suite.pytester.makeconftest(
        "import pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n"
        "    items[:] = [item for item in items if '[1]' not in item.name]\n"
    )

    assert stale(suite.run(*STRICT)) == []
