"""The Speech Synthesis Markup Language (W3C, version 1.1, 2010), as far as this voice follows it.

Obeyed are `speak`, `p`, `s`, `break`, `say-as`, `sub`, `phoneme`, `emphasis`, and of `prosody` its
`rate` and `volume`. What else there is gets reported once by its name, and the text in it is
spoken. The parser is expat. Entities may not be declared, so that none is ever expanded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.parsers import expat

import numpy as np

from diff_audio.text.markup.say_as import is_known, say_as
from diff_audio.text.markup.script import PARAGRAPH, SENTENCE, Break, Draft, Places, Style
from diff_audio.text.pronunciation.alphabets import to_phones
from diff_audio.text.spoken import Given, Skipped
from diff_audio.text.xml import refuse_entities, where

__all__ = ["is_ssml", "read"]

_SPEAK = re.compile(
    r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE(?:[^>\[]|\[[^\]]*\])*>\s*)?"
    r"<(?:\w+:)?speak[\s>/]",
    re.DOTALL,
)
_TIME = re.compile(r"\+?(\d+(?:\.\d+)?|\.\d+)(ms|s)")
_PERCENT = re.compile(r"([+-]?)(\d+(?:\.\d+)?)%")
_DECIBELS = re.compile(r"([+-]\d+(?:\.\d+)?)dB")
_LONGEST_BREAK = 60.0

_BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.35, "strong": 0.7, "x-strong": 1.2}
_RATES = {"x-slow": 0.5, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
_VOLUMES = {
    "x-soft": -12.0,
    "soft": -6.0,
    "medium": 0.0,
    "default": 0.0,
    "loud": 4.0,
    "x-loud": 6.0,
}
_EMPHASIS = {
    "strong": Style(0.82, 3.0), "moderate": Style(0.9, 1.5), "none": Style(),
    "reduced": Style(1.1, -2.0),
}  # fmt: skip
_SILENT = frozenset(("desc", "metadata", "meta", "lexicon"))
_PLAIN = frozenset(("speak", "p", "s", "paragraph", "sentence"))


def is_ssml(text: str) -> bool:
    """Return whether a text is a document of SSML: it begins with the element `speak`."""
    return bool(_SPEAK.match(text))


def read(text: str) -> Draft:
    """Return the draft of a document of SSML.

    Raises ValueError in one line, with its place, for XML that is broken or declares entities, and
    for a value that no attribute of its kind has.
    """
    return _Reader(text).draft()


class _Reader:
    """A reader of one document: the handlers of the parser's events."""

    def __init__(self, source: str) -> None:
        self._draft = Draft(source)
        self._source = source
        self._start_of = np.cumsum([0, *(len(c.encode("utf-8", "replace")) for c in source)])
        self._parts: list[tuple[str, Places]] = []
        self._ends: list[Callable[[], None]] = []
        self._styles = [Style()]
        self._mute = 0
        self._noted: set[str] = set()
        self._parser = expat.ParserCreate("utf-8")

    def draft(self) -> Draft:
        """Parse the document and return its draft."""
        parser = self._parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        refuse_entities(parser)
        space = len(self._source) - len(self._source.lstrip())
        self._offset = int(self._start_of[space])
        try:
            parser.Parse(self._source.strip().encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            raise ValueError(f"text: broken SSML at {where(error)}") from None
        self._draft.rewrite(self._parts)
        return self._draft

    def _place(self) -> int:
        byte = self._parser.CurrentByteIndex + self._offset
        return int(np.searchsorted(self._start_of, byte, "right")) - 1

    def _add(self, text: str) -> None:
        place = min(self._place(), max(0, len(self._source) - 1))
        self._parts.append((text, np.full(len(text), place, np.int64)))

    def _text(self, text: str) -> None:
        if not self._mute:
            place = self._place()
            same = self._source.startswith(text, place)
            step = np.arange(len(text), dtype=np.int64) if same else 0
            self._parts.append((text, place + step + np.zeros(len(text), np.int64)))

    def _note(self, name: str) -> None:
        """Report once that something is not obeyed."""
        if name not in self._noted:
            self._noted.add(name)
            place = self._place()
            end = self._source.find(">", place) + 1
            self._draft.skipped.append(Skipped(place, self._source[place:end], f"{name} of SSML"))

    def _start(self, name: str, given: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        begins = {
            "break": self._break, "prosody": self._prosody, "emphasis": self._emphasis,
            "sub": self._sub, "phoneme": self._phoneme, "say-as": self._say_as,
        }  # fmt: skip
        if name in begins:
            self._ends.append(begins[name](given))
            return
        if name not in _PLAIN:
            self._note(name)
        mark = PARAGRAPH if name in ("p", "paragraph") else SENTENCE if name[0] == "s" else ""
        if name in _SILENT:
            self._mute += 1
            self._ends.append(self._loud)
        elif name in _PLAIN and name != "speak":
            self._add(SENTENCE)
            self._ends.append(lambda: self._add(mark))
        else:
            self._ends.append(lambda: None)

    def _loud(self) -> None:
        self._mute -= 1

    def _end(self, _name: str) -> None:
        self._ends.pop()()

    def _instead(self, change: Callable[[str], str | None]) -> Callable[[], None]:
        """Return what, at the end of an element, replaces the text in it by `change` of it."""
        first = len(self._parts)

        def end() -> None:
            inside = "".join(text for text, _ in self._parts[first:])
            new = change(inside)
            if new is not None:
                del self._parts[first:]
                self._add(new)

        return end

    def _break(self, given: dict[str, str]) -> Callable[[], None]:
        if "time" in given:
            match = _TIME.fullmatch(given["time"].strip())
            if not match:
                raise self._fault("break time", given["time"], "expected such as 500ms or 2s")
            seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
        else:
            seconds = self._named("break strength", given.get("strength", "medium"), _BREAKS)
        self._add(self._draft.hold(Break(min(seconds, _LONGEST_BREAK))))
        return lambda: None

    def _prosody(self, given: dict[str, str]) -> Callable[[], None]:
        for name in given:
            if name not in ("rate", "volume"):
                self._note(f"prosody {name}")
        rate, gain = given.get("rate", "default").strip(), given.get("volume", "default").strip()
        speed = _RATES.get(rate)
        if speed is None and (match := _PERCENT.fullmatch(rate)):
            share = float(match[2]) / 100
            speed = share if not match[1] else 1 + share if match[1] == "+" else 1 - share
        elif speed is None and re.fullmatch(r"\d*\.?\d+", rate):
            speed = float(rate)
        if speed is None:
            raise self._fault("prosody rate", rate, "expected such as slow, fast, 80% or +10%")
        level = _VOLUMES.get(gain)
        if level is None and (match := _DECIBELS.fullmatch(gain)):
            level = min(12.0, max(-40.0, float(match[1])))
        if level is None:
            raise self._fault("prosody volume", gain, "expected such as soft, loud or +6dB")
        return self._styled(Style(min(4.0, max(0.25, speed)), level))

    def _emphasis(self, given: dict[str, str]) -> Callable[[], None]:
        level = given.get("level", "moderate")
        if level not in _EMPHASIS:
            raise self._fault("emphasis level", level, f"expected {', '.join(_EMPHASIS)}")
        return self._styled(_EMPHASIS[level])

    def _styled(self, style: Style) -> Callable[[], None]:
        self._styles.append(self._styles[-1] * style)
        self._add(self._draft.hold(self._styles[-1]))

        def end() -> None:
            self._styles.pop()
            self._add(self._draft.hold(self._styles[-1]))

        return end

    def _sub(self, given: dict[str, str]) -> Callable[[], None]:
        return self._instead(lambda _inside: f" {given.get('alias', '')} ")

    def _phoneme(self, given: dict[str, str]) -> Callable[[], None]:
        alphabet = given.get("alphabet", "ipa")
        try:
            phones = to_phones(given.get("ph", ""), alphabet)
        except LookupError:
            self._note(f"phoneme alphabet {alphabet}")
            return lambda: None
        except ValueError as error:
            raise self._fault("phoneme ph", given.get("ph", ""), str(error)) from None
        return self._instead(
            lambda inside: self._draft.hold(Given(phones, " ".join(inside.split()) or "phonemes"))
        )

    def _say_as(self, given: dict[str, str]) -> Callable[[], None]:
        kind, form = given.get("interpret-as", ""), given.get("format", "")
        if not is_known(kind):
            self._note(f"say-as {kind}")
        return self._instead(lambda inside: say_as(inside.strip(), kind, form))

    def _named(self, what: str, value: str, known: dict[str, float]) -> float:
        if value not in known:
            raise self._fault(what, value, f"expected {', '.join(known)}")
        return known[value]

    def _fault(self, what: str, value: str, expected: str) -> ValueError:
        return ValueError(f"text: {what} {value!a} at character {self._place()}: {expected}")
