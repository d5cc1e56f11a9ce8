"""Checks that a tag is ready to be released: `python tests/check_release.py v0.1.0`."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What is missing before ``tag`` can be released."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (root / "docs/changelog.rst").read_text(encoding="utf-8")
    found = []
    if tag != f"v{project['version']}":
        found.append(f"the tag is {tag}, but the version in pyproject.toml is {project['version']}")
    latest = re.search(r"^(\S+) \((.*)\)\n-+$", changelog, re.MULTILINE)
    if latest is None or latest[1] != project["version"]:
        found.append(f"docs/changelog.rst does not begin with {project['version']}")
    elif not re.fullmatch(r"\d{4}-\d\d-\d\d", latest[2]):
        found.append(f"docs/changelog.rst has no date for {project['version']}")
    fragments = sorted({p.name for p in (root / "newsfragments").glob("*.rst")} - {"README.rst"})
    if fragments:
        found.append(f"not yet in docs/changelog.rst: {', '.join(fragments)}")
    return found


if __name__ == "__main__":
    (tag,) = sys.argv[1:]
    sys.exit("\n".join(problems(tag)) or 0)
