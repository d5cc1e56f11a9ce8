"""Calls the hook in which others may look at findings, amend or drop them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import pluggy
import pytest

from ..core.checking import checked
from ..core.reprs import shown
from ..model.finding import DROP, Drop, Finding
from ..model.text import clean
from .kinds import Kinds
from .rules import check_kind

HOOK: Final = "pytest_asyncio_traps_finding"

#: What an implementation of the hook may raise without ending the run.
_RAISED = (Exception, pytest.fail.Exception, pytest.skip.Exception)


class FindingHook:
    """Passes findings through the implementations of the hook, one after the other."""

    def __init__(self, config: pytest.Config, kinds: Kinds) -> None:
        self._hook = config.hook
        self._kinds = kinds

    def amend(self, finding: Finding, item: pytest.Item | None) -> Finding | None:
        """``finding`` as the hooks leave it, or None where one of them drops it."""
        caller: Any = self._hook.pytest_asyncio_traps_finding
        if not caller.get_hookimpls():
            return finding
        if item is not None:
            caller = item.ihook.pytest_asyncio_traps_finding  # no conftest.py of another folder
        impls = list(reversed(caller.get_hookimpls()))  # wrappers first, as pluggy has them
        answer = self._passed_through(impls, finding, item)
        return None if isinstance(answer, Drop) else answer

    def _passed_through(
        self, impls: list[Any], finding: Finding, item: pytest.Item | None
    ) -> Finding | Drop:
        """What ``impls`` make of ``finding``: each gets what the one before it has returned.

        A call of the hook itself would pass the same finding to all of them, and an exception of
        one would lose the answers of the others.
        """
        for number, impl in enumerate(impls):
            if impl.wrapper or impl.hookwrapper:
                return self._wrapped(impl, impls[number + 1 :], finding, item)
            try:
                answer = self._taken(self._call(impl, finding, item), finding)
            except _RAISED as exc:
                self._failed(impl, exc)
            else:
                if isinstance(answer, Drop):
                    return answer
                finding = answer
        return finding

    def _wrapped(
        self, impl: Any, inner: list[Any], finding: Finding, item: pytest.Item | None
    ) -> Finding | Drop:
        """What the wrapper ``impl`` makes of the answer of the implementations in ``inner``."""
        wrapper: Generator[None, Any, Any] | None = None
        try:
            wrapper = self._call(impl, finding, item)
            next(wrapper)
        except _RAISED as exc:
            wrapper = None
            self._failed(impl, exc)
        answer = self._passed_through(inner, finding, item)
        if wrapper is None:
            return answer
        result = pluggy.Result(answer, None)
        try:
            wrapper.send(result if impl.hookwrapper else answer)
        except StopIteration as stop:
            given = result.get_result() if impl.hookwrapper else stop.value
            try:
                return self._taken(given, answer)
            except _RAISED as exc:
                self._failed(impl, exc)
        except _RAISED as exc:
            self._failed(impl, exc)
        else:
            self._failed(impl, RuntimeError(f"{HOOK} has a second yield"))
        return answer

    def _call(self, impl: Any, finding: Finding, item: pytest.Item | None) -> Any:
        given = {"item": item, "finding": finding}
        return impl.function(*(given[name] for name in impl.argnames))

    def _failed(self, impl: Any, exc: BaseException) -> None:
        self._kinds.faults.record(f"{HOOK} of {clean(impl.plugin_name)}", exc)

    def _taken(self, answer: object, before: Finding | Drop) -> Finding | Drop:
        """What follows from the ``answer`` of a hook that was given ``before``.

        Raises `TypeError`, `ValueError` or `BadRuleError` for an answer that cannot replace it.
        """
        if answer is None or answer is before:
            return before
        if isinstance(answer, Drop):
            return DROP
        if not isinstance(answer, Finding):
            raise TypeError(f"{HOOK} must return a Finding, DROP or None, not {shown(answer)}")
        if isinstance(before, Drop):
            raise TypeError(f"{HOOK} must not bring back what was dropped")
        check_kind(answer.kind, self._kinds.names, HOOK)
        amended = checked(answer)
        if amended.owner != before.owner:
            raise ValueError(f"{HOOK} must leave the owner of a finding as it is")
        return amended._replace(owner=before.owner, when=before.when, action=before.action)
