"""What docs/ci.rst shows is what its readers can use."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .run import Suite

PAGE = Path(__file__).parent.parent / "docs" / "ci.rst"


def blocks(language: str) -> list[str]:
    """The code blocks of the page in ``language``."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?: +.*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in found]


def block(name: str, language: str) -> str:
    """The code block whose first line names the file that it is."""
    (found,) = (b for b in blocks(language) if b.splitlines()[0].split()[-1] == name)
    return found


def steps(name: str) -> list[Any]:
    """The steps of a file for a service."""
    data = yaml.safe_load(block(name, "yaml"))
    if "jobs" in data:
        (job,) = data["jobs"].values()
        return list(job["steps"])
    if "steps" in data:
        return list(data["steps"])
    return [{"run": line} for line in data["tests"]["script"]]


def commands() -> Iterator[str]:
    """Each call of pytest that the page shows."""
    for line in blocks("console"):
        yield line.removeprefix("$ ").replace("\\\n", "")
    for name in (".github/workflows/tests.yml", ".gitlab-ci.yml", "azure-pipelines.yml"):
        for step in steps(name):
            yield step.get("run") or step.get("script") or ""
    for step in steps(".circleci/config.yml"):
        yield step["run"] if isinstance(step, dict) and "run" in step else ""
    for text in re.findall(r"""sh '+([^']+)'""", block("Jenkinsfile", "groovy")):
        yield text.replace("\\\n", "")
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string(block("tox.ini", "ini"))
    yield ini["testenv"]["commands"].replace("{env_tmp_dir}", ".").replace("{posargs}", "")
    toml = tomllib.loads(block("tox.toml", "toml"))
    (command,) = toml["env_run_base"]["commands"]
    yield shlex.join(part for part in command if isinstance(part, str)).replace(
        "{env_tmp_dir}", "."
    )


PYTEST = sorted({c.strip() for c in commands() if re.match(r"\S*pytest\s", c.strip())})


def test_there_are_commands() -> None:
    """One for the reader, and one in each snippet."""
    assert sum(bool(re.match(r"\S*pytest\s", c.strip())) for c in commands()) == 8


@pytest.mark.parametrize("command", PYTEST)
def test_each_command_runs(suite: Suite, command: str) -> None:
    """And writes the files that it names, also when a test fails."""
    suite.write(test_it="async def work(): pass\nasync def test_it(): work()\n")
    suite.pytester.mkdir("results")
    _, *args = shlex.split(command)

    outcome = suite.run(*args)

    outcome.result.assert_outcomes(failed=1)
    outcome.no_fault()
    files = [arg.partition("=")[2] for arg in args if re.match("--(junitxml|.*-report)=", arg)]
    assert files
    for file in files:
        assert (suite.pytester.path / file).stat().st_size > 100


@pytest.mark.parametrize(
    "name", [".github/workflows/tests.yml", ".gitlab-ci.yml", "azure-pipelines.yml"]
)
def test_what_is_kept_is_what_was_written(name: str) -> None:
    """Whatever happens before: the files are named as in the command, and kept always."""
    text = block(name, "yaml")
    data = yaml.safe_load(text)
    written = set(re.findall(r"--(?:junitxml|asyncio-traps-report)=(\S+)", text))
    if name == ".gitlab-ci.yml":
        artifacts = data["tests"]["artifacts"]
        assert artifacts["when"] == "always"
        kept = {*artifacts["paths"], artifacts["reports"]["junit"]}
    else:
        keeping = [step for step in steps(name) if "always()" in str(step)]
        values = [value for step in keeping for value in step.values()]
        values += [v for value in values if isinstance(value, dict) for v in value.values()]
        kept = {value for value in values if isinstance(value, str) and value in written}
        written.discard("traps.json")  # for the step that marks lines
    assert kept == written


def test_the_step_that_marks_lines(suite: Suite) -> None:
    """It names each finding that fails at the user's line, those of a teardown, too."""
    (step,) = next(data for data in map(yaml.safe_load, blocks("yaml")) if isinstance(data, list))
    assert step["shell"] == "python"
    suite.test(
        """
        import asyncio, pytest, time

        async def poll(): await asyncio.sleep(3600)
        async def work(): pass

        def block(): time.sleep(0.3)  # blocks

        async def test_pending():
            asyncio.create_task(poll())  # pending
            await asyncio.sleep(0)

        async def test_slow(): block()

        @pytest.mark.asyncio_allow("never-awaited", reason="it is shown so")
        async def test_allowed(): work()

        @pytest.mark.parametrize("value", ["50%"])
        async def test_percent(value): work()  # percent
        """,
        "--asyncio-traps-report=traps.json",
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", step["run"]],
        cwd=suite.pytester.path,
        capture_output=True,
        text=True,
        check=True,
    )

    def marked(tag: str, kind: str) -> str:
        return f"::error file=test_it.py,line={suite.line_of(tag)}::{kind}: "

    lines = sorted(done.stdout.splitlines())
    expected = sorted(
        [
            marked("pending", "pending-task"),
            marked("blocks", "slow-callback"),
            marked("percent", "never-awaited"),
        ]
    )
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=True)] == expected
    assert any(line.endswith("(test_it.py::test_percent[50%25])") for line in lines)


@pytest.mark.parametrize(("name", "language"), [("tox.ini", "ini"), ("tox.toml", "toml")])
def test_tox_reads_its_file(tmp_path: Path, name: str, language: str) -> None:
    pytest.importorskip("tox")
    (tmp_path / name).write_text(block(name, language))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tox",
            "config",
            "-c",
            str(tmp_path / name),
            "-k",
            "commands",
            "deps",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("pytest-asyncio-traps[html]") == 3
    report = r"pytest --asyncio-strict --asyncio-traps-report=\S+/\.tox/\S+/traps\.html"
    assert len(re.findall(report, done.stdout)) == 3, done.stdout


def test_nox_reads_its_file(tmp_path: Path) -> None:
    pytest.importorskip("nox")
    (tmp_path / "noxfile.py").write_text(block("noxfile.py", "python"))
    done = subprocess.run(
        [sys.executable, "-m", "nox", "-f", str(tmp_path / "noxfile.py"), "--list"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert re.findall(r"\* (tests-\S+)", done.stdout) == ["tests-3.11", "tests-3.12", "tests-3.13"]


def test_every_snippet_parses() -> None:
    """None is of a language that nobody looks at, and braces are closed."""
    languages = set(re.findall(r"code-block:: (\w+)", PAGE.read_text(encoding="utf-8")))
    assert languages == {"console", "yaml", "groovy", "ini", "toml", "python"}
    for text in blocks("python"):
        ast.parse(text)
    for text in blocks("yaml"):
        assert yaml.safe_load(text)
    for text in blocks("groovy"):
        assert text.count("{") == text.count("}") > 5
        assert text.count("(") == text.count(")")
