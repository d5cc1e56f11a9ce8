"""Whose code a file holds, on systems that are not at hand."""

from __future__ import annotations

import pytest

from pytest_asyncio_traps.core.paths import (
    ASYNCIO,
    BOUNDARY,
    HARNESS,
    LIBRARY,
    STDLIB,
    USER,
    Roots,
    roots_of,
)


def layout(
    stdlib: str,
    *sites: str,
    prefixes: tuple[str, ...] = (),
    pythons: tuple[str, ...] = (),
    plugin: str = "",
    ignores_case: bool = False,
    runners: dict[str, int] | None = None,
) -> Roots:
    """An interpreter with its standard library in ``stdlib`` and packages in ``sites``."""
    return roots_of(
        plugin=plugin or f"{sites[-1]}/pytest_asyncio_traps",
        asyncio=f"{stdlib}/asyncio",
        unittest=f"{stdlib}/unittest",
        pythons=(stdlib, *pythons),
        sites=sites,
        prefixes=prefixes,
        runners=runners,
        ignores_case=ignores_case,
    )


#: For each layout: its roots, the folder of the standard library, of packages, and a project's.
LAYOUTS = {
    "linux": (
        layout("/usr/lib/python3.13", "/usr/lib/python3.13/site-packages"),
        *("/usr/lib/python3.13", "/usr/lib/python3.13/site-packages", "/home/me/project"),
    ),
    "venv in the project": (
        layout("/usr/lib/python3.13", "/home/me/project/.venv/lib/python3.13/site-packages"),
        *("/usr/lib/python3.13", "/home/me/project/.venv/lib/python3.13/site-packages"),
        "/home/me/project",
    ),
    "project in the venv": (
        layout("/usr/lib/python3.13", "/home/me/env/lib/python3.13/site-packages"),
        *("/usr/lib/python3.13", "/home/me/env/lib/python3.13/site-packages"),
        "/home/me/env/src/project",
    ),
    "debian": (
        layout(
            "/usr/lib/python3.13",
            "/usr/local/lib/python3.13/dist-packages",
            "/usr/lib/python3/dist-packages",
        ),
        *("/usr/lib/python3.13", "/usr/lib/python3/dist-packages", "/srv/project"),
    ),
    "user site": (
        layout("/usr/lib/python3.13", "/usr/lib/python3.13/site-packages"),
        *("/usr/lib/python3.13", "/home/me/.local/lib/python3.13/site-packages"),
        "/home/me/project",
    ),
    "conda": (
        layout("/opt/conda/lib/python3.13", "/opt/conda/lib/python3.13/site-packages"),
        *("/opt/conda/lib/python3.13", "/opt/conda/lib/python3.13/site-packages"),
        "/opt/conda/project",
    ),
    "macOS framework": (
        layout(
            "/Library/Frameworks/Python.framework/Versions/3.13/lib/python3.13",
            "/Library/Frameworks/Python.framework/Versions/3.13/lib/python3.13/site-packages",
            ignores_case=True,
        ),
        "/Library/Frameworks/Python.framework/Versions/3.13/lib/python3.13",
        "/Library/Frameworks/Python.framework/Versions/3.13/lib/python3.13/site-packages",
        "/Users/me/project",
    ),
    "homebrew": (
        layout(
            "/opt/homebrew/Cellar/python@3.13/3.13.0/Frameworks/Python.framework/lib/python3.13",
            "/opt/homebrew/lib/python3.13/site-packages",
            ignores_case=True,
        ),
        "/opt/homebrew/Cellar/python@3.13/3.13.0/Frameworks/Python.framework/lib/python3.13",
        *("/opt/homebrew/lib/python3.13/site-packages", "/Users/me/project"),
    ),
    "windows": (
        layout(
            r"C:\Python313\Lib",
            *("C:\\Python313", r"C:\Python313\Lib\site-packages"),
            prefixes=("C:\\Python313",),
            ignores_case=True,
        ),
        *(r"C:\Python313\Lib", r"C:\Python313\Lib\site-packages", r"D:\work\project"),
    ),
    "windows, project in the prefix": (
        layout(
            r"C:\Python313\Lib",
            *("C:\\Python313", r"C:\Python313\Lib\site-packages"),
            prefixes=("C:\\Python313",),
            ignores_case=True,
        ),
        *(r"C:\Python313\Lib", r"C:\Python313\Lib\site-packages", r"C:\Python313\project"),
    ),
    "windows, venv in the project": (
        layout(
            r"C:\Python313\Lib",
            *(r"D:\project\.venv", r"D:\project\.venv\Lib\site-packages"),
            prefixes=(r"D:\project\.venv", "C:\\Python313"),
            ignores_case=True,
        ),
        *(r"C:\Python313\Lib", r"D:\project\.venv\Lib\site-packages", r"D:\project"),
    ),
    "windows, other case": (
        layout(
            r"c:\python313\lib",
            *(r"c:\python313", r"c:\python313\lib\site-packages"),
            prefixes=(r"C:\PYTHON313",),
            ignores_case=True,
        ),
        *(r"C:\Python313\Lib", r"C:\Python313\Lib\Site-Packages", r"C:\Work\Project"),
    ),
    "zipped standard library": (
        layout(
            r"C:\embedded\python313.zip",
            *("C:\\embedded", r"C:\embedded\site-packages"),
            prefixes=("C:\\embedded",),
            ignores_case=True,
        ),
        *(r"C:\embedded\python313.zip", r"C:\embedded\site-packages", r"C:\embedded\app"),
    ),
    "zipapp with packages": (
        layout("/usr/lib/python3.13", "/usr/lib/python3.13/site-packages"),
        *("/usr/lib/python3.13", "/srv/app.pyz/site-packages", "/srv/app.pyz"),
    ),
}

