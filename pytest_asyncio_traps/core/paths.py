"""Classifies code by the path of its file and by where Python and packages are installed."""

from __future__ import annotations

import asyncio
import os
import sys
import unittest
from collections.abc import Iterable, Mapping
from site import getsitepackages
from typing import Final, NamedTuple

# The kinds of code, in the order that comparisons rely on: the closer to the user, the higher.
# BOUNDARY is pluggy: all user code runs inside a hook call, so frames outside of that call belong
# to the code that runs pytest.
BOUNDARY: Final = -1
ASYNCIO: Final = 0
STDLIB: Final = 1
HARNESS: Final = 2
LIBRARY: Final = 3
USER: Final = 4

#: The folder of the plugin, spelled as in ``co_filename`` of its code objects.
PLUGIN: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep

#: Packages, and modules of packages, that run tests. Objects that they create are not the user's.
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

#: Kinds of roots: a folder of installed packages, and the standard library.
_SITE: Final = 10
_PYTHON: Final = 11

#: Parts of a path that mark a folder of installed packages, wherever it lies.
_SEGMENTS: Final = ("/site-packages/", "/dist-packages/")


class Roots(NamedTuple):
    """Folders and the kind of code in each.

    Keys of ``kinds`` use forward slashes and end in one. They are in lower case if
    ``ignores_case``, that is, if the file system ignores the case of names.
    """

    kinds: Mapping[str, int]
    ignores_case: bool = False

    def classify(self, path: str) -> int:
        """The kind of code in the file ``path``, an absolute path without symbolic links.

        The innermost of the folders that contain ``path`` decides: a virtual environment may lie
        in a project, site-packages in the standard library, and both in a prefix. A file in none
        of the folders is the user's own.
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
            # CPython's own tests count as user code.
            return USER if rest.startswith("test/") else STDLIB
        return kind


def normal(path: str, ignores_case: bool) -> str:
    """``path`` as in `Roots`: with forward slashes, and in lower case if ``ignores_case``."""
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

    ``pythons`` are the folders of the standard library, ``sites`` those of installed packages. On
    Windows, `site` lists the ``prefixes`` among the latter. They are skipped: no packages are
    installed there, but a project may lie there. ``runners`` are the folders of packages that may
    lie elsewhere, such as those of pytest in a checkout of pytest.
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
        # Importing sysconfig would take longer than importing this whole package.
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
