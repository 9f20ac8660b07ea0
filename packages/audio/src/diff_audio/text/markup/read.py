"""The reading of a text: SSML, or anything that people paste."""

from __future__ import annotations

import re

from diff_audio.text.markup import html, markdown, ssml
from diff_audio.text.markup.brackets import brackets, check
from diff_audio.text.markup.script import Draft, Script
from diff_audio.text.pronunciation.lexicon import Lexicon

__all__ = ["read"]

_LINE_END = re.compile(r"\r\n?|[\u2028\u0085]")
_LONG_ADDRESS = re.compile(
    r"((?:https?|ftp)://[A-Za-z0-9.-]{1,253}|www\.[A-Za-z0-9.-]{1,253})"
    r"(?=[/?#][^\s<>\"]{24})([/?#][^\s<>\"]*)"
)
_ADDRESS_END = ".,;:!?)'"


def read(text: str, *, strict: bool = False, lexicon: Lexicon | None = None) -> Script:
    """Return the script of a text: without markup, with what the markup means.

    A text that begins with the element `speak` is SSML. In any other, HTML, Markdown, mail quotes,
    tables and brackets are read as people mean them. What cannot be spoken is in `skipped`.
    `strict` allows phonemes only in square brackets.

    Raises ValueError for broken SSML, and for phonemes in brackets with a fault in them.
    """
    if ssml.is_ssml(text):
        draft = ssml.read(text)
        brackets(draft)
    else:
        if strict:
            check(text)
        draft = Draft(text)
        draft.sub(_LINE_END, "\n")
        html.tags(draft)
        markdown.blocks(draft)
        markdown.inline(draft)
        brackets(draft)
        markdown.paragraphs(draft)
    draft.sub(_LONG_ADDRESS, lambda m: _shorten(draft, m))
    if lexicon:
        draft.sub(lexicon.pattern, lambda m: lexicon.say(draft.hold, m))
    return draft.finish()


def _shorten(draft: Draft, match: re.Match[str]) -> str:
    """Keep the host of an address and leave out its path, but for a full stop after it."""
    tail = match[2][len(match[2].rstrip(_ADDRESS_END)) :]
    draft.skip(match, "path of an address", 2)
    return match[1] + tail
