"""$...$ in the pages as MathML: no script, no font, nothing fetched from elsewhere.

A hook of mkdocs (see mkdocs.yml); pymdownx.arithmatex has marked the formulas.
"""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.DOTALL)


def on_page_content(content: str, **kwargs: Any) -> str:
    """Called by mkdocs for every page."""
    return FORMULA.sub(mathml, content)


def mathml(found: re.Match[str]) -> str:
    """One formula, in the line or by itself."""
    display = "inline" if found[2] == "(" else "block"
    return convert(html.unescape(found[3]).strip(), display=display)
