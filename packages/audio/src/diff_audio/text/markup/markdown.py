"""The Markdown of a text: headings, lists, tables, quotes, code, links, images and emphasis."""

from __future__ import annotations

import re

from diff_audio.text.markup.brackets import is_meant
from diff_audio.text.markup.script import HEADING, PARAGRAPH, SENTENCE, Draft

__all__ = ["blocks", "inline", "paragraphs"]

_LINE = re.MULTILINE
_FRONT = re.compile(r"\A---\n(?:[\w-]+:.*\n|[ -].*\n|\n){1,60}?---[ \t]*(?:\n|\Z)")
_FENCES = tuple(
    (
        re.compile(rf"^ {{0,3}}{mark}{{3,}}(?!{mark})[^\n{mark}]*\n", _LINE),
        re.compile(rf"^ {{0,3}}{mark}{{3,}}[ \t]*$", _LINE),
    )
    for mark in "`~"
)
_MAIL = re.compile(
    r"^(?:On|Am|Le) [^\x05-\x08]{6,200}?\s(?:wrote|schrieb.{0,80}|a écrit)\s?:[ \t]*\n"
    r"(?:[ \t]*\n)*(?:^[ \t]*>.*(?:\n|\Z))+",
    _LINE,
)
_QUOTE = re.compile(r"^[ \t]{0,3}(?:>[ \t]?)+", _LINE)
_ATX = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$\n?", _LINE)
_SETEXT = re.compile(r"^(?=.*\w)([^\n|>]{1,100})\n {0,3}(?:={3,}|-{3,})[ \t]*$\n?", _LINE)
_RULE = re.compile(
    r"^ {0,3}(?:(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|(?:\*[ \t]*){3,}|={3,}|~{3,})$", _LINE
)
_ITEM = re.compile(r"^[ \t]*[-+*•‣▪◦●·–][ \t]+(?:\[[ xX]\][ \t]+)?(?=\S)", _LINE)
_NUMBERED = re.compile(r"^[ \t]*(\d{1,3})[.)][ \t]+(?=\S)", _LINE)
_BOX = re.compile(r"[│┃║]")
_BORDER = re.compile(r"^(?=.*[-─━═+┼])[-+|:=─━═┌┐└┘├┤┬┴┼╔╗╚╝╠╣╦╩╬ \t]{3,}$", _LINE)
_ROW = re.compile(r"^(?=[^|\n]*\|)[ \t]*\|?(.*?)\|?[ \t]*$", _LINE)
_TABBED = re.compile(r"^([^\t\n]+(?:\t+[^\t\n]+)+)[ \t]*$", _LINE)
_CELL = re.compile(r"(?<![ \t])[ \t]*(?:\||\t+)[ \t|]*")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n^]{1,200}\]:[ \t]+<?\S+>?(?:[ \t]+[\"'(].*)?$\n?", _LINE)
_FOOTNOTE = re.compile(r"^ {0,3}\[\^[^\]\n]{1,60}\]:[ \t]*", _LINE)
_FOOTNOTE_MARK = re.compile(r"\[\^[^\]\n]{1,60}\]")

_URL = r"\(\s*<?(?:[^\s()<>]|\([^\s()]*\)){0,2000}>?(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)"
_IMAGE = re.compile(rf"!\[([^\[\]]*)\](?:{_URL}|\[[^\]\n]*\])")
_LINK = re.compile(rf"\[([^\[\]]*)\]{_URL}")
_REFERENCE = re.compile(r"\[([^\[\]\n]*[^\[\]\n\W\d_]{2}[^\[\]\n]*)\]\[[^\[\]\n]{0,60}\]")
_AUTOLINK = re.compile(r"<((?:https?|ftp|mailto):[^\s<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)>")
_CODE = re.compile(r"(?<!`)(`+)(?!`)([^`\n]+)\1(?!`)")
_EMPHASIS = (
    re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]+(?:\n[^*\n]+){0,8}?)(?<=\S)\1(?![\w*])"),
    re.compile(r"(?<!\w)(_{1,3})(?=[^\s_])((?:[^_\n]|(?<=\w)_(?=\w)){1,300}?)(?<=[^\s_])\1(?!\w)"),
    re.compile(r"(~~)(?=\S)([^~\n]+)(?<=\S)~~"),
)
_NESTED = 3  # emphasis within emphasis
_ESCAPE = re.compile(r"\\([*_#\[\]()~`>|!{}\\])")

_BLANK = re.compile(r"\n[ \t]*\n\s*")
_TITLE = re.compile(
    r"(?:\A|(?<=\n\n))([^\n\x05-\x08]{0,60}[^\s.!?:;,…\"'”’)\x05-\x08-])[ \t]*(?=\n\n)"
)


def blocks(draft: Draft) -> None:
    """Take the marks of blocks out of a draft: what they divide gets the marks of ends."""
    draft.sub(_FRONT, lambda m: draft.skip(m, "front matter"))
    for opening, closing in _FENCES:
        draft.cut(opening, closing, PARAGRAPH, "code")
        draft.sub(opening, PARAGRAPH)
    draft.sub(_MAIL, lambda m: draft.skip(m, "quoted mail") + PARAGRAPH)
    draft.sub(_QUOTE, "")
    draft.sub(_DEFINITION, "")
    draft.sub(_FOOTNOTE, SENTENCE)
    for heading in (_ATX, _SETEXT):
        draft.sub(heading, PARAGRAPH, keep=1, after=HEADING)
    draft.sub(_BOX, "|")
    draft.sub(_BORDER, SENTENCE)
    draft.sub(_RULE, PARAGRAPH)
    for row in (_ROW, _TABBED):
        draft.sub(row, SENTENCE, keep=1, after=SENTENCE)
    draft.sub(_CELL, ", ")
    draft.sub(_ITEM, SENTENCE)
    if len(_NUMBERED.findall(draft.text)) > 1:
        draft.sub(_NUMBERED, SENTENCE, keep=1, after=", ")


def inline(draft: Draft) -> None:
    """Take the marks within lines out of a draft: links, images, code, emphasis, escapes."""
    draft.sub(_IMAGE, lambda m: "" if m[1].strip() else draft.skip(m, "image"), keep=1)
    draft.sub(_LINK, "", keep=1)
    draft.sub(_REFERENCE, lambda m: 0 if is_meant(m[0].strip("[]")) else 1)
    draft.sub(_AUTOLINK, "", keep=1)
    draft.sub(_FOOTNOTE_MARK, lambda m: draft.skip(m, "citation"))
    draft.sub(_CODE, "", keep=2)
    for _ in range(_NESTED):
        for pattern in _EMPHASIS:
            draft.sub(pattern, "", keep=2)
    draft.sub(_ESCAPE, "", keep=1)


def paragraphs(draft: Draft) -> None:
    """Mark the ends of paragraphs, and of headings: short single lines without a full stop."""
    draft.sub(_BLANK, "\n\n")
    draft.sub(_TITLE, "", keep=1, after=HEADING)
    draft.sub(_BLANK, PARAGRAPH)
