"""How Sphinx builds these pages."""

from importlib.metadata import version as version_of

project = "pytest-asyncio-traps"
project_copyright = "the pytest-asyncio-traps developers"
author = "the pytest-asyncio-traps developers"
version = release = version_of("pytest-asyncio-traps")

extensions: list[str] = []
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Fails the test that sprang an asyncio trap",
    "page_width": "1000px",
}
html_show_sourcelink = False
nitpicky = True
