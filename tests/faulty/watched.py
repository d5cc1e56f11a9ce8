"""Runs pytest, and leaves what has changed in the process since before the run."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from tests.faulty.snapshot import changes, settled, snapshot

#: Names the file for what has changed.
CHANGED = "ASYNCIO_TRAPS_CHANGED"


def main() -> int:
    """Run pytest with the arguments of this process. Returns its exit status."""
    import pytest

    before = snapshot()
    try:
        return int(pytest.main())
    finally:
        changed = changes(before, settled(before))
        Path(os.environ[CHANGED]).write_text(json.dumps(changed), encoding="utf-8")
        plugin = sys.modules.get("tests.faulty.plugin")
        if plugin is not None:
            plugin.end_survey()


if __name__ == "__main__":
    status = 99
    try:
        status = main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # without finalization, which would take a fifth of the run's time