INSTALLED = {
    "somelib/core.py": LIBRARY,
    "single.py": LIBRARY,
    "pluggy/_callers.py": BOUNDARY,
    "_pytest/python.py": HARNESS,
    "pytest/__init__.py": HARNESS,
    "pytest_asyncio/plugin.py": HARNESS,
    "pytest_asyncio_traps/core/watch.py": HARNESS,
    "pytest_asyncio_traps_loader/entry.py": HARNESS,
    "anyio/pytest_plugin.py": HARNESS,
    "anyio/abc/_tasks.py": LIBRARY,
    "pytest_of_mine/plugin.py": LIBRARY,
    "asyncio/events.py": LIBRARY,
}
PYTHONS = {
    "asyncio/events.py": ASYNCIO,
    "asyncio_of_mine.py": STDLIB,
    "unittest/async_case.py": HARNESS,
    "collections/__init__.py": STDLIB,
    "test/test_asyncio/test_tasks.py": USER,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str) -> None:
    """The innermost root counts, whatever else a path lies in."""
    roots, stdlib, site, project = LAYOUTS[name]
    slash = "\\" if "\\" in stdlib else "/"

    def of(folder: str, files: dict[str, int]) -> dict[str, int]:
        return {file: roots.classify(slash.join([folder, *file.split("/")])) for file in files}

    assert of(site, INSTALLED) == INSTALLED
    assert of(stdlib, PYTHONS) == PYTHONS
    files = ("app.py", "src/somelib/core.py", "tests/test_it.py", "asyncio/events.py")
    assert of(project, dict.fromkeys(files, USER)) == dict.fromkeys(files, USER)


def test_an_editable_installation_is_the_users_own() -> None:
    """What is installed from a checkout lies there, and nowhere in site-packages."""
    roots = layout("/usr/lib/python3.13", "/env/lib/python3.13/site-packages")

    assert roots.classify("/home/me/somelib/src/somelib/core.py") == USER


def test_pytest_from_a_checkout() -> None:
    """pytest's own suite runs on the pytest that it tests."""
    roots = layout(
        "/usr/lib/python3.13",
        "/env/lib/python3.13/site-packages",
        runners={"/home/me/pytest/src/_pytest": HARNESS, "/home/me/pluggy/src/pluggy": BOUNDARY},
    )

    assert roots.classify("/home/me/pytest/src/_pytest/python.py") == HARNESS
    assert roots.classify("/home/me/pytest/testing/test_collection.py") == USER
    assert roots.classify("/home/me/pluggy/src/pluggy/_callers.py") == BOUNDARY


def test_case_matters_where_it_does() -> None:
    roots = layout("/usr/lib/python3.13", "/usr/lib/python3.13/site-packages")

    assert roots.classify("/USR/lib/python3.13/collections.py") == USER
    assert roots.classify("/usr/lib/python3.13/a\\b.py") == STDLIB


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_sites_is_of_no_account(order: int) -> None:
    """`site` once was a set, whose order depends on the hash seed."""
    sites = ("/env", "/env/lib/site-packages")[::order]
    roots = layout("/usr/lib/python3.13", *sites, plugin="/env/lib/site-packages/plugin")

    assert roots.classify("/env/lib/site-packages/pluggy/_callers.py") == BOUNDARY
