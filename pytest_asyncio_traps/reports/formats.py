"""Which formats there are, and what each of them needs. Imported in each run: it imports little."""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
from importlib.util import find_spec
from typing import Final, NamedTuple


class Format(NamedTuple):
    """A format: the module that has ``render(run)``, and the package that it needs, if any."""

    module: str
    needs: str = ""


#: By the suffix of the file.
FORMATS: Final = {
    ".json": Format("as_json"),
    ".sarif": Format("as_sarif"),
    ".html": Format("as_html", needs="jinja2"),
}


def missing(suffix: str) -> str:
    """What has to be done before such a file can be written; empty where there is nothing."""
    needs = FORMATS[suffix].needs
    if not needs or find_spec(needs) is not None:
        return ""
    return f"{needs} is not installed: pip install 'pytest-asyncio-traps[{suffix[1:]}]'"
