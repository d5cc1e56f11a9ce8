"""The hooks that this plugin offers to others: to conftest.py files and to plugins.

A plugin or ``conftest.py`` that is to work without this one as well marks its hooks with
``@pytest.hookimpl(optionalhook=True)``: pytest refuses hooks that nobody has specified.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from .core.trap import Trap
from .model.finding import Drop, Finding


def pytest_asyncio_traps_kinds() -> Iterable[type[Trap]] | None:
    """Add kinds of traps: return subclasses of `Trap`, in the order in which they are to be armed.

    Called once of each plugin and ``conftest.py``: of plugins before the first ``conftest.py`` is
    loaded, so that what the kinds replace is in place before the code under test is imported;
    of what is loaded after that when pytest is configured. A ``conftest.py`` that is loaded later
    still, with the tests of its folder, cannot add kinds, and is refused.

    A class that is no kind, or has the id of another one, is a usage error. An exception is
    reported at the end of the run as a fault of whoever has the hook.
    """


def pytest_asyncio_traps_finding(
    item: pytest.Item | None, finding: Finding
) -> Finding | Drop | None:
    """Look at a finding, amend it or drop it, before rules, markers and the baseline see it.

    Return None to leave it as it is; a `Finding`, made by ``finding._replace(...)``, to have that
    in its place; or `DROP`, so that nobody hears of it. ``item`` is the test that the finding is
    charged to, or None where it belongs to no test.

    Called once for each finding, in the process that has made it (under pytest-xdist, a worker).
    The hooks are asked one after the other, in pluggy's order, and each is given what the one
    before it has left; after `DROP`, no other is asked. Of ``conftest.py`` files, those of the
    folder of ``item`` and above are asked, and all of them where there is no item.

    ``owner``, ``when`` and ``action`` cannot be amended. The kind may be changed to another one
    that there is. What is no finding after that, and an exception, are reported at the end of the
    run as a fault of whoever has the hook, and the finding stays as it was.
    """
