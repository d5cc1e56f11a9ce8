"""How Sphinx builds these pages."""

from importlib.metadata import version as version_of

from docutils.nodes import Element, reference
from sphinx.addnodes import desc_addname, desc_name, desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

project = "pytest-asyncio-traps"
project_copyright = "the pytest-asyncio-traps developers"
author = "the pytest-asyncio-traps developers"
version = release = version_of("pytest-asyncio-traps")

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
nitpicky = True
# Types of Python and pytest. To link them, a build would have to download their inventories.
nitpick_ignore_regex = [
    ("py:class", r"(_pytest|asyncio|collections|contextlib|logging|re|typing|warnings)\..*")
]

# In docstrings, `name` is a name of this package.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

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


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> reference | None:
    """Look up the names in docstrings of private modules, such as `Trap`, in the package."""
    if node.get("refdomain") != "py":
        return None
    name, page = f"pytest_asyncio_traps.{node['reftarget']}", node["refdoc"]
    domain = env.get_domain("py")
    return domain.resolve_xref(env, page, app.builder, "obj", name, node, content)


def show_marker(env: BuildEnvironment, text: str, node: desc_signature) -> str:
    """Show a marker as tests use it. Its name without the arguments identifies it."""
    name, bracket, arguments = text.partition("(")
    parts = ("@pytest.mark.", name, bracket + arguments)
    node += desc_addname("", parts[0]), desc_name("", parts[1]), desc_addname("", parts[2])
    return name


def setup(app: Sphinx) -> None:
    """Directives and roles for what a pytest plugin offers, beside Sphinx's option and confval.

    A ``hook`` directive shows nothing itself: the function that documents the hook follows it.
    """
    app.add_object_type("fixture", "fixture", "pair: %s; fixture", objname="fixture")
    app.add_object_type("marker", "marker", "pair: %s; marker", show_marker, objname="marker")
    field = "field of the JSON report"
    app.add_object_type("json-field", "json-field", f"pair: %s; {field}", objname=field)
    app.add_crossref_type("hook", "hook", "pair: %s; hook", objname="hook")
    app.connect("missing-reference", resolve)
