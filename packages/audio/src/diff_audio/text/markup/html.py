"""The HTML of a text: tags, comments and entities."""

from __future__ import annotations

import html
import re

from diff_audio.text.markup.script import HEADING, PARAGRAPH, SENTENCE, Draft

__all__ = ["BLOCKS", "tags"]

BLOCKS = {
    **dict.fromkeys(
        "p div hr ul ol dl table blockquote pre section article header footer nav main aside "
        "figure body html form fieldset address".split(),
        PARAGRAPH,
    ),
    **dict.fromkeys("li tr dt dd br option figcaption caption".split(), SENTENCE),
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6", "title"), HEADING),
    **dict.fromkeys(("td", "th"), ", "),
}
"""The mark that stands for the end of an element."""

_INLINE = frozenset(
    "a abbr acronym b bdi bdo big button center cite code data del dfn em font i img input ins "
    "kbd label link mark meta picture q ruby rp rt s samp small source span strike strong sub sup "
    "tbody tfoot thead time tt u var wbr col colgroup select textarea iframe svg math path".split()
)
_HIDDEN = (
    (re.compile("<!--"), re.compile("-->")),
    *(
        (
            re.compile(rf"<{name}\b[^<>]*>", re.IGNORECASE),
            re.compile(rf"</{name}\s*>", re.IGNORECASE),
        )
        for name in ("script", "style", "head", "noscript", "template", "svg", "math")
    ),
)
_DECLARED = re.compile(
    r"<!\[CDATA\[|\]\]>|<\?[^<>]{0,400}\?>|<!DOCTYPE[^<>]{0,400}>", re.IGNORECASE
)
_TAG = re.compile(
    r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)"
    r"((?:\s+[\w:@.-]+(?:\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'|[^\s\"'<>=]+))?){0,40})\s*/?>"
)
_ALT = re.compile(r"\balt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_RAISED = re.compile(r"<sup>\s*([23])\s*</sup>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def tags(draft: Draft) -> None:
    """Take tags, comments and scripts out of a draft, and decode entities.

    Elements that stand by themselves get the marks of ends. The alternative text of a picture is
    spoken. What only looks like a tag, such as "x <y", stays.
    """
    if "<" in draft.text:
        for opening, closing in _HIDDEN:
            draft.cut(opening, closing, " ")
        draft.sub(_DECLARED, "")
        draft.sub(_RAISED, lambda m: "²³"[m[1] == "3"])
        draft.sub(_TAG, lambda m: _tag(draft, m))
    if "&" in draft.text:
        draft.sub(_ENTITY, lambda m: html.unescape(m[0]))


def _tag(draft: Draft, match: re.Match[str]) -> str:
    closes, name, attributes = match[1], match[2].lower(), match[3]
    if mark := BLOCKS.get(name):
        if mark == ", ":
            return mark if closes else ""
        opens = SENTENCE if mark == SENTENCE else PARAGRAPH
        return mark if closes else opens
    if name == "img":
        alt = _ALT.search(attributes)
        return f" {html.unescape(alt[1] or alt[2] or '')} " if alt else draft.skip(match, "image")
    before = match.start() and draft.text[match.start() - 1]
    if name not in _INLINE and (
        (before and str(before).isalnum() and not closes and not attributes)
        or ("=" not in attributes and attributes.strip())
    ):
        return match[0]  # List<String>, a <b c> d
    return "" if name in _INLINE else " "
