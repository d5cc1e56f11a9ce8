"""Writes a report; the suffix of the file picks the format."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..model.files import write_whole
from .formats import FORMATS
from .run import Run


def write(path: Path, run: Run) -> None:
    """Write the report about ``run`` to ``path``.

    Raises `OSError` if that fails; an existing file then stays as it was.
    """
    module = import_module(f".{FORMATS[path.suffix].module}", __package__)
    write_whole(path, module.render(run))
