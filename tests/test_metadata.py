"""What surrounds the package: its metadata, the changelog, the hooks and the forms for issues."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import check_release

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
FORMS = sorted(
    path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)


def test_the_versions_of_python_are_the_same_everywhere() -> None:
    """In the classifiers, ``requires-python``, tox, CI, and the workflow that releases."""
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert found == [f"3.{minor}" for minor in range(11, 11 + len(found))]
    assert PROJECT["requires-python"] == f">={found[0]}"

    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    minors = ",".join(version.replace(".", "") for version in found)
    assert tox["tox"]["env_list"].startswith(f"py{{{minors}}}, ")
    script = (ROOT / ".ci/run").read_text(encoding="utf-8") if (ROOT / ".ci").is_dir() else None
    assert script is None or f"case $version in {' | '.join(found)})" in script
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    python = next(step for step in release["jobs"]["checks"]["steps"] if "python" in str(step))
    assert python["with"]["python-version"].split() == found


def test_the_names_are_the_same_everywhere() -> None:
    """The developers have one collective name."""
    assert PROJECT["authors"] == PROJECT["maintainers"]
    (developers,) = PROJECT["maintainers"]
    for path in ("LICENSE", "docs/conf.py"):
        assert developers["name"] in (ROOT / path).read_text(encoding="utf-8")


def test_extras_are_for_users() -> None:
    """What only developers need is in a group, which no index publishes."""
    assert list(PROJECT["optional-dependencies"]) == ["html"]
    groups = PYPROJECT["dependency-groups"]
    included = [part["include-group"] for part in groups["dev"]]
    assert included == [name for name in groups if name != "dev"]


def test_the_changelog_has_one_section_per_release() -> None:
    """The first is the version of the package."""
    text = (ROOT / "docs/changelog.rst").read_text(encoding="utf-8")
    titles = re.findall(r"^(\S+) \((?:unreleased|\d{4}-\d\d-\d\d)\)\n-+$", text, re.MULTILINE)

    assert titles[0] == PROJECT["version"]
    assert len(set(titles)) == len(titles) == len(re.findall(r"^---+$", text, re.MULTILINE))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that is ready to release 1.2.0."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "newsfragments").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "newsfragments/README.rst").write_text("Newsfragments")
    (tmp_path / "docs/changelog.rst").write_text(
        "Changelog\n=========\n\n1.2.0 (2026-12-01)\n------------------\n\nIt is better.\n"
    )
    return tmp_path


def test_a_release_is_ready(root: Path) -> None:
    assert check_release.problems("v1.2.0", root) == []


def test_a_release_is_not_ready(root: Path) -> None:
    """Each problem is named, all of them at once."""
    (root / "newsfragments/+faster.feature.rst").write_text("It is faster.")
    changelog = root / "docs/changelog.rst"
    changelog.write_text(changelog.read_text().replace("2026-12-01", "unreleased"))

    assert check_release.problems("v1.3.0", root) == [
        "the tag is v1.3.0, but the version in pyproject.toml is 1.2.0",
        "docs/changelog.rst has no date for 1.2.0",
        "not yet in docs/changelog.rst: +faster.feature.rst",
    ]
    changelog.write_text(changelog.read_text().replace("1.2.0", "1.1.0"))
    assert "docs/changelog.rst does not begin with 1.2.0" in check_release.problems("v1.2.0", root)


def test_hooks_are_checks_of_ci() -> None:
    """Each command is one of ``.ci/run``'s, with tools from the environment of the developer."""
    if not (ROOT / ".ci").is_dir():
        pytest.skip("the sdist has no .ci/run")
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repo,) = config["repos"]

    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        assert hook["language"] == "system"
        command = hook["entry"].removesuffix(" --force-exclude")
        assert re.search(rf"^{command}\b", script, re.MULTILINE), command


def elements(form: Path) -> dict[str, Any]:
    """What a form asks for, by id."""
    data = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert set(data) <= {"name", "description", "title", "labels", "body"}
    assert isinstance(data["name"], str)
    assert isinstance(data["description"], str)
    asked = [element for element in data["body"] if element["type"] != "markdown"]
    labels = [element["attributes"]["label"] for element in asked]
    assert len(set(labels)) == len(labels)
    found = {element["id"]: element for element in asked}
    assert len(found) == len(asked)
    return found


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_is_valid(form: Path) -> None:
    """GitHub does not show a form that has a fault."""
    for element in elements(form).values():
        assert set(element) <= {"type", "id", "attributes", "validations"}
        assert element["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        attributes = element["attributes"]
        assert ("options" in attributes) == (element["type"] in {"dropdown", "checkboxes"})
        assert "render" not in attributes or element["type"] == "textarea"
        assert all(isinstance(attributes.get(key, ""), str) for key in ("label", "description"))


def test_a_false_alarm_is_reported_with_all_that_it_needs() -> None:
    (form,) = (path for path in FORMS if "false-alarm" in path.name)
    asked = elements(form)
    required = {
        name
        for name, element in asked.items()
        if element.get("validations", {}).get("required") is True
    }

    assert required >= {"finding", "why", "test", "json", "without", "versions", "runner"}
    assert "--asyncio-traps-report=traps.json" in asked["json"]["attributes"]["description"]
    assert "-p no:asyncio_traps" in asked["without"]["attributes"]["description"]
