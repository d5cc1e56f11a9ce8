"""Compares the outcomes of a test suite with and without the plugin: see README.rst."""

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

#: How often a test with a difference is repeated alone, and then with its whole file.
ALONE, IN_ITS_FILE = 4, 2


class Verdict:
    """The result of a comparison of two runs, ``without`` and ``with_`` the plugin."""

    def __init__(self, suite: Suite, without: Run, with_: Run) -> None:
        self.suite = suite
        self.without = without
        self.with_ = with_
        #: Tests of debug mode that differ, with their outcome with the plugin.
        self.debug: dict[str, Outcome] = {}
        #: Differences that the plugin makes.
        self.real: list[Difference] = []
        #: Differences that repetition did not confirm.
        self.chance: list[Difference] = []
        #: Nodeids of tests that end as in asyncio's debug mode, each with the reason.
        self.excused: list[tuple[str, str]] = []
        #: Nodeids of tests that show a documented limitation, each with that limitation.
        self.limits: list[tuple[str, str]] = []

    @property
    def complaints(self) -> list[str]:
        """Problems other than the outcomes of tests, as text."""
        found = []
        for name, run in (("without", self.without), ("with", self.with_)):
            if not run.is_whole:
                how = f"ended with code {run.code}" if run.code is not None else "did not end"
                found.append(f"the run {name} the plugin {how}:\n{run.output[-6000:]}")
        if self.with_.fault:
            found.append(self.with_.fault)
        found += [
            f"no test entered {hook}"
            for hook, modules in self.with_.hooks.items()
            if not modules
            and hook.startswith(self.suite.hooks)
            and hook not in dict(self.suite.no_test)
        ]
        return found

    @property
    def is_good(self) -> bool:
        """Whether the plugin makes no difference."""
        return not self.real and not self.complaints


def listed(known: tuple[tuple[str, str], ...], nodeid: str) -> str:
    """The reason that ``known`` gives for a test; empty if no pattern matches its nodeid."""
    return next((why for pattern, why in known if fnmatchcase(nodeid, pattern)), "")


def judge(
    runner: Runner,
    targets: tuple[str, ...],
    *,
    together: bool = False,
    hooks: bool = False,
    again: bool = True,
) -> Verdict:
    """Run ``targets`` with and without the plugin, and examine each difference.

    ``together`` runs both at the same time. ``hooks`` records which tests enter which hook. With
    ``again=False``, tests are not repeated, and each difference counts as real.
    """
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
    """Repeat a test alone, then with its whole file, several times with and without the plugin.

    ``other`` is the way to run it without the plugin: one of `runs.WAYS`. With ``again=False``,
    only the first two runs count.
    """
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
    """Print the number of tests by outcome for both runs."""
    for name, run in (("without", verdict.without), ("with", verdict.with_)):
        counted = ", ".join(f"{n} {word}" for word, n in totals(run.outcomes).items())
        print(f"{name:8} {counted} in {run.seconds:.0f} s", flush=True)


def show(verdict: Verdict) -> None:
    """Print ``verdict``."""
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
    """``verdict`` as data for JSON."""

    def plain(differences: list[Difference]) -> list[dict[str, Any]]:
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
        "real": plain(verdict.real),
        "chance": plain(verdict.chance),
        "as in debug mode": dict(verdict.excused),
        "known limits": dict(verdict.limits),
        "wrong": verdict.complaints,
        "hooks": verdict.with_.hooks,
        "report": verdict.with_.report,
    }


def versions_of(suite: Suite, place: Place) -> dict[str, str]:
    """The date, the suite and the versions of a comparison."""
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


def options_of(args: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line. Exits with a usage error if they are not valid."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=main.__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument(
        "targets", nargs="*", help="arguments of pytest that replace the whole suite"
    )
    parser.add_argument(
        "--part", action="store_true", help="run only a part of the suite that touches every hook"
    )
    parser.add_argument("--together", action="store_true", help="run both at the same time")
    parser.add_argument(
        "--hooks", action="store_true", help="show which tests enter which hook (Python 3.12+)"
    )
    parser.add_argument(
        "--once", action="store_true", help="do not repeat tests; every difference counts as real"
    )
    parser.add_argument(
        "--timeout", type=float, default=3600, help="seconds for each run (default: 3600)"
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=CHECKOUT / "build" / "conformance",
        help="folder for environments and configuration (default: build/conformance)",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results to PATH")
    options = parser.parse_args(args)
    if options.hooks and sys.version_info < (3, 12):
        parser.error("--hooks requires sys.monitoring, and so Python 3.12 or later")
    return options


def main() -> int:
    """Run a test suite with and without the plugin; exit with 1 if that makes a difference."""
    options = options_of()
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
