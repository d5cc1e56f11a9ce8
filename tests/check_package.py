"""Builds the wheel and the sdist, checks both, and tries the wheel in a fresh environment.

`python tests/check_package.py dist` leaves what it has built and checked in ``dist``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
TRAP = "async def work(): pass\n\nasync def test_it():\n    work()\n"


def run(*command: str | Path, cwd: Path, code: int = 0, **env: str) -> str:
    """Run a command, and fail unless it ends with ``code``."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )
    text = done.stdout + done.stderr
    if done.returncode != code:
        raise SystemExit(f"{command} ended with {done.returncode}, not {code}:\n{text}")
    return text


def check_contents(wheel: Path, sdist: Path) -> None:
    """The package and its pages are in both, and nothing else is in the wheel."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for top in ("pytest_asyncio_traps", "pytest_asyncio_traps_loader")
        for path in (ROOT / top).rglob("*")
        if path.suffix in (".py", ".jinja", ".css", ".js") or path.name == "py.typed"
    }
    assert package <= inside, f"missing in the wheel: {sorted(package - inside)}"
    pages = {
        f"pytest_asyncio_traps/pages/{folder}{path.name}"
        for folder, paths in (
            ("", (ROOT / "docs/traps").glob("*.rst")),
            ("scenarios/", (ROOT / "tests/scenarios").glob("*.py")),
        )
        for path in paths
    }
    assert pages <= inside, f"missing in the wheel: {sorted(pages - inside)}"
    extra = {path for path in inside - package - pages if ".dist-info/" not in path}
    assert not extra, f"not for the wheel: {sorted(extra)}"
    with tarfile.open(sdist) as tar:
        parts = {path.partition("/")[2] for path in tar.getnames()}
    wanted = {"README.rst", "LICENSE", "tox.ini", "conftest.py", "docs/index.rst"} | package
    assert wanted <= parts, f"missing in the sdist: {sorted(wanted - parts)}"


def check_metadata(wheel: Path, sdist: Path) -> None:
    """Users see no extras for development, and the index can read and render the rest."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata.get_all("Provides-Extra") == ["html"], metadata.get_all("Provides-Extra")
    assert metadata["Metadata-Version"] == "2.4"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Maintainer"]

    python = sys.executable
    run(python, "-m", "twine", "check", "--strict", wheel, sdist, cwd=ROOT)
    run(python, "-m", "check_wheel_contents", wheel, cwd=ROOT)
    # Its complaints are not an error for it as long as the rating is high enough, which 10 is. The
    # developers have no common address, and are reached as .github/SECURITY.md says.
    rating = run(python, "-m", "pyroma", "-n", "10", "--skip-tests=AuthorEmail", sdist, cwd=ROOT)
    assert "Final rating: 10/10" in rating, rating


def check_wheel(wheel: Path, folder: Path) -> None:
    """In an environment of its own: on, off, loaded by name, and with and without the extra."""
    venv.create(folder / "env", with_pip=True)
    scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    run(scripts / "python", "-m", "pip", "install", "-q", wheel, cwd=folder)
    suite = folder / "suite"
    suite.mkdir()
    (suite / "test_it.py").write_text(TRAP, encoding="utf-8")
    (suite / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    text = run(scripts / "pytest", cwd=suite, code=1)
    assert "test_it.py:4: never-awaited" in text, text
    text = run(
        *(scripts / "pytest", "-p", "asyncio", "-p", "asyncio_traps"),
        cwd=suite,
        code=1,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert "test_it.py:4: never-awaited" in text, text
    text = run(scripts / "pytest", "--asyncio-traps-explain", "pending-task", cwd=suite)
    assert "async def test_good" in text, text
    text = run(scripts / "pytest", "--asyncio-traps-report=traps.html", cwd=suite, code=4)
    assert "pip install 'pytest-asyncio-traps[html]'" in text, text
    run(scripts / "python", "-m", "pip", "install", "-q", f"{wheel}[html]", cwd=folder)
    run(scripts / "pytest", "--asyncio-traps-report=traps.html", cwd=suite, code=1)
    page = (suite / "traps.html").read_text(encoding="utf-8")
    assert "never-awaited" in page, page
    text = run(scripts / "pytest", "-p", "no:asyncio_traps", cwd=suite)
    assert "1 passed" in text, text


def main(dist: str | None = None) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        output = folder / "dist" if dist is None else Path(dist).resolve()
        run(sys.executable, "-m", "build", "--outdir", output, cwd=ROOT)
        (wheel,) = output.glob("*.whl")
        (sdist,) = output.glob("*.tar.gz")
        check_contents(wheel, sdist)
        check_metadata(wheel, sdist)
        check_wheel(wheel, folder)
    print("the wheel and the sdist are whole")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
