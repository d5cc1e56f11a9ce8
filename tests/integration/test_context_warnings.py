"""Context-aware warnings: filters and logs that belong to a context, not to the module.

They are the default of free-threaded builds of Python 3.14, and an option of the others.
"""

from __future__ import annotations

import sys

import pytest

from ..run import Suite

#: The ways of Python to have them: each is tried where there is one.
ENVIRONMENTS = ({"PYTHON_CONTEXT_AWARE_WARNINGS": "0"}, {"PYTHON_CONTEXT_AWARE_WARNINGS": "1"})

SUITE = """
import asyncio, sys, warnings
import pytest

async def work(): pass

def test_ok_warns():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        work()

async def test_ok_warns_in_a_task():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        work()
        await asyncio.sleep(0)

def test_ok_records():
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        work()
    assert len(log) == 1

def test_ok_recwarn(recwarn):
    work()
    assert len(recwarn) == 1

async def test_ok_of_a_task():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        await asyncio.create_task(drops())

async def drops():
    work()

def test_bad_other_warning():
    with pytest.warns(UserWarning):
        warnings.warn("mine")
        work()

def test_bad_plain():
    work()

async def test_bad_after_recording():
    with warnings.catch_warnings(record=True):
        pass
    work()

@pytest.mark.filterwarnings("ignore")
def test_bad_ignored():
    work()

def test_ok_last():
    if sys.version_info >= (3, 14):
        assert sys.flags.context_aware_warnings == FLAG
"""


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=["off", "on"])
def test_consent(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    """A test that asserts the warning has dealt with it; any other has not."""
    (flag,) = environment.values()
    if flag == "1" and sys.version_info < (3, 14):
        pytest.skip("came with Python 3.14")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    outcome = suite.test(SUITE.replace("FLAG", flag))

    outcome.no_fault()
    guilty = {finding["nodeid"].rpartition("::")[2] for finding in outcome.findings}
    bad = {word.partition("(")[0] for word in SUITE.split() if word.startswith("test_bad")}
    assert guilty == bad
    outcome.result.assert_outcomes(passed=6, failed=len(bad))
