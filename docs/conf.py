"""How Sphinx builds these pages; nothing is fetched."""

import sys
from pathlib import Path

import pytest_hypersearch

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "pytest-hypersearch"
author = "the authors of pytest-hypersearch"
project_copyright = author
release = version = pytest_hypersearch.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "parser_tables"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pytest-hypersearch"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
smartquotes = False  # help texts say --sweep

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Docstrings say `name` for whatever is code; not all of it has a page.
default_role = "code"
add_module_names = False  # users import most of these from elsewhere
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Types of other packages have no inventory here, aliases of types are no targets, and our own
# classes that signatures name are documented where users meet them, or not at all.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!pytest_hypersearch\.).*"),
    ("py:class", r"pytest_hypersearch\.(core|search|stats|store|engine|results|plugin)\..+"),
]
suppress_warnings = ["ref.python"]  # two classes are called Curve, each in its module
