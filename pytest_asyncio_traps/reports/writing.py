"""A run, written to a file in the format that the file's suffix names."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..model.files import write_whole
from .formats import FORMATS
from .run import Run


def write(path: Path, run: Run) -> None:
    """Write ``run`` to ``path``, whole or not at all. Raises `OSError`."""
    module = import_module(f".{FORMATS[path.suffix].module}", __package__)
    write_whole(path, module.render(run))
