"""Cases of parametrized tests of which a quick run takes a selection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def cases(values: Iterable[Any], quick: Iterable[Any], *, unpack: bool = False) -> list[Any]:
    """``values`` for `pytest.mark.parametrize`: all but those in ``quick`` only with ``--all``.

    With ``unpack``, a value is a tuple of several parameters. Raises `ValueError` if one in
    ``quick`` is no value.
    """
    values, chosen = list(values), list(quick)
    if strays := [value for value in chosen if value not in values]:
        raise ValueError(f"not among the values: {strays}")
    return [
        pytest.param(
            *(value if unpack else (value,)),
            marks=() if value in chosen else pytest.mark.thorough,
        )
        for value in values
    ]
