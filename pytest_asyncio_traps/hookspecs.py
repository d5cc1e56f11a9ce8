"""The hooks that this plugin offers to plugins and to conftest.py files.

pytest refuses hooks that no plugin specifies. To work without this plugin as well, a plugin or
``conftest.py`` marks its implementations with ``@pytest.hookimpl(optionalhook=True)``.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from .core.trap import Trap
from .model.finding import Drop, Finding


def pytest_asyncio_traps_kinds() -> Iterable[type[Trap]] | None:
    """Add kinds of traps: return subclasses of `Trap`, in the order in which to arm them.

    Called once for each plugin and ``conftest.py``. For plugins that is before pytest loads the
    first ``conftest.py``, so that the kinds are armed before the code under test is imported. For
    what is loaded after that, it is when pytest is configured. A ``conftest.py`` that is loaded
    later, with the tests of its folder, cannot add kinds, and fails to be collected.

    A class that is no kind, or has the id of another one, is a usage error. An exception is
    reported at the end of the run as a fault of the plugin or ``conftest.py`` that has the hook.
    """


def pytest_asyncio_traps_finding(
    item: pytest.Item | None, finding: Finding
) -> Finding | Drop | None:
    """Look at a finding, amend it or drop it, before rules, markers and the baseline apply.

    Return None to leave the finding as it is, a `Finding` made by ``finding._replace(...)`` to
    replace it, or `DROP` to have it reported nowhere. ``item`` is the test that the finding is
    charged to, or None where it belongs to no test.

    Called once for each finding, in the process that has made it (under pytest-xdist, a worker).
    The implementations are called one after the other, in pluggy's order. Each is given what the
    one before it has returned; after `DROP`, no other is called. Of the ``conftest.py`` files,
    those of the folder of ``item`` and above are called, and all of them where there is no item.

    ``owner``, ``when`` and ``action`` cannot be amended. ``kind`` may be changed to another kind
    of the run. An exception, and a return value that is no finding, are reported at the end of the
    run as a fault of the plugin or ``conftest.py`` that has the hook, and the finding stays as it
    was.
    """
