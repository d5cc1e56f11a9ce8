"""How Sphinx builds these pages."""

from importlib.metadata import version as version_of

project = "pytest-asyncio-traps"
project_copyright = "the pytest-asyncio-traps developers"
author = "the pytest-asyncio-traps developers"
version = release = version_of("pytest-asyncio-traps")

extensions = ["sphinx_copybutton"]
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False

# Commands are copied without their prompts. Output has no copy button.
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
