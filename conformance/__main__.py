"""Runs somebody's test suite with the plugin and without it, and compares: see README.rst."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .outcomes import ABSENT, Difference, Outcome, differing, totals
from .runs import Run, Runner
from .suites import CHECKOUT, SUITES, Place, Suite, set_up

#: How often a test that differs is repeated by itself, and how often its whole file is.
ALONE, IN_ITS_FILE = 4, 2


class Verdict:
    """What a comparison has come to."""

    def __init__(self, suite: Suite, without: Run, with_: Run) -> None:
        self.suite = suite
        self.without = without
        self.with_ = with_
        self.debug: dict[str, Outcome] = {}
        self.real: list[Difference] = []
        self.chance: list[Difference] = []
        self.excused: list[tuple[str, str]] = []
        self.limits: list[tuple[str, str]] = []

    @property
    def complaints(self) -> list[str]:
        """What is wrong besides the outcomes of tests."""
        said = []
        for name, run in (("without", self.without), ("with", self.with_)):
            if not run.is_whole:
                how = f"ended with code {run.code}" if run.code is not None else "did not end"
                said.append(f"the run {name} the plugin {how}:\n{run.output[-6000:]}")
        if self.with_.fault:
            said.append(self.with_.fault)
        said += [
            f"no test entered {hook}"
            for hook, modules in self.with_.hooks.items()
            if not modules
            and hook.startswith(self.suite.hooks)
            and hook not in dict(self.suite.no_test)
        ]
        return said

    @property
    def is_good(self) -> bool:
        return not self.real and not self.complaints


def listed(known: tuple[tuple[str, str], ...], nodeid: str) -> str:
    """What a list of the suite says of a test; empty if it is not on it."""
    return next((why for what, why in known if fnmatchcase(nodeid, what)), "")


def judge(
    runner: Runner,
    targets: tuple[str, ...],
    *,
    together: bool = False,
    hooks: bool = False,
    again: bool = True,
) -> Verdict:
    """Run ``targets`` both ways, and look into each difference: ``again`` repeats the test."""
    with ThreadPoolExecutor(2 if together else 1) as pool:
        runs = [
            pool.submit(runner.run, "without", targets),
            pool.submit(runner.run, "with", targets, hooks),
        ]
    without, with_ = (run.result() for run in runs)
    verdict = Verdict(runner.suite, without, with_)
    show_totals(verdict)
    unclear = []
    for nodeid in differing(without.outcomes, with_.outcomes):
        print(f"differs at first: {nodeid}", flush=True)
        if why := listed(runner.suite.limits, nodeid):
            verdict.limits.append((nodeid, why))
        elif listed(runner.suite.about_debug, nodeid):
            verdict.debug[nodeid] = with_.outcomes.get(nodeid, Outcome(ABSENT))
        else:
            unclear.append(nodeid)
    for nodeid in unclear:
        difference = repeat(runner, nodeid, without, with_, "without", again)
        (verdict.real if difference.is_real or not again else verdict.chance).append(difference)
    for nodeid in verdict.debug:
        difference = repeat(runner, nodeid, None, with_, "debug")
        if difference.is_real:
            verdict.real.append(difference)
        else:
            verdict.excused.append((nodeid, listed(runner.suite.about_debug, nodeid)))
    return verdict


def repeat(
    runner: Runner, nodeid: str, without: Run | None, with_: Run, other: str, again: bool = True
) -> Difference:
    """Run a test by itself, then its whole file, several times both ways."""
    absent = Outcome(ABSENT)
    difference = Difference(nodeid)
    if without is not None:
        difference.saw(False, without.outcomes.get(nodeid, absent))
    difference.saw(True, with_.outcomes.get(nodeid, absent))
    if not again:
        return difference
    path = runner.place.rootdir / nodeid.partition("::")[0]
    for target, times in ((str(runner.place.rootdir / nodeid), ALONE), (str(path), IN_ITS_FILE)):
        for _ in range(times):
            for way in (other, "with"):
                found = runner.run(way, [target]).outcomes.get(nodeid, absent)
                difference.saw(way == "with", found)
        if difference.is_real:
            break
    return difference


def show_totals(verdict: Verdict) -> None:
    """Print what became of the tests in the first two runs."""
    for name, run in (("without", verdict.without), ("with", verdict.with_)):
        counted = ", ".join(f"{n} {word}" for word, n in totals(run.outcomes).items())
        print(f"{name:8} {counted} in {run.seconds:.0f} s", flush=True)


def show(verdict: Verdict) -> None:
    """Print a verdict."""
    for title, differences in (
        ("REAL DIFFERENCE", verdict.real),
        ("by chance", verdict.chance),
    ):
        for difference in differences:
            print(f"{title}: {difference.nodeid}")
            for name, seen in (("without", difference.without), ("with", difference.with_)):
                print(f"    {name:8} " + "; ".join(f"{n} times {t}" for t, n in seen.items()))
            for text, message in difference.messages.items():
                print(f"    {text}: " + message.replace("\n", "\n        "))
    for nodeid, why in verdict.excused:
        print(f"as in debug mode: {nodeid}: {why}")
    for nodeid, why in verdict.limits:
        print(f"a known limit: {nodeid}: {why}")
    kinds = Counter(f["kind"] for f in verdict.with_.report.get("findings", ()))
    found = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) or "none"
    print(f"findings: {found}")
    for hook, modules in sorted(verdict.with_.hooks.items()):
        most = sorted(modules, key=modules.__getitem__, reverse=True)
        shown = ", ".join(f"{module} {modules[module]}" for module in most[:4])
        print(f"{hook}: {shown or 'no test'}")
    for complaint in verdict.complaints:
        print(f"WRONG: {complaint}")


def as_json(verdict: Verdict, versions: dict[str, str]) -> dict[str, Any]:
    """The same for machines."""

    def told(differences: list[Difference]) -> list[dict[str, Any]]:
        return [
            {
                "nodeid": each.nodeid,
                "without": each.without,
                "with": each.with_,
                "messages": each.messages,
            }
            for each in differences
        ]

    return {
        **versions,
        "without": totals(verdict.without.outcomes),
        "with": totals(verdict.with_.outcomes),
        "real": told(verdict.real),
        "chance": told(verdict.chance),
        "as in debug mode": dict(verdict.excused),
        "known limits": dict(verdict.limits),
        "wrong": verdict.complaints,
        "hooks": verdict.with_.hooks,
        "report": verdict.with_.report,
    }


def versions_of(suite: Suite, place: Place) -> dict[str, str]:
    """Who was compared with whom."""
    ask = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps([m.version(name) for name in sys.argv[1:]]))"
    )
    names = ["pytest", "pytest-asyncio", "pytest-asyncio-traps"]
    if suite.requirement is not None:
        names.append(suite.name)
    done = subprocess.run(
        [place.python, "-c", ask, *names], check=True, capture_output=True, text=True
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "suite": suite.name,
        "python": platform.python_version(),
        **dict(zip(names, json.loads(done.stdout), strict=True)),
    }


def main() -> int:
    """Compare, print, write. The exit code is 1 where the plugin makes a difference."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=main.__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument(
        "targets", nargs="*", help="in place of the whole suite: as pytest takes them"
    )
    parser.add_argument("--part", action="store_true", help="only a part that touches every hook")
    parser.add_argument("--together", action="store_true", help="both runs at the same time")
    parser.add_argument(
        "--hooks", action="store_true", help="say which hook is entered by which tests (3.12+)"
    )
    parser.add_argument(
        "--once", action="store_true", help="repeat nothing: each difference passes for real"
    )
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one run")
    parser.add_argument(
        "--home", type=Path, default=CHECKOUT / "build" / "conformance", help="where to set up"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to PATH")
    options = parser.parse_args()
    if options.hooks and sys.version_info < (3, 12):
        parser.error("--hooks needs sys.monitoring, which came with Python 3.12")
    suite = SUITES[options.suite]
    place = set_up(suite, options.home)
    versions = versions_of(suite, place)
    print(", ".join(f"{key} {value}" for key, value in versions.items()), flush=True)
    targets = tuple(options.targets) or (suite.part if options.part else suite.targets)
    runner = Runner(suite, place, options.timeout)
    verdict = judge(
        runner,
        targets,
        together=options.together,
        hooks=options.hooks,
        again=not options.once,
    )
    show(verdict)
    if options.json:
        text = json.dumps(as_json(verdict, versions), indent=1)
        options.json.write_text(f"{text}\n", encoding="utf-8")
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
