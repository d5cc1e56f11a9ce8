"""The hook by which others look at findings, amend or drop them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from .core.finding import DROP, Finding
from .core.text import clean, shown
from .core.trap import checked
from .kinds import Kinds
from .rules import check_kind

HOOK: Final = "pytest_asyncio_traps_finding"


class Amending:
    """Shows findings to whoever has the hook, one after the other."""

    def __init__(self, config: pytest.Config, kinds: Kinds) -> None:
        self._hook = config.hook
        self._kinds = kinds

    def amended(self, finding: Finding, item: pytest.Item | None) -> Finding | None:
        """What the hooks make of ``finding``, or None where one of them drops it."""
        caller: Any = self._hook.pytest_asyncio_traps_finding
        if not caller.get_hookimpls():
            return finding
        if item is not None:
            caller = item.ihook.pytest_asyncio_traps_finding  # no conftest.py of another folder
        for impl in reversed(caller.get_hookimpls()):
            given = {"item": item, "finding": finding}
            try:
                answer = impl.function(*(given[name] for name in impl.argnames))
                if answer is DROP:
                    return None
                if answer is not None:
                    finding = self._checked(answer, finding)
            except (Exception, pytest.fail.Exception, pytest.skip.Exception) as exc:
                self._kinds.faults.note(f"{HOOK} of {clean(impl.plugin_name)}", exc)
        return finding

    def _checked(self, answer: object, finding: Finding) -> Finding:
        """``answer`` as what takes the place of ``finding``. Raises where it cannot."""
        if not isinstance(answer, Finding):
            raise TypeError(f"{HOOK} must return a Finding, DROP or None, not {shown(answer)}")
        check_kind(answer.kind, self._kinds.names, HOOK)
        amended = checked(answer)
        if amended.owner != finding.owner:
            raise ValueError(f"{HOOK} must leave the owner of a finding as it is")
        return amended._replace(owner=finding.owner, when=finding.when, action=finding.action)
