"""The user's own lexicon: how names and words are to be said.

A text file has a line for each word: the word, a tab or blanks, and its phonemes in ARPAbet
(`Siobhan  SH AH0 V AO1 N`), in the IPA (`Siobhan  /ʃəˈvɔːn/`), or the words to say in its stead
(`GitHub  git hub`). A word with blanks in it needs a tab behind it; `#` begins a comment. An XML
file is read as the Pronunciation Lexicon Specification (W3C, version 1.0, 2008).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree.ElementTree import Element

from diff_audio.text.pronunciation.alphabets import to_phones
from diff_audio.text.pronunciation.dictionary import Phones
from diff_audio.text.pronunciation.morphology import with_s
from diff_audio.text.spoken import Given
from diff_audio.text.xml import local, parse

__all__ = ["Lexicon"]

_POSSESSIVE = re.compile(r"['’]s\Z")
_WORD = r"[^\W_]+(?:['’][^\W_]+)*"
_COLUMNS = re.compile(r"([^\t]+?)\t+(.+)|(\S+)\s+(.+)")


@dataclass(frozen=True)
class Lexicon:
    """Words and how they are said: their phones, or the text to say in their stead.

    A word is found as it is written, else whatever the case of its letters, and with 's behind it.
    """

    words: Mapping[str, Phones | str]

    @classmethod
    def read(cls, path: Path) -> Lexicon:
        """Read a lexicon from a file. Raises ValueError with the line of a fault, and OSError."""
        document = path.read_bytes()
        try:
            if document.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                return cls(_pls(parse(document)))
            return cls(_columns(document.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: is not UTF-8 text (byte {error.start})") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def __bool__(self) -> bool:
        return bool(self.words)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Return the pattern of all that may be in the lexicon."""
        plain = re.compile(_WORD)
        others = [re.escape(word) for word in self.words if not plain.fullmatch(word)]
        others.sort(key=len, reverse=True)
        phrases = [rf"(?<!\w)(?:{'|'.join(others)})(?:['’]s)?(?!\w)"] if others else []
        return re.compile("|".join([*phrases, _WORD]), re.IGNORECASE)

    @cached_property
    def _folded(self) -> dict[str, Phones | str]:
        return {word.casefold(): said for word, said in reversed(list(self.words.items()))}

    def find(self, word: str) -> Phones | str | None:
        """Return how a word is said; None if it is not in the lexicon."""
        return self.words.get(word) or self._folded.get(word.casefold())

    def say(self, hold: Callable[[Given], str], match: re.Match[str]) -> str:
        """Return what stands for a match of the pattern in a draft, which `hold`s phones."""
        written = match[0]
        if (said := self.find(written)) is not None:
            return said if isinstance(said, str) else hold(Given(said, written))
        stem = _POSSESSIVE.sub("", written)
        if stem == written or (said := self.find(stem)) is None:
            return written
        return f"{said}'s" if isinstance(said, str) else hold(Given(with_s(said), written))


def _columns(text: str) -> dict[str, Phones | str]:
    words: dict[str, Phones | str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip() if not line.startswith(";;;") else ""
        if not line:
            continue
        match = _COLUMNS.fullmatch(line)
        if not match:
            raise ValueError(f"line {number} is {line[:40]!a}: expected a word and how it is said")
        word, said = (match[1] or match[3]).strip(), (match[2] or match[4]).strip()
        try:
            words.setdefault(word, _said(said))
        except ValueError as error:
            raise ValueError(f"line {number}, {word!a}: {error}") from None
    return words


def _said(written: str) -> Phones | str:
    """Return the second column as phones, or as the words that it is."""
    if len(written) > 2 and written[0] == written[-1] == "/":
        return to_phones(written[1:-1], "ipa")
    if not written.isascii() and re.search("[ɐ-˿]", written):
        return to_phones(written, "ipa")
    if written == written.upper() or re.search(r"[A-Z][012]\b", written):
        return to_phones(written, "arpabet")
    return written


def _pls(root: Element) -> dict[str, Phones | str]:
    """Return the lexemes of a document of the Pronunciation Lexicon Specification."""
    if local(root.tag) != "lexicon":
        raise ValueError(f"its root is <{local(root.tag)}>: expected <lexicon>")
    words: dict[str, Phones | str] = {}
    for lexeme in (one for one in root if local(one.tag) == "lexeme"):
        parts = [(local(one.tag), one, (one.text or "").strip()) for one in lexeme]
        names = [text for tag, _, text in parts if tag == "grapheme" and text]
        said: Phones | str | None = None
        for tag, one, text in parts:
            if said is None and tag == "phoneme":
                alphabet = one.get("alphabet") or root.get("alphabet") or "ipa"
                try:
                    said = to_phones(text, alphabet)
                except LookupError:
                    raise ValueError(
                        f"{', '.join(names)!a}: alphabet {alphabet!a}; expected ipa or arpabet"
                    ) from None
                except ValueError as error:
                    raise ValueError(f"{', '.join(names)!a}: {error}") from None
            elif said is None and tag == "alias":
                said = text
        if not names or said is None:
            raise ValueError("a lexeme without a grapheme, or without a phoneme and an alias")
        for name in names:
            words.setdefault(name, said)
    return words
