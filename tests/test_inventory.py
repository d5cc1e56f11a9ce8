"""``objects.inv`` has what the reference documents, so that other projects can link to it."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

import pytest_asyncio_traps
from pytest_asyncio_traps import hookspecs

from .test_exports import FINDING, TRAP

pytest.importorskip("sphinx")
pytest.importorskip("furo")
pytest.importorskip("sphinx_copybutton")

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The names in ``objects.inv``, by their type."""
    folder = tmp_path_factory.mktemp("html")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(DOCS), str(folder)]
    subprocess.run([*command, "-d", str(tmp_path_factory.mktemp("doctrees"))], check=True)
    *_, compressed = (folder / "objects.inv").read_bytes().split(b"\n", 4)
    names = defaultdict(set)
    for line in zlib.decompress(compressed).decode().splitlines():
        match = re.match(r"(.+?)\s+(\S+:\S+)\s+-?\d+\s", line)
        assert match, line
        names[match[2]].add(match[1])
    return names


def test_hooks(inventory: Mapping[str, set[str]]) -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("pytest_")}

    assert inventory["std:hook"] == hooks


def test_public_names(inventory: Mapping[str, set[str]]) -> None:
    """With the attributes of the classes that kinds and hooks use."""
    types = ("py:class", "py:exception", "py:data", "py:attribute", "py:property", "py:method")
    documented = {name for type_ in types for name in inventory[type_]}
    names = {*pytest_asyncio_traps.__all__}
    names |= {f"Trap.{name}" for name in TRAP} | {f"Finding.{name}" for name in FINDING}

    assert {name for name in names if f"pytest_asyncio_traps.{name}" not in documented} == set()
