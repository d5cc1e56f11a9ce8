"""The package is typed: strict checkers accept a user's code, and find the mistakes in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .run import Suite, environment

FILES = Path(__file__).parent / "typing"
#: A class in C that only some versions of Python have, and that has no public name.
UNKNOWN = {"pytest_asyncio_traps.loops.handles.ThreadSafeHandle"}


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A checker, as a user calls it: with no settings of this project's."""
    env = environment(without=("MYPY",))
    # pyright looks for packages where the first python in PATH does.
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def pyright() -> list[str]:
    """The command pyright; it fetches its other half from the npm registry when it first runs."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    command = [sys.executable, "-m", "pyright"]
    try:
        done = run(*command, "--version", cwd=Path.cwd())
    except subprocess.TimeoutExpired:
        pytest.skip("pyright does not start: the npm registry does not answer")
    if done.returncode:
        pytest.skip(
            f"pyright does not start, for want of node or of the npm registry: {done.stderr}"
        )
    return [*command, "--pythonpath", sys.executable]


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A user's folder with the files of ``tests/typing``, outside of this project."""
    folder = tmp_path / "users"
    shutil.copytree(FILES, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / "pyrightconfig.json").write_text(
        json.dumps(
            {
                "typeCheckingMode": "strict",
                "reportUnnecessaryTypeIgnoreComment": True,
                "enableTypeIgnoreComments": False,  # those are for mypy
            }
        )
    )
    return folder


def test_mypy_accepts_a_users_code(users: Path) -> None:
    """Each comment ``type: ignore`` excuses an error, or mypy would say so: that is in strict."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    done = run(
        *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=.cache", "."),
        cwd=users,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.thorough
def test_pyright_accepts_a_users_code(users: Path, pyright: list[str]) -> None:
    """Each comment ``pyright: ignore`` excuses an error, or pyright would say so."""
    done = run(*pyright, cwd=users)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors" in done.stdout


@pytest.mark.thorough
def test_mistakes_are_found(users: Path, pyright: list[str]) -> None:
    """What the comments excuse: without them, each line with one is an error to both checkers."""
    path = users / "mistakes.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# type: ignore" in line}
    assert len(wrong) > 15
    path.write_text("\n".join(line.partition("  # type: ignore")[0] for line in lines) + "\n")

    done = run(
        *(
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            "--cache-dir=.cache",
            path.name,
        ),
        cwd=users,
    )
    by_mypy = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    done = run(*pyright, "--outputjson", path.name, cwd=users)
    found = json.loads(done.stdout)["generalDiagnostics"]
    by_pyright = {d["range"]["start"]["line"] + 1 for d in found if d["severity"] == "error"}

    assert by_mypy == wrong
    assert by_pyright == wrong


@pytest.mark.thorough
def test_the_public_types_are_complete(pyright: list[str], tmp_path: Path) -> None:
    """Nothing that is exported has a type that has to be guessed."""
    done = run(
        *pyright,
        "--verifytypes",
        "pytest_asyncio_traps",
        "--ignoreexternal",
        "--outputjson",
        cwd=tmp_path,
    )
    report: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    symbols = [symbol for symbol in report["symbols"] if symbol["isExported"]]

    assert len(symbols) > 500
    unclear = {s["name"] for s in symbols if not s["isTypeKnown"] or s["isTypeAmbiguous"]}
    assert unclear <= UNKNOWN


def test_a_users_code_does_what_its_types_say(suite: Suite) -> None:
    """The same files as a suite."""
    for name, module in (("conftest", "user_conftest"), ("test_it", "user_tests")):
        suite.write(**{name: (FILES / f"{module}.py").read_text(encoding="utf-8")})
    suite.write(test_client="from conftest import Client\n\ndef test_it(): Client('example.org')\n")
    outcome = suite.run("--asyncio-strict")

    outcome.result.assert_outcomes(passed=4, errors=1, xfailed=1)
    assert sorted((f["kind"], f["action"]) for f in outcome.findings) == [
        ("never-awaited", "fail"),
        ("pending-task", "allow"),
        ("unclosed-client", "fail"),
    ]
    assert [spot["what"] for spot in outcome.report["blind_spots"]] == [
        "unclosed-client: clients of other threads"
    ]
    outcome.no_fault()
