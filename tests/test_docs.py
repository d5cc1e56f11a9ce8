"""Every code block of README.rst and of the documentation is run, or compared to what is printed.

Each page is a story, told in a folder of its own. Files are written to it, commands are run in it,
and output that the page shows has to be what the command prints. Comments in the page (see
``tests/blocks.py``) say what to do with a block:

``.. tests: file NAME``
    Write the block to that file. What stands indented under the order goes above it.
``.. tests: hidden NAME``
    Write what stands indented under the order to that file; readers do not see it.
``.. tests: exit CODE``
    The last command of the block ends with that code, and not with 0.
``.. tests: output``, ``.. tests: output of COMMAND``
    The block is part of what the command before it, or this one, prints: its lines in their order,
    ``...`` for whatever stands between.
``.. tests: run COMMAND``
    Run that command, which readers do not see, and which ends with 0.
``.. tests: shows FILE``
    The block is part of that file.
``.. tests: json of COMMAND``
    The block is what the command writes to ``report.json``, save for versions.
``.. tests: page FILE``
    That test file runs the blocks of this page from here on.
``.. tests: new``
    Begin a new folder.
``.. tests: not run: REASON``
    The block cannot be run here.

A console block needs no order, nor does an example that is cut out of ``tests/scenarios/``, or the
output that follows it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .blocks import Block, Order, blocks_of
from .run import UNSET, Launcher

ROOT = Path(__file__).parent.parent
SCENARIOS = ROOT / "tests" / "scenarios"
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
#: Takes the place of what an installed plugin does by itself, and of the suite's usual ini file.
OPTIONS = (
    *("-p", "asyncio", "-p", "asyncio_traps", "-p", "no:cacheprovider"),
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
)


class Story:
    """A page, block by block."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        self._root = folder
        self._launcher = launcher
        self._count = 0
        self._printed = ""
        self._bad: Block | None = None
        self._over = False
        self._new()

    def tell(self, block: Block) -> None:
        """Do what the orders before ``block`` say."""
        treat: Callable[[], None] | None = None
        code = 0
        for order in block.orders:
            if order.verb == "new":
                self._new()
            elif order.verb == "hidden":
                self._write(order.rest, order.body)
            elif order.verb == "exit":
                code = int(order.rest)
            elif order.verb == "page":
                told_by = (ROOT / "tests" / order.rest).read_text(encoding="utf-8")
                assert block.page.name in told_by, f"{block}: {order.rest} does not read the page"
                self._over = True
            elif order.verb == "run":
                returned = self._run(order.rest)
                assert returned == 0, f"{block}: before it: {self._printed}"
            elif order.verb in ("file", "output", "shows", "json", "not"):
                assert treat is None, f"{block}: two orders"
                treat = self._treatment(block, order)
            else:
                pytest.fail(f"{block}: unknown order {order.text!r}")
        if block.language == "end" or self._over:
            return
        if treat is None:
            treat = self._usual(block, code)
        treat()

    def _treatment(self, block: Block, order: Order) -> Callable[[], None]:
        if order.verb == "file":
            text = f"{order.body}\n\n\n{block.text}" if order.body else block.text
            return lambda: self._write(order.rest, text)
        if order.verb == "output":
            return lambda: self._compare(block, order.rest.removeprefix("of "))
        if order.verb == "shows":
            return lambda: compare(block, block.text, self._read(order.rest))
        if order.verb == "json":
            return lambda: self._compare_json(block, order.rest.removeprefix("of "))
        reason = order.text.removeprefix("not run: ")
        assert len(reason.split()) > 2, f"{block}: 'not run' needs a reason"
        return lambda: None

    def _usual(self, block: Block, code: int) -> Callable[[], None]:
        if block.language == "console":
            return lambda: self._run_all(block, code)
        if block.source is not None and block.source.parent == SCENARIOS:
            return lambda: self._scenario(block)
        if block.language == "text" and self._bad is not None:
            return lambda: self._compare_scenario(block)
        pytest.fail(f"{block}: there is no order what to do with it; see tests/test_docs.py")

    # -- what is done -------------------------------------------------------

    def _new(self) -> None:
        self._count += 1
        self._folder = self._root / f"story{self._count}"
        self._folder.mkdir()

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")

    def _run(self, command: str) -> int:
        words = shlex.split(command)
        if words[0] == "git":
            subprocess.run(["git", "init", "-q"], cwd=self._folder, check=True)
            done = subprocess.run(
                words, cwd=self._folder, check=False, capture_output=True, text=True
            )
            self._printed = done.stdout + done.stderr
            return done.returncode
        for start in (["python", "-m", "pytest"], ["pytest"]):
            if words[: len(start)] == start:
                words[: len(start)] = OPTIONS
                break
        else:
            pytest.fail(f"{command}: cannot be run here")
        env = {name: value for name, value in os.environ.items() if name not in UNSET}
        result = self._launcher.run(self._folder, words, env)
        self._printed = f"{result.stdout}\n{result.stderr}\n"
        assert "a fault of" not in self._printed, self._printed
        return int(result.ret)

    def _run_all(self, block: Block, code: int) -> None:
        commands = re.sub(r"\\\n *", "", block.text).splitlines()
        for command in commands:
            assert command.startswith("$ "), f"{block}: {command!r} is no command"
            returned = self._run(command.removeprefix("$ "))
            assert returned == (code if command == commands[-1] else 0), self._printed

    def _compare(self, block: Block, command: str) -> None:
        if command:
            self._run(command)
        compare(block, block.text, self._printed)

    def _compare_json(self, block: Block, command: str) -> None:
        self._run(f"{command} --asyncio-traps-report=report.json")
        printed = json.loads(self._read("report.json"))
        shown: dict[str, Any] = json.loads(block.text)
        for name in ("tool", "python", "pytest"):
            assert type(shown.pop(name)) is type(printed.pop(name)), f"{block}: {name}"
        assert shown == printed

    # -- the pages of the kinds ---------------------------------------------

    def _scenario(self, block: Block) -> None:
        """``tests/test_scenarios.py`` runs each test of the file; this is to be one of them."""
        name = "test_" + block.section.replace(" ", "_")
        assert re.search(rf"^(async )?def {name}\(", block.text, re.MULTILINE), block
        if block.section.startswith("bad"):
            self._bad = block

    def _compare_scenario(self, block: Block) -> None:
        """What the page says the plugin prints of its last bad example."""
        bad = self._bad
        assert bad is not None
        assert bad.source is not None
        named = re.search(r"\b(test_\w+\.py):\d", block.text)
        name = named[1] if named else "test_it.py"
        shutil.copy(bad.source, self._folder / name)
        kind = bad.source.stem.replace("_", "-")
        test = "test_" + bad.section.replace(" ", "_")
        self._run(f"pytest {name}::{test} --asyncio-traps=fail:{kind}")
        compare(block, block.text, self._printed)


