"""Settings of the documentation: ``make docs``."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs import repository
from filmkit.core.project import TITLE
from filmkit.core.theme import DARK, LIGHT
from filmkit.decks.web import colours_of

project = TITLE
copyright = "2026 the attention-film authors; MIT licence"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build", "files", "templates"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
html_favicon = "favicon.svg"
templates_path = ["templates"]
html_static_path = [
    "scenes/static",
    "../filmkit/decks/templates/gallery.js",
    "templates/drawers.js",
]
html_css_files = ["site.css"]
html_js_files = [(name, {"defer": "defer"}) for name in ("gallery.js", "drawers.js")]
html_extra_path = ["files"]
html_show_sourcelink = False
# Where the website will be: networks that show a link to it ask for whole addresses of pictures.
html_baseurl = os.environ.get("SITE", "")
ogp_site_url = html_baseurl
ogp_image = "social.png"
ogp_social_cards = {"enable": False}
napoleon_google_docstring = False
# What docstrings put into single backquotes is code.
default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False


def _colours(theme: str) -> dict[str, str]:
    """Return a theme's colours, as those of the website."""
    colours = colours_of({"dark": DARK, "light": LIGHT}[theme])
    return {
        "color-background-primary": colours["background"],
        "color-foreground-primary": colours["ink"],
        "color-brand-primary": colours["accent"],
        "color-brand-content": colours["query"],
    }


html_theme_options = {
    "footer_icons": [
        {"name": "The code", "url": repository(), "html": "The code", "class": ""},
    ]
    * bool(repository()),
    "dark_css_variables": _colours("dark"),
    "light_css_variables": _colours("light"),
}
