"""What the warning filters of a run make of findings that warn."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Literal

import pytest

from ..compat.pytest import WarningFilter, parse_filter, reads_filters

#: ``error`` fails the test, ``ignore`` leaves it out of the summary of warnings.
Verdict = Literal["error", "ignore", "once", "show"]


class AsyncioTrapWarning(pytest.PytestWarning):
    """The warning for a finding with the action ``warn``."""


class Filters:
    """The filters of ``-W``, of ``filterwarnings`` in the ini file, and of the markers.

    The plugin reads them instead of calling `warnings.warn`: a finding may show while another
    test runs, or none, and if a filter turns it into an error, the test that caused it fails.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._common: list[WarningFilter] | None = None

    def verdict(self, text: str, module: str, line: int, item: pytest.Item | None) -> Verdict:
        """What the filters do with a warning ``text`` from ``line`` of ``module``, of ``item``."""
        if not reads_filters(self._config):
            return "show"
        if self._common is None:
            self._common = list(self._read())
        own = [
            parsed
            for mark in (item.iter_markers("filterwarnings") if item is not None else ())
            for arg in mark.args
            if (parsed := parse_filter(arg, escape=False)) is not None
        ]
        for action, message, category, where, at in reversed(self._common + own):
            if not issubclass(AsyncioTrapWarning, category) or at not in (0, line):
                continue
            if not re.match(message, text, re.IGNORECASE) or not re.match(where, module):
                continue
            if action == "error":
                if message or issubclass(category, AsyncioTrapWarning):
                    return "error"
                continue  # it is about all warnings; the rule asks for a warning
            if action in ("ignore", "once"):
                return "ignore" if action == "ignore" else "once"
            return "show"
        return "show"

    def _read(self) -> list[WarningFilter]:
        config = self._config
        given: list[str] = config.known_args_namespace.pythonwarnings or []
        found = [parse_filter(arg, escape=True) for arg in sys.warnoptions]
        found += [parse_filter(arg, escape=False) for arg in config.getini("filterwarnings")]
        found += [parse_filter(arg, escape=True) for arg in given]
        return [parsed for parsed in found if parsed is not None]


def module_of(path: str, relative: Callable[[str], str]) -> str:
    """The name of the module at ``path``, as far as the path shows it."""
    return relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
