"""A fault in the plugin is the plugin's: in whatever function of it, the tests keep their outcomes.

The points at which a fault is injected are found by introspection, one at a time, each in a
run of its own: see `tests.faulty.points` and `tests.faulty.runs.to_inject`. Without ``--all``,
a part of the functions of some modules is failed: see `representatives`. With
``ASYNCIO_TRAPS_EVERY_FAULT=1``, every function that a run reaches is failed, which takes long.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib.util import find_spec
from queue import SimpleQueue
from typing import TypeVar

import pytest

from pytest_asyncio_traps import plugin
from pytest_asyncio_traps.core.trap import Trap
from pytest_asyncio_traps.session import hooks, optional_hooks, workers
from pytest_asyncio_traps.traps import TRAPS

from ..cases import cases
from ..faulty import points, runs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each run is a fork")

#: Ways to run the suite, of which each reaches what others do not.
REPORT = "--asyncio-traps-report=OUT/report.json"
WAYS = {
    "alone": (*runs.ON, REPORT),
    "baseline": (
        *runs.ON, REPORT, "--asyncio-traps-baseline=OUT/baseline.txt",
        "--asyncio-traps-update-baseline",
    ),
    "others": (*runs.ON, REPORT),
    "xdist": (*runs.ON, REPORT, "-p", "xdist", "-n1"),
}  # fmt: skip
#: What is said in any run of a way, the one without the plugin as well.
OTHERS = {
    "others": (
        "-p", "aiohttp.pytest_plugin", "-o", "asyncio_mode=strict", "-k",
        "anyio or aiohttp or tornado",
    ),
}  # fmt: skip
#: What declares the options: without it, nobody can give any.
DECLARES = {"plugin:pytest_addoption", "options:add_options"}


T = TypeVar("T")
R = TypeVar("R")


class Faulty:
    """Runs of the suite, and what each way of running it reaches."""

    def __init__(self, servers: list[runs.Server]) -> None:
        self.every = os.environ.get("ASYNCIO_TRAPS_EVERY_FAULT") == "1"
        self.ways = [way for way in WAYS if way != "others" or find_spec("aiohttp")]
        self._threads = len(servers)
        self._free: SimpleQueue[runs.Server] = SimpleQueue()
        for server in servers:
            self._free.put(server)

    def run(
        self,
        way: str,
        point: str = "",
        how: str = "",
        args: tuple[str, ...] | None = None,
        traps: bool = True,
    ) -> runs.Run:
        """A run of the suite in one of its ways, on the next server that is free."""
        server = self._free.get()
        try:
            args = WAYS[way] if args is None else args
            return server.run(point, how, args, OTHERS.get(way, ()), traps)
        finally:
            self._free.put(server)

    def at_once(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """``function`` of each of ``items``, as many of them at a time as there are servers."""
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(function, items))

    @cached_property
    def plain(self) -> dict[str, runs.Run]:
        """By way of running the suite, a run without the plugin."""
        of_others = {
            others: self.run(way, traps=False)
            for others, way in {OTHERS.get(way, ()): way for way in self.ways}.items()
        }
        return {way: of_others[OTHERS.get(way, ())] for way in self.ways}

    @cached_property
    def surveys(self) -> dict[str, runs.Run]:
        """By way of running the suite, what it reaches."""
        return dict(
            zip(self.ways, self.at_once(lambda way: self.run(way, "*"), self.ways), strict=True)
        )

    @cached_property
    def injections(self) -> dict[str, tuple[str, str]]:
        """The points to fail: how, and in which way of running the suite."""
        found: dict[str, tuple[str, str]] = {}
        for way, survey in self.surveys.items():
            assert survey.reached, f"a survey has failed: {survey.text}{survey.errors}"
            for point, how in runs.to_inject(survey, self.every).items():
                found.setdefault(point, (how, way))
        return found

    def wrongs(self, point: str) -> list[str]:
        """What is wrong with a run in which ``point`` fails."""
        how, way = self.injections[point]
        run = self.run(way, point, how, () if point in DECLARES else None)
        return runs.wrongs(run, self.plain[way], point)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    servers = [
        runs.Server(tmp_path_factory.mktemp("faulty")) for _ in range(min(os.cpu_count() or 1, 4))
    ]
    yield Faulty(servers)
    for server in servers:
        server.close()


def test_without_a_fault(faulty: Faulty) -> None:
    """What the others hold against their runs is right where there is no fault."""
    run = faulty.run("alone")

    assert runs.wrongs(run, faulty.plain["alone"], "none") == []
    assert run.report is not None
    kinds = {finding["kind"] for finding in run.report["findings"]}
    assert kinds == {trap.kind for trap in TRAPS}


#: A quick run fails functions of every fifth module.
MODULES = [module for module in points.modules() if module]


@pytest.mark.parametrize("module", cases(MODULES, MODULES[::5]))
def test_a_fault_in(faulty: Faulty, module: str, every_case: bool) -> None:
    """Each of the module's functions, one at a time."""
    failed = [point for point in faulty.injections if points.module_of(point) == module]
    if not every_case and not faulty.every:
        failed = representatives(failed, faulty.injections)
    assert faulty.plain  # once, and not by several threads

    wrong = zip(failed, faulty.at_once(faulty.wrongs, failed), strict=True)

    text = "\n\n".join(f"{point}: " + "\n".join(found) for point, found in wrong if found)
    assert not text, text


def representatives(failed: list[str], injections: dict[str, tuple[str, str]]) -> list[str]:
    """By name, every fourth function that guards itself, or else every twelfth of the others."""
    selfguarded = sorted(point for point in failed if injections[point][0] == "blocks")
    others = sorted(set(failed).difference(selfguarded))
    return selfguarded[::4] or others[::12]


def test_everything_that_matters_is_reached(faulty: Faulty) -> None:
    """Each hook, each method of a trap, and each function that stands in for another."""
    reached = set().union(*(survey.reached for survey in faulty.surveys.values()))
    hooks = {
        point
        for names in [plugin, *_classes_of_hooks()]
        for name, hook in vars(names).items()
        if name.startswith("pytest_")
        and (point := points.point_of(inspect.unwrap(hook).__code__)) is not None
    }
    methods = {
        point
        for trap in TRAPS
        for name in ("arm", "refresh", "judge")
        if (point := points.point_of(inspect.unwrap(getattr(trap, name)).__code__)) is not None
        and getattr(trap, name) is not getattr(Trap, name)
    }
    stand_ins = set().union(*(survey.stand_ins for survey in faulty.surveys.values()))

    assert len(hooks) > 25
    assert len(methods) > 15
    assert len(stand_ins) > 40
    assert hooks - reached == {
        "session.hooks:Hooks.pytest_enter_pdb",  # somebody debugs
        "session.optional_hooks:BaselineHooks.pytest_deselected",
    }
    assert methods - reached == set()
    unreached = {point for point in stand_ins - reached if not point.startswith("session.runners:")}
    assert unreached == {
        "session.hangs:Hangs._make_on_sigint._on_sigint",  # Ctrl-C: see test_hangs.py
    }
    assert "others" not in faulty.ways or stand_ins - unreached <= reached


def _classes_of_hooks() -> list[type]:
    modules = [hooks, optional_hooks, workers]
    return [
        cls
        for module in modules
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__ == module.__name__
    ]
