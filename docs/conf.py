"""How Sphinx builds the site. The command is in CONTRIBUTING.md; the environment `docs` runs it."""

from __future__ import annotations

from importlib.metadata import metadata

package = metadata("dualcache")
links = dict(text.split(", ", 1) for text in package.get_all("Project-URL") or ())

project = package["Name"]
author = "The dualcache developers"
project_copyright = f"2026, {author}"
version = release = package["Version"]
needs_sphinx = "8.2"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_llms_txt",
]
exclude_patterns = ["changelog.d"]

myst_enable_extensions = ["colon_fence", "deflist"]
# Headings get the anchors that GitHub gives them, so that one link works in both places.
myst_heading_anchors = 4

# Docstrings are Markdown as far as it goes: one backtick is code.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"dualcache {version}"
html_baseurl = links.get("Documentation", "")
html_theme_options = {
    "source_repository": links.get("Source", ""),
    "source_branch": "main",
    "source_directory": "docs/",
}
html_static_path = ["static"]
html_css_files = ["site.css"]
copybutton_exclude = ".linenos, .gp, .go"

llms_txt_title = "dualcache"
llms_txt_summary = package["Summary"]
