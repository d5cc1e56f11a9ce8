"""How the plugin is loaded: from the bytecode that pip compiled, without pytest's rewriting."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.start import PACKAGES, install
from pytest_asyncio_traps_loader.finder import Finder

from ..cases import cases
from ..run import environment

ROOT = Path(__file__).parents[2]

#: Notes the file of everything that the process compiles, by import or by pytest.
SPY = """
import atexit, json, os, sys

compiled = []

def spy(event, args):
    if event == "compile" and args[1] is not None:
        compiled.append(os.fsdecode(args[1]))

sys.addaudithook(spy)

def leave():
    path = os.path.join(os.environ["SPY_FOLDER"], f"{os.getpid()}.json")
    state = {
        "compiled": compiled,
        "loaded": sorted(name for name in sys.modules if name.startswith("pytest_asyncio_traps")),
        "finders": [type(finder).__name__ for finder in sys.meta_path],
    }
    with open(path, "w") as file:
        json.dump(state, file)

atexit.register(leave)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed copy of the plugin, as pip leaves one: compiled, with metadata."""
    site = tmp_path / "site"
    install(site)
    return site


def run(site: Path, tmp_path: Path, *args: str, **env: str) -> list[dict[str, list[str]]]:
    """Run pytest on a test that passes; what each process has compiled and loaded."""
    spies, suite = tmp_path / "spies", tmp_path / "suite"
    for folder in (spies, suite):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    (spies / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    (suite / "test_it.py").write_text(
        "def test_it(request):\n"
        "    plugins = request.config.pluginmanager.get_plugins()\n"
        "    assert 'pytest_asyncio_traps.plugin' in [getattr(p, '__name__', '') for p in plugins]\n",
        encoding="utf-8",
    )
    kept = environment(without=("PYTEST",))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:tornado"),
            *("-p", "no:randomly", "-W", "error::pytest.PytestAssertRewriteWarning", *args),
        ],
        cwd=suite,
        env={
            **kept,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (spies, site))),
            "SPY_FOLDER": str(spies),
            **env,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(path.read_text(encoding="utf-8")) for path in spies.glob("*.json")]


def of_the_plugin(paths: list[str], site: Path) -> list[str]:
    folders = tuple(str(site / package) for package in PACKAGES)
    return [path for path in paths if path.startswith(folders)]


@pytest.mark.parametrize(
    "args",
    cases(
        [
            (),
            ("--assert=plain",),
            ("-p", "asyncio_traps"),
            ("--asyncio-strict", "--asyncio-traps-report=out.json"),
            ("-n", "1"),
        ],
        quick=[("-n", "1")],
    ),
    ids=" ".join,
)
def test_nothing_is_compiled(site: Path, tmp_path: Path, args: tuple[str, ...]) -> None:
    """Where no bytecode can be written, that of the installation is used, in each process."""
    processes = run(site, tmp_path, *args)

    assert len(processes) == 1 + ("-n" in args)
    for process in processes:
        assert len(process["loaded"]) > 40
        assert any(path.endswith("test_it.py") for path in process["compiled"]) or "-n" in args
        assert of_the_plugin(process["compiled"], site) == []
        assert "Finder" not in process["finders"], "it is removed at the end of the run"


def test_by_the_name_of_the_module(site: Path, tmp_path: Path) -> None:
    """The plugin loads without the entry point, too; pytest then rewrites the module it names."""
    (process,) = run(
        *(site, tmp_path, "-p", "pytest_asyncio_traps.plugin"), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )

    assert len(process["loaded"]) > 40


def test_from_a_zip(site: Path, tmp_path: Path) -> None:
    archive = tmp_path / "site.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in site.rglob("*"):
            file.write(path, path.relative_to(site))

    (process,) = run(archive, tmp_path)

    assert len(process["loaded"]) > 40


def test_in_a_checkout(tmp_path: Path) -> None:
    """An editable installation has no files of the package in its metadata."""
    (process,) = run(ROOT, tmp_path)

    assert len(process["loaded"]) > 40


def test_nested_runs(pytester: pytest.Pytester) -> None:
    """The run within a run keeps the finder of the outer one, and warns of nothing."""
    args = (
        "-p",
        "no:tornado",
        "-p",
        "no:randomly",
        "-W",
        "error::pytest.PytestAssertRewriteWarning",
    )
    pytester.makeconftest("pytest_plugins = ['pytester']")
    pytester.makepyfile(
        f"""
        import sys

        def finders():
            return [finder for finder in sys.meta_path if type(finder).__name__ == "Finder"]

        def test_outer(pytester):
            before = finders()
            pytester.makepyfile("def test_inner(): pass")
            pytester.runpytest_inprocess(*{args!r}).assert_outcomes(passed=1)
            assert finders() == before and len(before) == 1
        """
    )

    pytester.runpytest_subprocess(*args).assert_outcomes(passed=1)


def test_the_finder_counts_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    finder = Finder()

    finder.enter()
    finder.enter()
    assert sys.meta_path[0] is finder
    finder.leave()
    assert sys.meta_path.count(finder) == 1
    finder.leave()
    assert finder not in sys.meta_path


def test_the_finder_finds_nothing_else() -> None:
    finder = Finder()

    assert finder.find_spec("pytest_asyncio_traps_of_others") is None
    assert finder.find_spec("pytest") is None
    spec = finder.find_spec("pytest_asyncio_traps")
    assert spec is not None
    assert spec.origin is not None


def test_loading_warns_of_nothing() -> None:
    """A suite that makes errors of warnings imports the plugin under its filters."""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", "import pytest_asyncio_traps.plugin"],
        check=True,
        cwd=ROOT,
    )
