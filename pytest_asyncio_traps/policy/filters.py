"""What the warning filters of a run say about findings that warn."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Literal

import pytest

from ..compat.pytest import WarningFilter, parse_filter

#: ``error`` fails the test, ``ignore`` leaves it out of the summary of warnings.
Verdict = Literal["error", "ignore", "once", "show"]


class AsyncioTrapWarning(pytest.PytestWarning):
    """A trap for which the rules say ``warn``."""


class Filters:
    """The filters of ``-W``, of ``filterwarnings`` in the ini file, and of the markers.

    They are read here, and not left to `warnings.warn`: a trap may show while another test
    runs, or none, and what a filter makes an error of is to fail the test that sprang it.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._common: list[WarningFilter] | None = None

    def verdict(self, text: str, module: str, line: int, item: pytest.Item | None) -> Verdict:
        """What is to be done about a warning ``text`` from a line, of the test ``item``."""
        if not self._config.pluginmanager.hasplugin("warnings"):
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
                continue  # it speaks of warnings at large; the rule says warn
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
    """The name of the module at ``path``, as near as that can be told from the path."""
    return relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
