"""The site of the documentation: `make docs` builds it, offline."""

import sys
from pathlib import Path

import cam

sys.path.insert(0, str(Path(__file__).with_name("_extensions")))

project = "CAM"
author = "The CAM contributors"
version = release = cam.__version__

extensions = [
    "api_pages",
    "repository_pages",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "generated/gallery/**/*.ipynb", "**/sg_execution_times.rst"]
default_role = "autolink"  # a name in backticks is a link where it is a documented object
nitpicky = True
# Other libraries' pages are not at hand, and a name in backticks may be an argument.
nitpick_ignore_regex = [("py:.*", r"(?!cam\.).*")]
# A room's names are on its own page and on its module's; the benchmarks' report has its own levels.
suppress_warnings = ["ref.python", "myst.header"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_default_options = {"member-order": "bysource", "no-value": True}
autodoc_typehints = "none"  # the docstrings say types, shapes and ranges
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": "/",
    "ignore_pattern": r"free_pictures\.py",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("matplotlib",),
    "abort_on_example_error": True,
    "show_signature": False,
    "write_computation_times": False,
    "download_all_examples": False,
}

html_theme = "furo"
html_title = f"CAM {release}"
html_copy_source = False
html_show_search_summary = False  # it fetches the pages found, which files cannot be
