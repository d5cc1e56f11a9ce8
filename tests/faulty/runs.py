"""Runs the suite with a fault in it, and says what is wrong with what comes of that."""

from __future__ import annotations

import json
import os
import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..forkserver import ForkServer, Job
from . import plugin, points, watched

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
asyncio_traps =
    warn:never-awaited:'quiet'
    fail:blocking-call
asyncio_slow_callback_duration = 5
asyncio_deadlock_duration = 0.1
filterwarnings =
    ignore
"""

CONFTEST = """
import pytest

@pytest.fixture
def asyncio_traps_or_none(request):
    if request.config.pluginmanager.hasplugin("asyncio_traps"):
        return request.getfixturevalue("asyncio_traps")
    return None

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""

#: What takes time to import, where it is installed.
IMPORTED = (
    "asyncio", "concurrent.futures.thread", "multiprocessing", "sqlite3", "ssl", "unittest.mock",
    "pytest", "_pytest.junitxml", "_pytest.unraisableexception", "_pytest.threadexception",
    "_pytest.faulthandler", "_pytest.logging", "_pytest.doctest", "_pytest.pytester",
    "pytest_asyncio.plugin", "anyio.pytest_plugin", "anyio._backends._asyncio", "uvloop",
    "tornado.testing", "aiohttp.pytest_plugin", "xdist.plugin", "tests.faulty.snapshot",
)  # fmt: skip
#: Seconds after which a run hangs.
PATIENCE = 120
#: Everything that can be turned on.
ON = ("--asyncio-strict",)

_HEADING = "a fault of pytest-asyncio-traps"
#: The parts without which there is no report: what writes it, and what has to have begun.
_UNWRITTEN = re.compile(
    r"part '(report .*|pytest_sessionfinish|pytest_addoption|pytest_configure|"
    r"pytest_load_initial_conftests)' failed"
)
_FAILS_RUN = re.compile(r"^ERROR pytest-asyncio-traps - fault in ", re.MULTILINE)
_KIND = re.compile(r"([a-z]+(-[a-z]+)+|deadlock): ")


@dataclass
class Run:
    """What has come of a run."""

    status: int | str
    text: str
    errors: str
    #: By test, what JUnit has against it: kind of complaint, and its message.
    outcomes: dict[str, list[tuple[str, str]]] | None
    report: dict[str, Any] | None
    changed: dict[str, str]
    reached: dict[str, set[str | None]]
    stand_ins: set[str]
    #: Whether it was a strict run.
    strict: bool

    @property
    def told(self) -> str:
        """What is told of faults."""
        text = f"{self.text}\n{self.errors}"
        return text[text.index(_HEADING) :] if _HEADING in text else ""

    @property
    def untold(self) -> str:
        """All the rest."""
        before = self.text.partition(_HEADING)[0]
        return before if _HEADING in self.text else before + self.errors.partition(_HEADING)[0]


