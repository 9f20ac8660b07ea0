"""The addresses of mail and web in words."""

from __future__ import annotations

import re

from diff_audio.text.normalise.abbreviations import letter_names

__all__ = ["SIGNS", "addresses"]

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z]{2,24}"
_ENDS = "com|org|net|edu|gov|int|mil|info|io|ai|dev|app|uk|de|fr|eu|us|ca|au|nz|ie|in|jp|ch"
_MAIL = re.compile(rf"(?<![\w.@])[A-Za-z0-9][\w.+-]{{0,63}}@{_HOST}(?![\w@])")
_WEB = re.compile(
    rf"(?<![\w.@])(?:(?:https?|ftp)://[\w.~:/?#@!$&'()*+,;=%-]+|www\.{_HOST}(?:/[\w./?=&%#~+-]*)?|"
    rf"(?:[A-Za-z0-9-]{{1,63}}\.){{1,5}}(?:{_ENDS})(?![\w.-]*\w)(?:/[\w./?=&%#~+-]*)?)",
    re.ASCII,
)
SIGNS = {
    ".": "dot", "@": "at", "/": "slash", "-": "dash", "_": "underscore", ":": "colon",
    "?": "question mark", "=": "equals", "&": "and", "#": "hash", "%": "percent",
    "~": "tilde", "+": "plus", ",": "comma", ";": "semicolon", "!": "exclamation mark",
    "$": "dollar", "'": "", "(": "", ")": "", "*": "star",
}  # fmt: skip
"""The words for the signs of an address."""
_PIECE = re.compile(r"[A-Za-z]+|\d+|[^\w\s]|_")


def addresses(text: str) -> str:
    """Return `text` with its addresses as they are read out: "a.b@c.org" as "a dot b at c dot
    org".
    """
    return _WEB.sub(_read, _MAIL.sub(_read, text))


def _read(match: re.Match[str]) -> str:
    address = re.sub(r"^(?:https?|ftp)://", "", match[0])
    kept = address.rstrip(".,;:!?)'")
    words: list[str] = []
    pieces: list[str] = _PIECE.findall(kept.rstrip("/"))
    for piece in pieces:
        if piece.isalpha() and (len(piece) <= 2 or piece == "www"):
            words.append(letter_names(piece))
        elif piece.isdigit():
            words.append(" ".join(piece) if len(piece) > 4 or piece[0] == "0" else piece)
        else:
            words.append(SIGNS.get(piece, piece.lower()))
    return f" {' '.join(words)} {address[len(kept) :]}"
