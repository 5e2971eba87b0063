"""How the pages in this folder become a site: ``make docs``."""

import re
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.highlighting import lexers

import tornado_webrtc

project = "tornado-webrtc"
author = "tornado-webrtc contributors"
project_copyright = f"2026, {author}"
release = tornado_webrtc.__version__

extensions = ["myst_parser"]
exclude_patterns = ["README.md", "examples"]
nitpicky = True

# Headings get the anchors that code hosts give them: links work in both places.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"tornado-webrtc {release}"

lexers["nft"] = TextLexer()

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")


def _without_links_to_sources(_app: Sphinx, _page: str, text: list[str]) -> None:
    """What stands beside this folder in a checkout is not in the site."""
    text[0] = _OUTSIDE.sub(r"\1", text[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("source-read", _without_links_to_sources)
    return {"parallel_read_safe": True}