class Server:
    """A process that runs the suite in forks of itself."""

    def __init__(self, folder: Path) -> None:
        self.suite = folder / "suite"
        self.suite.mkdir()
        shutil.copy(HERE / "suite_sound.py", self.suite / "test_sound.py")
        shutil.copy(HERE / "suite_traps.py", self.suite / "test_traps.py")
        (self.suite / "conftest.py").write_text(CONFTEST, encoding="utf-8")
        (self.suite / "pytest.ini").write_text(INI, encoding="utf-8")
        self._out = folder / "out"
        environ = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
        for name in ("PYTHONASYNCIODEBUG", "PYTHONWARNINGS", "PYTHONDEVMODE"):
            environ.pop(name, None)
        self._env = {**environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        self._server = ForkServer(*IMPORTED, env=self._env)

    def close(self) -> None:
        """End the process."""
        self._server.close()

    def run(
        self,
        point: str = "",
        how: str = "",
        args: tuple[str, ...] = ON,
        others: tuple[str, ...] = (),
        traps: bool = True,
    ) -> Run:
        """Run the suite, with a fault in ``point`` or, if that is ``*``, as a survey.

        ``args`` are for a run with the plugin only, ``others`` for any.
        """
        out = self._out
        shutil.rmtree(out, ignore_errors=True)
        (out / "reached").mkdir(parents=True)
        plugins = ["tests.faulty.plugin", "anyio", "asyncio", *(["asyncio_traps"] if traps else [])]
        words = [
            *(part for name in plugins for part in ("-p", name)),
            *("-p", "no:cacheprovider", "--tb=line", "--show-capture=no"),
            f"--junitxml={out}/junit.xml",
            *(arg.replace("OUT", str(out)) for arg in args if traps),
            *others,
        ]
        env = {
            **self._env,
            plugin.POINT: point,
            plugin.HOW: how,
            plugin.FOLDER: str(out / "reached"),
            watched.CHANGED: str(out / "changed.json"),
        }
        files = str(out / "stdout"), str(out / "stderr")
        job = Job("tests.faulty.watched", words, str(self.suite), env, *files)
        status: int | str
        try:
            status = self._server.run(job, PATIENCE)
        except TimeoutError:
            status = "hangs"
        reached: dict[str, set[str | None]] = {}
        stand_ins: set[str] = set()
        for path in (out / "reached").iterdir():
            found = json.loads(path.read_text(encoding="utf-8"))
            stand_ins.update(found["stand-ins"])
            for name, callers in found["reached"].items():
                reached.setdefault(name, set()).update(callers)
        report, changed = _json(out / "report.json"), _json(out / "changed.json")
        return Run(
            status,
            (out / "stdout").read_text(encoding="utf-8", errors="replace"),
            (out / "stderr").read_text(encoding="utf-8", errors="replace"),
            _outcomes(out / "junit.xml"),
            report,
            changed if changed is not None else {"nothing": "the run did not end"},
            reached,
            stand_ins,
            traps and "--asyncio-strict" in args,
        )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _outcomes(path: Path) -> dict[str, list[tuple[str, str]]] | None:
    if not path.exists():
        return None
    outcomes: dict[str, list[tuple[str, str]]] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        complaints = [(child.tag, str(child.get("message"))) for child in case]
        outcomes.setdefault(f"{case.get('classname')}::{case.get('name')}", []).extend(complaints)
    return outcomes


def to_inject(survey: Run, every: bool) -> dict[str, str]:
    """The points to fail, and how.

    They are those that somebody else calls, be it pytest, asyncio, Python or the user, and
    those that these call. What fails further within reaches these; ``every`` names them all.
    Whoever is called by somebody else, and not through a guard, has to guard itself: there the
    fault is in each of its guarded blocks.
    """
    open_ = {point for point, callers in survey.reached.items() if None in callers}
    open_ |= survey.stand_ins | points.CALLED_BY_C
    first = {point for point, callers in survey.reached.items() if plugin.GUARD in callers}
    found = {}
    for point, callers in survey.reached.items():
        if point.startswith(points.GUARDS):
            continue
        if point in open_:
            if points.has_blocks(point):
                found[point] = "blocks"
        elif every or point in first or not callers.isdisjoint(first | open_):
            found[point] = ""
    return found


def wrongs(run: Run, plain: Run, point: str) -> list[str]:
    """What is wrong with ``run``, held against one without the plugin."""
    found = []
    status = plain.status
    reported = point in run.reached and not points.is_probe(point)
    if run.strict and reported and status == 0:
        status = 1
    if run.status != status:
        found.append(f"the run ended with {run.status}, not {status}")
    changed = {n: c for n, c in run.changed.items() if n not in plain.changed}
    if changed and "Its part 'disarm' failed" not in run.told:
        found.append(f"not put back: {changed}")
    found += _other_outcomes(run, plain)
    told, untold = run.told, run.untold
    if reported:
        times = run.text.count(_HEADING), run.errors.count(_HEADING)
        if max(times) != 1:
            found.append(f"told {times} times")
        elif (
            f"InjectedError: injected into {point}\n" not in told
            or "Please report this" not in told
        ):
            found.append("told without its traceback")
        # Every run with options is strict: see `ON`. What fails after the summary fails it by its
        # status alone, see test_fails_closed.py.
        if run.strict and _HEADING in run.text and not _FAILS_RUN.search(run.text):
            found.append("the fault does not fail the run")
    elif told:
        found.append(f"not to be reported, and yet: {told}")
    for sign in ("injected into", "Traceback", "Exception ignored", "INTERNALERROR", "unraisable"):
        if sign in untold:
            start = max(0, untold.index(sign) - 300)
            found.append(f"a stray {sign!r}: ...{untold[start : start + 900]}")
            break
    if run.report is None and not _UNWRITTEN.search(told):
        found.append("the report was not written")
    return found


def _other_outcomes(run: Run, plain: Run) -> list[str]:
    assert plain.outcomes is not None
    if run.outcomes is None:
        return [f"JUnit's report was not written: {(run.text + run.errors)[-1500:]}"]
    found = []
    for name, before in plain.outcomes.items():
        after = run.outcomes.get(name)
        if after == before:
            continue
        if "test_traps" in name and after is not None:
            news = [complaint for complaint in after if complaint not in before]
            if all(_KIND.search(message) or tag == "skipped" for tag, message in news):
                continue
        found.append(f"{name}: {after}, not {before}")
    new = run.outcomes.keys() - plain.outcomes.keys()
    # What fails the run itself, a fault among it, is a failure of its own in JUnit's report.
    found += [f"{name} is new" for name in new if not name.startswith("pytest-asyncio-traps")]
    return found
