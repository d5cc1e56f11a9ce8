"""The report formats and what each requires. Every run imports this module: keep it light."""

# No `from __future__ import annotations`: NamedTuple would compile the annotation of each field.
from importlib.util import find_spec
from typing import Final, NamedTuple


class Format(NamedTuple):
    """A format: the module with its ``render(run)``, and the package that it needs, or empty."""

    module: str
    needs: str = ""


#: The formats by the suffix of the file.
FORMATS: Final = {
    ".json": Format("as_json"),
    ".sarif": Format("as_sarif"),
    ".html": Format("as_html", needs="jinja2"),
}


def missing(suffix: str) -> str:
    """Says how to install what a report with ``suffix`` needs; empty if it is installed."""
    needs = FORMATS[suffix].needs
    if not needs or find_spec(needs) is not None:
        return ""
    return f"{needs} is not installed: pip install 'pytest-asyncio-traps[{suffix[1:]}]'"
