"""The commands of README.rst that .ci/run relies on. What else it shows is run by test_docs.py."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.rst"


def test_the_commands_are_there() -> None:
    """One for the examples, one for the tests; .ci/run takes the second from here."""
    commands = re.findall(r"^   \$ (.*python -m pytest.*)$", README.read_text(), re.MULTILINE)

    assert len([command for command in commands if command.endswith("examples")]) == 1
    assert len([command for command in commands if "--group test" in command]) == 1


def test_the_command_brings_its_own_pip() -> None:
    """The pip of a new environment is older than --group up to Python 3.13."""
    (command,) = re.findall(r"^   \$ (.*--group test.*)$", README.read_text(), re.MULTILINE)

    assert "pip install -q -U pip" in command.partition("--group")[0]
