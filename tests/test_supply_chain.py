"""What the package may do to the machine that it runs on, and how its releases are made."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pytest_asyncio_traps"
LOADER = ROOT / "pytest_asyncio_traps_loader"
MODULES = sorted([*PACKAGE.rglob("*.py"), *LOADER.rglob("*.py")])

#: Beside the standard library: what the plugin is made for, or looks at where it is there.
OTHERS = {"pytest", "_pytest", "pluggy", "pytest_asyncio", "uvloop", "xdist", "anyio", "tornado"}
OTHERS |= {"pytest_asyncio_traps", "pytest_asyncio_traps_loader"}
#: A page is made of a template, which escapes what it is given.
OTHERS |= {"jinja2", "markupsafe"}

#: Parts of the standard library that talk to others, run what they are given, or leave files.
FORBIDDEN = {
    "cffi", "code", "codeop", "copyreg", "ctypes", "dbm", "dill", "ftplib", "http", "imaplib",
    "marshal", "multiprocessing", "pdb", "pickle", "pip", "poplib", "pty", "requests", "runpy",
    "shelve", "smtplib", "socketserver", "tempfile", "urllib", "venv", "webbrowser", "wsgiref",
    "xmlrpc", "zipimport",
}  # fmt: skip

#: Parts of these that do nothing of the kind: they take an address apart, and quote it.
HARMLESS = {"urllib.parse"}

#: What is imported to be hooked, and which of its functions may be called.
HOOKED = {"socket": {"inet_pton"}, "subprocess": set(), "select": set()}

CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
OS_CALLS = re.compile(r"os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork\w*|startfile|kill)$")
WRITES = re.compile(r".*\.(write_text|write_bytes|touch|mkdir|symlink_to|hardlink_to|rmdir)$")


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 40


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported, by their full names, without those of the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module is not None
            yield node.module


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """What is called by a name, with dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module(path: Path) -> None:
    """No network, no code from text, no pickle, no temporary file, no other program."""
    tree = tree_of(path)
    for name in imports(tree):
        top = name.partition(".")[0]
        assert top not in FORBIDDEN or name in HARMLESS, name
        assert top in sys.stdlib_module_names | OTHERS, name
    for name, call in calls(tree):
        where = f"{path}:{call.lineno}: {name}"
        assert name.removeprefix("builtins.") not in CALLS, where
        assert not OS_CALLS.match(name), where
        assert not WRITES.match(name), where
        module, _, function = name.rpartition(".")
        if module in HOOKED:
            assert function in HOOKED[module], where
        if any(keyword.arg == "shell" for keyword in call.keywords):
            pytest.fail(where)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_place_writes_files(path: Path) -> None:
    """Whole, beside the file, under a name that nobody can guess, and never over what is there."""
    writing = path == PACKAGE / "model" / "files.py"
    for name, call in calls(tree_of(path)):
        text = ast.unparse(call)
        if name in {"open", "io.open", "os.open", "os.fdopen"} or name.endswith(".open"):
            opens_to_write = re.search(r"O_(CREAT|WRONLY|RDWR|APPEND)|['\"][rbt]*[wax+]", text)
            assert writing or not opens_to_write, f"{path}:{call.lineno}: {text}"
    if writing:
        text = path.read_text(encoding="utf-8")
        assert "O_EXCL" in text
        assert "secrets.token_hex(8)" in text


def requirements() -> dict[str, list[str]]:
    """Without the groups that a group includes, which are there themselves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {
        f"group {name}": [part for part in parts if isinstance(part, str)]
        for name, parts in project["dependency-groups"].items()
    }
    return {
        "dependencies": project["project"]["dependencies"],
        **project["project"]["optional-dependencies"],
        **groups,
        "build": project["build-system"]["requires"],
    }


@pytest.mark.parametrize("group", requirements())
def test_dependencies_are_bounded(group: str) -> None:
    """Each has the lowest version with which it works, from a registry and not from an address."""
    for requirement in requirements()[group]:
        assert re.match(r"[a-z0-9-]+(\[[a-z,]+\])?>=[0-9][0-9.a-z]*(; .*)?$", requirement), (
            requirement
        )


def test_each_dependency_has_a_reason() -> None:
    """`CONTRIBUTING.rst` names it."""
    text = (ROOT / "CONTRIBUTING.rst").read_text(encoding="utf-8")
    for group in requirements().values():
        for requirement in group:
            name = re.split(r"[\[>;]", requirement)[0]
            assert f"* {name}:" in text or name in text, f"{name} has no reason"


WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def workflow(path: Path) -> dict[str, Any]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_its_actions(path: Path) -> None:
    """To a commit, since a tag can be moved, with the version beside it for the reader."""
    uses = re.findall(r"uses: *(.*)", path.read_text(encoding="utf-8"))
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_secret(path: Path) -> None:
    """It names the rights of each job, leaves none behind in the clone, and expands no text."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"secrets\.|password:|token:(?! write)|\$\{\{|pull_request_target", text)
    data = workflow(path)
    assert data["permissions"] == {}
    for name, job in data["jobs"].items():
        assert set(job["permissions"]) <= {"contents", "id-token"}, name
        assert job["permissions"].get("contents", "read") == "read", name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


def test_what_is_published_was_checked() -> None:
    """The job that can publish runs no command, and takes what another job has built."""
    jobs = workflow(ROOT / ".github/workflows/release.yml")["jobs"]
    runs = {name: [step.get("run") for step in job["steps"]] for name, job in jobs.items()}
    (publish,) = (name for name, job in jobs.items() if "id-token" in job["permissions"])

    assert jobs[publish]["needs"] == ["checks", "build"]
    assert jobs[publish]["environment"]["name"] == "pypi"
    assert runs[publish] == [None, None]
    assert jobs[publish]["steps"][-1]["with"]["attestations"] is True
    assert runs["checks"][-1] == ".ci/run --all"
    assert runs["build"][-3:-1] == [
        'python tests/check_release.py "$GITHUB_REF_NAME"',
        "python tests/check_package.py dist",
    ]
    for step in (jobs["build"]["steps"][-1], jobs[publish]["steps"][0]):
        assert (step["with"]["name"], step["with"]["path"]) == ("distributions", "dist/")
