"""README.rst says what is true."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from .run import Suite

README = Path(__file__).parent.parent / "README.rst"


def blocks(language: str) -> list[str]:
    """The code blocks of README.rst in ``language``."""
    text = README.read_text(encoding="utf-8")
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?: +.*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") for block in found]


def test_the_failing_test_fails_as_shown(suite: Suite) -> None:
    """Line by line, from the code to the advice."""
    suite.write(test_cache=blocks("python")[0])

    outcome = suite.run()

    shown = [line.rstrip() for line in blocks("text")[0].splitlines()[1:]]
    # pytest-asyncio 1.0 closes the loop without cancelling first.
    older, newer = (
        "Its loop was closed while it was pending: it never ends.",
        "It was left for the runner to cancel.",
    )
    assert f"E     {newer}" in shown
    printed = [line.rstrip().replace(older, newer) for line in outcome.result.outlines]
    start = printed.index(shown[1])
    assert printed[start : start + len(shown) - 1] == shown[1:]


def test_the_rules_are_rules(suite: Suite) -> None:
    """The ini file that README.rst shows is accepted."""
    suite.pytester.makeini(blocks("ini")[0])

    assert suite.test("def test_it(): pass").result.ret == 0


def test_the_commands_are_there() -> None:
    """One for the examples, one for the tests; .ci/run takes the second from here."""
    commands = re.findall(r"^   \$ (.*python -m pytest.*)$", README.read_text(), re.MULTILINE)

    assert len([command for command in commands if command.endswith("examples")]) == 1
    assert len([command for command in commands if "[test]" in command]) == 1
