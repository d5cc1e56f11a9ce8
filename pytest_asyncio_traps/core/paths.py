"""What kind of code a file holds: a pure function of its path and of where things are installed."""

from __future__ import annotations

import asyncio
import os
import sys
import unittest
from collections.abc import Iterable, Mapping
from site import getsitepackages
from typing import Final, NamedTuple

# The more a user's own, the higher. pluggy is a boundary: every piece of a user's code runs inside
# of some hook call, so frames outside of it belong to the code that runs pytest.
BOUNDARY: Final = -1
ASYNCIO: Final = 0
STDLIB: Final = 1
HARNESS: Final = 2
LIBRARY: Final = 3
USER: Final = 4

#: The folder of the plugin's own code, as its code objects name it.
PLUGIN: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep

#: Packages, and modules of packages, that run other people's tests: what they make is not the
#: user's.
_HARNESS: Final = (
    "_pytest",
    "pytest",
    "pytest_asyncio",
    "pytest_asyncio_traps",
    "pytest_asyncio_traps_loader",
    "xdist",
    "execnet",
    "pytest_timeout",
    "pytest_rerunfailures",
    "pytest_cov",
    "pytest_trio",
    "pytest_tornasync",
    "pytest_aiohttp",
    "aiohttp/pytest_plugin.py",
    "aiohttp/test_utils.py",
    "anyio/pytest_plugin.py",
    "anyio/abc/_testing.py",
    "tornado/testing.py",
    "coverage",
)

#: A root whose packages are installed ones, and one that is the standard library's.
_SITE: Final = 10
_PYTHON: Final = 11

#: Folders of installed packages, wherever they lie.
_SEGMENTS: Final = ("/site-packages/", "/dist-packages/")


class Roots(NamedTuple):
    """Folders, each with the kind of code in it, and whether case matters in their names.

    Folders end in a slash, are written with slashes, and in lower case where that does not matter.
    """

    kinds: Mapping[str, int]
    ignores_case: bool = False

    def classify(self, path: str) -> int:
        """The kind of code in the file ``path``, which is absolute and has no links in it.

        Of the folders that it lies in, the innermost counts: a virtual environment may lie in a
        project, site-packages in the standard library, and both of them in a prefix. What lies in
        none of them is the user's own.
        """
        path = normal(path, self.ignores_case)
        root = max(filter(path.startswith, self.kinds), key=len, default="")
        kind = self.kinds.get(root, USER)
        for segment in _SEGMENTS:
            before, found, _ = path.rpartition(segment)
            if found and len(before) + len(found) >= len(root):
                root, kind = before + found, _SITE
        rest = path[len(root) :]
        if kind == _SITE:
            if rest.startswith("pluggy/"):
                return BOUNDARY
            harness = any(rest == name or rest.startswith(name + "/") for name in _HARNESS)
            return HARNESS if harness else LIBRARY
        if kind == _PYTHON:
            # CPython's own tests count as a user's.
            return USER if rest.startswith("test/") else STDLIB
        return kind


def normal(path: str, ignores_case: bool) -> str:
    """``path`` as `Roots` has them: with slashes, and in lower case where that does not matter."""
    path = path.replace("\\", "/") if "\\" in path and (ignores_case or path[1:2] == ":") else path
    return path.lower() if ignores_case else path


def roots_of(
    *,
    plugin: str,
    asyncio: str,
    unittest: str,
    pythons: Iterable[str],
    sites: Iterable[str],
    prefixes: Iterable[str] = (),
    runners: Mapping[str, int] | None = None,
    ignores_case: bool = False,
) -> Roots:
    """The roots of an interpreter.

    ``sites`` are the folders of installed packages. On Windows `site` names the ``prefixes`` among
    them; no package is installed there, but a project may well lie there, so they do not count.
    ``runners`` are packages that may lie elsewhere: pytest's own, in a checkout of pytest.
    """

    def folder(path: str) -> str:
        return normal(path, ignores_case).rstrip("/") + "/"

    skipped = {folder(path) for path in prefixes}
    kinds: dict[str, int] = {}
    for path in filter(None, sites):
        if folder(path) not in skipped:
            kinds[folder(path)] = _SITE
    kinds |= {folder(path): _PYTHON for path in pythons if path}
    kinds |= {folder(path): kind for path, kind in (runners or {}).items()}
    kinds[folder(unittest)] = HARNESS
    kinds[folder(asyncio)] = ASYNCIO
    kinds[folder(plugin)] = HARNESS
    return Roots(kinds, ignores_case)


def _real(path: str | None) -> str:
    return os.path.realpath(path) if path else ""


def _here() -> Roots:
    """The roots of this interpreter."""
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    runners = {}
    for name, kind in (("pluggy", BOUNDARY), ("_pytest", HARNESS)):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            runners[_real(os.path.dirname(file))] = kind
    return roots_of(
        plugin=_real(os.path.dirname(os.path.dirname(__file__))),
        asyncio=_real(os.path.dirname(asyncio.__file__)),
        unittest=_real(os.path.dirname(unittest.__file__)),
        # Not by sysconfig, whose import takes longer than all of this package's.
        pythons=(
            _real(os.path.dirname(os.__file__)),
            _real(os.path.join(sys.base_exec_prefix, sys.platlibdir, python)),
        ),
        sites=map(_real, getsitepackages()),
        prefixes=map(_real, {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}),
        runners=runners,
        ignores_case=sys.platform in ("win32", "darwin"),
    )


#: The roots of this interpreter.
HERE: Final = _here()