def compare(block: Block, shown: str, printed: str) -> None:
    """What the page shows is part of what was printed."""
    lines = [alike(line) for line in printed.splitlines()]
    wanted = [alike(line) for line in shown.strip("\n").splitlines()]
    start = -1
    while True:
        start = _find(lines, start + 1, wanted[0])
        assert start >= 0, f"{block}: this was not printed:\n{shown}\n-- but this:\n{printed}"
        if _matches(lines[start:], wanted):
            return


def _find(lines: list[str], start: int, wanted: str) -> int:
    found = (n for n in range(start, len(lines)) if _fits(wanted, lines[n]))
    return next(found, -1)


def _matches(lines: list[str], wanted: list[str]) -> bool:
    """Whether ``lines`` begin with ``wanted``, of which ``...`` is any number of lines."""
    if not wanted:
        return True
    if wanted[0].strip() == "...":
        return any(_matches(lines[n:], wanted[1:]) for n in range(len(lines) + 1))
    return bool(lines) and _fits(wanted[0], lines[0]) and _matches(lines[1:], wanted[1:])


def _fits(wanted: str, line: str) -> bool:
    return re.fullmatch(re.escape(wanted).replace(r"\.\.\.", ".*"), line) is not None


def alike(line: str) -> str:
    """``line`` without what differs from run to run, and from machine to machine."""
    line = re.sub(r"^([=_])\1* (.*?) \1+$", r"\2", line.rstrip())
    # pytest-asyncio 1.0 closes the loop without cancelling first.
    line = re.sub(
        "Its loop was closed while.*",
        "Still pending when its loop was shut down; the runner cancelled it.",
        line,
    )
    line = re.sub(r"'Thread-\d+ ", "'Thread-N ", line)
    # Task trees.
    line = re.sub(r"\bTask-\d+", "Task-N", line)
    line = re.sub(r"\b\d+\.\d s( or more| left\)|$)", r"some time\1", line)
    line = re.sub(r" in \d+\.\d+s\b.*", "", line)
    return re.sub(r"\b\d+\.\d{3} s\b", "some time", line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_is_true(page: Path, tmp_path: Path, launcher: Launcher) -> None:
    """From its first block to its last."""
    story = Story(tmp_path, launcher)
    for block in blocks_of(page):
        story.tell(block)


def test_no_block_is_overlooked() -> None:
    """What Sphinx would highlight, by another way of looking for it."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        count = len(re.findall(r"^ *\.\. (?:code-block|code|literalinclude)::", text, re.MULTILINE))
        found = [block for block in blocks_of(page) if block.language not in ("", "end")]
        assert len(found) == count, page


def test_a_difference_is_noticed(tmp_path: Path, launcher: Launcher) -> None:
    """Output that a page only claims, an unknown order, and a block without one."""
    page = tmp_path / "page.rst"

    def tell(text: str) -> None:
        page.write_text(text, encoding="utf-8")
        folder = tmp_path / f"folder{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        story = Story(folder, launcher)
        for block in blocks_of(page):
            story.tell(block)

    test = ".. tests: file test_it.py\n\n.. code-block:: python\n\n    def test_it(): ...\n\n"
    tell(f"{test}.. tests: output of pytest\n\n.. code-block:: text\n\n    1 passed in 0.01s\n")
    for text in (
        f"{test}.. tests: output of pytest\n\n.. code-block:: text\n\n    2 passed in 0.01s\n",
        ".. code-block:: python\n\n    pass\n",
        ".. tests: play\n\n.. code-block:: python\n\n    pass\n",
        "Text::\n\n    pass\n",
        ".. code-block:: console\n\n    $ pytest --no-such-option\n",
        ".. tests: not run: no\n\n.. code-block:: python\n\n    pass\n",
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            tell(text)
