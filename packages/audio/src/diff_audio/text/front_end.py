"""The way from text to phonemes: read the markup, fold, normalise, look up, and read the letters
of unknown words.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from diff_audio.text.markup.read import read
from diff_audio.text.markup.script import Style
from diff_audio.text.normalise.abbreviations import LETTER
from diff_audio.text.normalise.characters import fold
from diff_audio.text.normalise.rules import tokens
from diff_audio.text.normalise.sentences import cuts
from diff_audio.text.pronunciation.dictionary import Phones, corrected, lookup
from diff_audio.text.pronunciation.heteronyms import choose
from diff_audio.text.pronunciation.lexicon import Lexicon
from diff_audio.text.pronunciation.morphology import compose, with_s
from diff_audio.text.spoken import GAPS, Given, Skipped, Spoken
from diff_audio.text.symbols import GIVEN, PUNCTUATION, SPACE, STYLE, VOWELS

__all__ = ["ENGINES", "phonemes", "pronounce", "utterances"]

ENGINES = ("cmu", "gruut", "espeak")
"""The makers of phonemes."""

_LONGEST_WORD = 40
_MOST_SKIPPED = 1000  # reported with one sentence: memory stays bounded
_ENDS = re.compile("[\x05-\x08]")
_MARKS = re.compile("[\x00-\x08]")
_GAP = re.compile(r" (?=[.,;:!?])")
_NAMES = {"A": ("EY1",), "I": ("AY1",), "O": ("OW1",)}


def phonemes(
    text: str,
    *,
    strict: bool = False,
    engine: str = "cmu",
    language: str = "en-us",
    lexicon: Lexicon | None = None,
) -> Spoken:
    """The phonemes of a text, which may hold ARPAbet in brackets: `[HH AH0 L OW1]`.

    A text that begins with `<speak>` is SSML. In others Markdown, HTML, tables and brackets are
    read as people mean them (`diff_audio.text.markup.read`).

    strict:   what cannot be spoken, such as emoji and other scripts, is an error, and so is what
              is in square brackets and no phonemes; else it is left out and named in `skipped`
    engine:   "cmu": the dictionary and rules in this package, English only; "gruut" or "espeak":
              a library of the extra of that name, whose sounds are mapped to the nearest in
              `SYMBOLS`
    language: for "gruut" and "espeak", in their names: "en-us", "de-de", "fr-fr"
    lexicon:  the user's own words, which come before all else

    Raises ValueError for a text without anything to say, faulty phonemes in brackets, broken SSML,
    an unknown engine or language, a library that is not installed, and under `strict`.
    """
    reader = _Reader(text, strict, engine, language, lexicon)
    script = reader.script
    spoken = reader.speak(_ENDS.sub("\n", script.text), 0, Style())
    skipped = sorted((*script.skipped, *spoken.skipped), key=_position)
    reader.refuse(skipped)
    if not spoken.words:
        raise _nothing(text, skipped)
    return replace(spoken, skipped=tuple(skipped))


def utterances(
    text: str,
    *,
    strict: bool = False,
    engine: str = "cmu",
    language: str = "en-us",
    lexicon: Lexicon | None = None,
) -> Iterator[Spoken]:
    """Yield the `phonemes` of each of the `sentences` of a text, one at a time, in bounded memory.

    Each has the pause after it. Sentences without anything to say are left out; what was skipped
    in them is reported with the next or the last. Positions are those in the whole text. Raises
    ValueError as `phonemes` does.
    """
    reader = _Reader(text, strict, engine, language, lexicon)
    ahead = deque(reader.script.skipped)
    ready: Spoken | None = None
    skipped: list[Skipped] = []
    lead = 0.0
    for spoken, end in reader.sentences():
        skipped += spoken.skipped
        while ahead and ahead[0].position < end:
            skipped.append(ahead.popleft())
        reader.refuse(skipped)
        if not spoken.words:
            if ready:
                ready = _longer(ready, spoken)
            else:
                lead += spoken.pause or 0.0
            continue
        if ready:
            yield ready
        told = tuple(sorted(skipped, key=_position)[:_MOST_SKIPPED])
        ready, skipped = replace(spoken, skipped=told, lead=lead), []
        lead = 0.0
    skipped += ahead
    reader.refuse(skipped)
    if not ready:
        raise _nothing(text, skipped)
    yield replace(ready, skipped=ready.skipped + tuple(skipped[:_MOST_SKIPPED]))


def _tidy(text: str) -> str:
    """Return a sentence as it is shown: without the gaps that markup left."""
    return _GAP.sub("", " ".join(text.split()))


def _position(skipped: Skipped) -> int:
    return skipped.position


def _longer(spoken: Spoken, silent: Spoken) -> Spoken:
    """Return a sentence with the pause of the silent one after it, if that is the longer one."""
    gap = max(spoken.gap, silent.gap, key=GAPS.index)
    if silent.pause is None:
        return replace(spoken, gap=gap)
    return replace(spoken, gap=gap, pause=max(silent.pause, spoken.pause or 0.0))


class _Reader:
    """A reader of one text, sentence by sentence."""

    def __init__(
        self, text: str, strict: bool, engine: str, language: str, lexicon: Lexicon | None
    ) -> None:
        if not isinstance(text, str):
            raise ValueError(f"text is {type(text).__name__}: expected str")
        if engine not in ENGINES:
            raise ValueError(f"engine is {engine!r}: expected one of {', '.join(ENGINES)}")
        if engine == "cmu" and language != "en-us":
            raise ValueError(
                f"language is {language!r}: engine 'cmu' speaks 'en-us' only; "
                "expected engine 'gruut' or 'espeak'"
            )
        self.script = read(text, strict=strict, lexicon=lexicon)
        self._strict, self._engine, self._language = strict, engine, language
        self._given, self._styles = iter(self.script.given), iter(self.script.styles)

    def sentences(self) -> Iterator[tuple[Spoken, int]]:
        """Yield each sentence, silent ones too, and where it ends in the source."""
        places = self.script.places
        for block in self.script.blocks():
            style = block.style
            pieces = list(cuts(block.text))
            for number, (start, end, gap) in enumerate(pieces):
                spoken = self.speak(block.text[start:end], block.start + start, style)
                style = self._last
                last = number == len(pieces) - 1
                after = int(places[block.start + end - 1]) + 1
                if last:
                    spoken = replace(spoken, gap=block.gap, pause=block.pause)
                else:
                    spoken = replace(spoken, gap=gap)
                yield spoken, after
            if not pieces:
                yield Spoken((), (), gap=block.gap, pause=block.pause), 0

    def speak(self, text: str, start: int, style: Style) -> Spoken:
        """Return a piece of the script from `start`, whose manner begins as `style`."""
        given = list(islice(self._given, text.count(GIVEN)))
        styles = [style, *islice(self._styles, text.count(STYLE))]
        self._last = styles[-1]
        if self._engine == "cmu":
            folded, skipped = fold(text)
            spoken = _speak(tokens(folded), given, styles)
        else:
            from diff_audio.text.pronunciation.engines import speak

            spoken = speak(
                text.replace(LETTER, ""), given, engine=self._engine, language=self._language
            )
            skipped = spoken.skipped
        found = [
            self.script.skip(start + one.position, start + one.position + len(one.text), one.name)
            for one in skipped
        ]
        words = iter(given)
        written = _MARKS.sub(lambda m: next(words).word if m[0] == GIVEN else "", text)
        return replace(spoken, skipped=tuple(found), text=_tidy(written))

    def refuse(self, skipped: Sequence[Skipped]) -> None:
        """Raise ValueError under `strict` for what was skipped."""
        if self._strict and skipped:
            raise ValueError(f"text: cannot speak {skipped[0]}; without strict it is left out")


def _nothing(text: str, skipped: Sequence[Skipped]) -> ValueError:
    left = f"; left out: {'; '.join(map(str, skipped[:3]))}" if skipped else ""
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return ValueError(f"text holds nothing to say: {shown!a}: expected words{left}")


def _speak(marked: Sequence[str], given: Sequence[Given], styles: Sequence[Style]) -> Spoken:
    """Return the phonemes of tokens.

    `given` are the words for each `GIVEN` in order; `styles` the manner at first and after each
    `STYLE`.
    """
    words: list[str] = []
    manners: list[Style] = []
    number = 0
    for token in marked:
        if token == STYLE:
            number += 1
        else:
            words.append(token)
            manners.append(styles[number])
    sounds: list[str] = []
    said: list[str] = []
    ways: list[Style] = []
    held = iter(given)
    for place, token in enumerate(words):
        if token in PUNCTUATION:
            phones: Sequence[str] = (token,)
        else:
            if token == GIVEN:
                item = next(held)
                phones, token = item.phones, item.word
            else:
                phones = _in_context(words, place)
            phones = [SPACE, *phones] if said else phones
            said.append(token)
        sounds += phones
        ways += [manners[place]] * len(phones)
    if all(way == Style() for way in ways):
        return Spoken(tuple(sounds), tuple(said))
    rates, gains = tuple(way.rate for way in ways), tuple(way.gain for way in ways)
    return Spoken(tuple(sounds), tuple(said), rates=rates, gains=gains)


def _in_context(words: Sequence[str], place: int) -> Phones:
    word = words[place]
    if word == "the":
        return ("DH", "IY0" if _starts_with_vowel(words[place + 1 : place + 2]) else "AH0")
    return choose(words, place) or pronounce(word)


def _starts_with_vowel(word: Sequence[str]) -> bool:
    if not word or word[0] in PUNCTUATION or word[0] == GIVEN:
        return False
    return pronounce(word[0])[0][:-1] in VOWELS


def pronounce(word: str) -> Phones:
    """Return one word by itself, in the form of `Spoken.words`; never fails.

    A word in lower case is looked up, else composed of known parts, else read by its letters; a
    capital is a letter's name.
    """
    if word[0].isupper():
        name = _NAMES.get(word[0]) or lookup(word[0].lower())[0]
        return with_s(name) if word[1:] == "s" else name
    if found := corrected(word):
        return found
    if word.endswith("'s") and (found := corrected(word[:-2])):
        return with_s(found)
    if found := lookup(word):
        return found[0]
    if len(word) > _LONGEST_WORD:
        parts = (word[at : at + _LONGEST_WORD] for at in range(0, len(word), _LONGEST_WORD))
        return tuple(phone for part in parts for phone in pronounce(part))
    if found := compose(word):
        return found
    from diff_audio.text.pronunciation.letters import spell

    return spell(word)
