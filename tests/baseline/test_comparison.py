"""Which entries of a baseline are stale, and what the file holds after a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_asyncio_traps.baseline.comparison import BaselineComparison, RunCoverage
from pytest_asyncio_traps.baseline.file import Entry, Key
from pytest_asyncio_traps.model.finding import Finding, Owner

KEY, OTHER = Key("pending-task", "app.py", "start"), Key("unclosed-loop", "app.py", "stop")
A, B = "t.py::test_a", "t.py::T::test_b"


def course(
    done: Iterable[str] = (),
    *,
    covers: bool = True,
    exists: bool = True,
    **changes: Any,
) -> RunCoverage:
    """A run in which ``done`` ran to their ends."""
    made = RunCoverage(covers=lambda file: covers, exists=lambda file: exists)
    for nodeid in done:
        made.collected.add(nodeid)
        for when in ("setup", "call", "teardown"):
            made.add(nodeid, when, "passed")
    made.files = {nodeid.partition("::")[0] for nodeid in done}
    for name, value in changes.items():
        setattr(made, name, getattr(made, name) | value if isinstance(value, set) else value)
    return made


def finding(key: Key, test: str, action: str = "baseline", **owner: str) -> Finding:
    of = {"type": "test", "name": test, "scope": "function", "nodeid": test, **owner}
    return Finding(key.kind, key.function, "", Owner(**of), action=action)  # type: ignore[arg-type]


def key_of(finding: Finding) -> Key:
    return Key(finding.kind, "app.py", finding.summary)


def stale(tests: tuple[str, ...], of: RunCoverage, *findings: Finding) -> bool:
    """Whether an entry that names ``tests`` is stale after a run."""
    comparison = BaselineComparison([Entry(KEY, tests)], key_of)
    return bool(comparison.stale(findings, of, lambda kind: True))


def test_an_entry_is_stale_when_its_tests_ran_and_its_cause_did_not_show() -> None:
    run = course([A, B])

    assert stale((A,), run)
    assert stale((A, B), run)
    assert stale(("t.py",), run)
    assert stale(("t.py::T",), run)
    assert not stale((A,), run, finding(KEY, B))
    assert not stale((A,), run, finding(KEY, B, "allow"))
    assert stale((A,), run, finding(OTHER, A))


@pytest.mark.parametrize(
    "changes",
    [
        {"collected": {"t.py::test_c"}},
        {"collected": {"t.py::test_c"}, "deselected": {"t.py::test_c"}},
        {"collected": {"t.py::test_c"}, "skipped": {"t.py::test_c"}},
        {"failed": {A}},
        {"skipped": {A}},
        {"broken": "a worker died"},
    ],
)
def test_a_test_that_did_not_run_to_its_end_may_have_shown_it(changes: dict[str, Any]) -> None:
    """Not begun, deselected, skipped, failed; or the run says nothing at all."""
    assert not stale(("t.py",), course([A, B], **changes))


def test_only_the_tests_that_an_entry_names_matter() -> None:
    run = course([A], collected={B, "u.py::test"}, deselected={"u.py::test"}, failed={B})

    assert stale((A,), run)
    assert not stale((B,), run)
    assert not stale((A, B), run)
    assert not stale(("u.py::test",), run)


def test_all_parameters_of_a_function_count() -> None:
    run = course(["t.py::test[1]", "t.py::test[a::b]"])

    assert stale(("t.py::test",), run)
    run.collected.add("t.py::test[3]")
    assert not stale(("t.py::test",), run)


@pytest.mark.parametrize(
    ("phases", "ended"),
    [
        ([("setup", "passed"), ("call", "passed"), ("teardown", "passed")], True),
        ([("setup", "passed"), ("call", "xfailed"), ("teardown", "passed")], True),
        ([("setup", "passed"), ("call", "passed")], False),
        ([("setup", "xfailed"), ("teardown", "passed")], False),
        ([("setup", "passed"), ("call", "skipped"), ("teardown", "passed")], False),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "failed")], False),
        ([("setup", "passed"), ("call", "rerun"), ("teardown", "passed")], False),
    ],
)
def test_how_a_test_ends(phases: list[tuple[str, str]], ended: bool) -> None:
    """An expected failure is an end; one that did not run, or ended early, is none."""
    run = course(collected={A}, files={"t.py"})
    for when, outcome in phases:
        run.add(A, when, outcome)

    assert stale((A,), run) == ended


def test_a_test_that_is_gone_is_represented_by_its_file() -> None:
    assert stale(("t.py::gone",), course([A, B]))
    assert stale(("t.py::gone",), course([A, B], skipped={B}))
    assert not stale(("t.py::gone",), course([A, B], failed={B}))
    assert not stale(
        ("t.py::gone",), course([A, B], collected={"t.py::new"}, deselected={"t.py::new"})
    )
    assert not stale(("u.py::test",), course([A, B]))


def test_a_file_that_is_gone_is_represented_by_the_run() -> None:
    """If the run was asked for its folder, and left nothing out."""
    assert stale(("gone.py::test",), course([A], exists=False))
    assert not stale(("gone.py::test",), course([A], exists=False, covers=False))
    assert not stale(("gone.py::test",), course([A], exists=False, collected={B}, deselected={B}))
    assert not stale(("gone.py::test",), course([A], exists=False, collected={B}))


def test_what_belongs_to_no_test_takes_a_run_of_all() -> None:
    assert stale((), course([A]))
    assert not stale((), course([A], covers=False))
    assert not stale((), course([A], collected={B}, deselected={B}))


def test_kinds_that_the_run_did_not_look_for() -> None:
    run, entry = course([A]), Entry(KEY, (A,))

    assert not BaselineComparison([entry], key_of, lambda kind: False).stale(
        [], run, lambda kind: True
    )
    assert not BaselineComparison([entry], key_of).stale([], run, lambda kind: False)


def test_what_shows_in_some_runs_only_is_never_stale() -> None:
    """And an update leaves it as it is, but for further tests."""
    entry = Entry(KEY, (A,), sometimes=True)

    assert not BaselineComparison([entry], key_of).stale([], course([A]), lambda kind: True)
    assert updated([entry], course([A])) == (entry,)
    assert updated([entry], course([A, B]), finding(KEY, B)) == (
        Entry(KEY, (B, A), sometimes=True),
    )


# -- the next file ----------------------------------------------------------------


def updated(entries: Iterable[Entry], of: RunCoverage, *findings: Finding) -> tuple[Entry, ...]:
    return BaselineComparison(entries, key_of).updated(findings, of).entries


def test_a_new_file_names_the_functions() -> None:
    found = [finding(KEY, "t.py::test[1]"), finding(KEY, "t.py::test[2]"), finding(KEY, B)]

    assert updated([], course(), *found, finding(OTHER, A, "allow")) == (
        Entry(KEY, (B, "t.py::test")),
    )


def test_many_functions_are_a_file() -> None:
    found = [finding(KEY, f"t.py::test_{n}") for n in range(6)]

    assert updated([], course(), *found, finding(KEY, "u.py::test")) == (
        Entry(KEY, ("t.py", "u.py::test")),
    )


@pytest.mark.parametrize(
    ("owner", "tests"),
    [
        ({"type": "fixture", "scope": "function"}, (B,)),
        ({"type": "fixture", "scope": "class"}, ("t.py::T",)),
        ({"type": "fixture", "scope": "module"}, ("t.py",)),
        ({"type": "fixture", "scope": "session"}, (B,)),
        ({"type": "module", "name": "t.py", "nodeid": ""}, ("t.py",)),
        ({"type": "session", "name": "session", "nodeid": ""}, ()),
    ],
)
def test_who_has_to_run_for_it_to_show_again(owner: dict[str, str], tests: tuple[str]) -> None:
    assert updated([], course(), finding(KEY, B, **owner)) == (Entry(KEY, tests),)


def test_an_update_keeps_what_the_run_could_not_see() -> None:
    entries = [Entry(KEY, (B, A), ("# mine",)), Entry(OTHER, (B,))]

    result = BaselineComparison(entries, key_of).updated(
        [finding(KEY, A)], course([A], collected={B}, deselected={B})
    )

    assert result.entries == tuple(entries)
    assert (result.new, result.gone, result.unseen) == (0, 0, 1)


def test_an_update_drops_what_the_run_showed_to_be_stale() -> None:
    entries = [Entry(KEY, (B, A), ("# mine",)), Entry(OTHER, (B,))]

    result = BaselineComparison(entries, key_of).updated([finding(KEY, A)], course([A, B]))

    assert result.entries == (Entry(KEY, (A,), ("# mine",)),)
    assert (result.new, result.gone, result.unseen) == (0, 1, 0)


def test_what_is_allowed_by_now_is_no_longer_known() -> None:
    assert updated([Entry(KEY, (A,))], course([A]), finding(KEY, A, "allow")) == ()


def test_another_order_of_the_tests_changes_nothing() -> None:
    """A shared fixture is charged to the first of its tests."""
    shared = finding(KEY, B, type="fixture", scope="session")
    entry = Entry(KEY, (A,))

    assert updated([entry], course([A, B]), shared) == (entry,)
    assert updated([entry], course([B], collected={A}, deselected={A}), shared) == (
        Entry(KEY, (B, A)),
    )
