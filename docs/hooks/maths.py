"""$...$ in the pages as MathML: no script, no font, nothing loaded from elsewhere.

A hook of mkdocs (see mkdocs.yml); pymdownx.arithmatex has marked the formulas.
"""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.DOTALL)


def on_page_content(content: str, **kwargs: Any) -> str:
    """Replace the formulas of a page; mkdocs calls this for every page."""
    return FORMULA.sub(mathml, content)


def mathml(found: re.Match[str]) -> str:
    """Return one formula as MathML, in the line or as a block."""
    display = "inline" if found[2] == "(" else "block"
    return convert(html.unescape(found[3]).strip(), display=display)
