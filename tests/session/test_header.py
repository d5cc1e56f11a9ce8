"""The lines at the start of a run."""

from __future__ import annotations

import pytest

from ..run import Suite

TEST = "def test_it(): pass"


def header(suite: Suite, *args: str) -> list[str]:
    suite.write(test_it=TEST)
    lines = suite.run(*args).result.outlines
    return [
        line.removeprefix("asyncio-traps: ") for line in lines if line.startswith("asyncio-traps:")
    ]


def test_the_settings_in_force(suite: Suite) -> None:
    suite.write(test_it=TEST)
    suite.pytester.path.joinpath("known.txt").write_text(
        "never-awaited test_it.py test_it\n    code: work()\n    test: test_it.py::test_it\n"
    )

    plain, off = header(suite)
    assert plain == "slow 0.1 s"
    assert off == (
        "off: blocking-call (opt-in); lingering-timer, swallowed-cancellation (strict only)"
    )

    lines = header(
        suite,
        "--asyncio-strict",
        "--asyncio-traps=warn:pending-task",
        "--asyncio-traps=fail:blocking-call",
        "--asyncio-traps-baseline=known.txt",
        "--asyncio-traps-hang=30",
        "--asyncio-slow-callback-duration=1",
    )
    assert lines == ["strict, slow 1 s, hang 30 s, 2 rules, baseline known.txt (1)"]


@pytest.mark.parametrize(
    ("rules", "off"),
    [
        (["off:pending-task"], "pending-task (rule off:pending-task)"),
        (["off:pending-task", "fail"], None),
        (["off:pending-task:poll"], None),
    ],
)
def test_kinds_that_a_rule_turns_off(suite: Suite, rules: list[str], off: str | None) -> None:
    lines = header(suite, "--asyncio-strict", *(f"--asyncio-traps={rule}" for rule in rules))

    assert [line for line in lines if "pending-task" in line] == (
        [f"off: blocking-call (opt-in); {off}"] if off else []
    )


def test_what_cannot_be_watched(suite: Suite) -> None:
    suite.write(
        conftest="""
        import pytest
        from pytest_asyncio_traps.session.lifecycle import lifecycle_key

        def pytest_configure(config):
            config.stash[lifecycle_key].watch.blind_spots["loops"] = "for a reason"
        """
    )
    assert "not watched: loops: for a reason" in header(suite)


def test_no_header_in_a_quiet_run(suite: Suite) -> None:
    assert header(suite, "-q") == []
