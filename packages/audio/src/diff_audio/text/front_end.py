"""The way from text to phonemes: fold, normalise, look up, and read the letters of unknown
words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from diff_audio.text.brackets import take
from diff_audio.text.normalise.characters import fold
from diff_audio.text.normalise.rules import tokens
from diff_audio.text.normalise.sentences import spans
from diff_audio.text.pronunciation.dictionary import Phones, lookup
from diff_audio.text.pronunciation.heteronyms import choose
from diff_audio.text.pronunciation.morphology import compose, with_s
from diff_audio.text.spoken import Skipped, Spoken
from diff_audio.text.symbols import GIVEN, PUNCTUATION, SPACE, VOWELS

__all__ = ["ENGINES", "phonemes", "pronounce", "utterances"]

ENGINES = ("cmu", "gruut", "espeak")

_LONGEST_WORD = 40
_MOST_SKIPPED = 1000  # reported with one sentence: memory stays bounded
_NAMES = {"A": ("EY1",), "I": ("AY1",), "O": ("OW1",)}


def phonemes(
    text: str, *, strict: bool = False, engine: str = "cmu", language: str = "en-us"
) -> Spoken:
    """The phonemes of a text, which may hold ARPAbet in brackets: `[HH AH0 L OW1]`.

    strict:   what cannot be spoken, such as emoji and other scripts, is an error; else it is
              left out and named in `skipped`
    engine:   "cmu": the dictionary and rules in this package, English only; "gruut" or "espeak":
              a library of the extra of that name, whose sounds are mapped to the nearest in
              `SYMBOLS`
    language: for "gruut" and "espeak", in their names: "en-us", "de-de", "fr-fr"

    Raises ValueError for a text without anything to say, malformed brackets, an unknown engine or
    language, a library that is not installed, and under `strict`.
    """
    spoken = _read(text, strict=strict, engine=engine, language=language)
    if not spoken.words:
        raise _nothing(text, spoken.skipped)
    return spoken


def utterances(
    text: str, *, strict: bool = False, engine: str = "cmu", language: str = "en-us"
) -> Iterator[Spoken]:
    """Yield the `phonemes` of each of the `sentences` of a text, one at a time, in bounded memory.

    Sentences without anything to say are left out; what was skipped in them is reported with
    the next or the last. Positions are those in the whole text. Raises ValueError as `phonemes`
    does.
    """
    take(text)  # a fault in a bracket is reported with its place in the whole text
    ready: Spoken | None = None
    skipped: tuple[Skipped, ...] = ()
    for start, end in spans(text):
        spoken = _read(text[start:end], strict=strict, engine=engine, language=language)
        new = tuple(replace(one, position=start + one.position) for one in spoken.skipped)
        skipped = (*skipped, *new)[:_MOST_SKIPPED]
        if not spoken.words:
            continue
        if ready:
            yield ready
        ready, skipped = replace(spoken, skipped=skipped), ()
    if not ready:
        raise _nothing(text, skipped)
    yield replace(ready, skipped=ready.skipped + skipped)


def _read(text: str, *, strict: bool, engine: str, language: str) -> Spoken:
    """Return `phonemes`, but of a text without anything to say too."""
    if not isinstance(text, str):
        raise ValueError(f"text is {type(text).__name__}: expected str")
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}: expected one of {', '.join(ENGINES)}")
    open_text, given = take(text)
    if engine == "cmu":
        if language != "en-us":
            raise ValueError(
                f"language is {language!r}: engine 'cmu' speaks 'en-us' only; "
                "expected engine 'gruut' or 'espeak'"
            )
        folded, skipped = fold(open_text)
        spoken = _speak(tokens(folded), given, skipped)
    else:
        from diff_audio.text.pronunciation.engines import speak

        spoken = speak(open_text, given, engine=engine, language=language)
    if strict and spoken.skipped:
        raise ValueError(f"text: cannot speak {spoken.skipped[0]}; without strict it is left out")
    return spoken


def _nothing(text: str, skipped: Sequence[Skipped]) -> ValueError:
    left = f"; left out: {'; '.join(map(str, skipped[:3]))}" if skipped else ""
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return ValueError(f"text holds nothing to say: {shown!a}: expected words{left}")


def _speak(words: Sequence[str], given: Sequence[Phones], skipped: Sequence[Skipped]) -> Spoken:
    """Return the phonemes of tokens; `given` fills the brackets in order."""
    sounds: list[str] = []
    said: list[str] = []
    brackets = iter(given)
    for place, token in enumerate(words):
        if token in PUNCTUATION:
            sounds.append(token)
            continue
        if token == GIVEN:
            phones = next(brackets)
            token = f"[{' '.join(phones)}]"
        else:
            phones = _in_context(words, place)
        if said:
            sounds.append(SPACE)
        sounds += phones
        said.append(token)
    return Spoken(tuple(sounds), tuple(said), tuple(skipped))


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
    if found := lookup(word):
        return found[0]
    if len(word) > _LONGEST_WORD:
        parts = (word[at : at + _LONGEST_WORD] for at in range(0, len(word), _LONGEST_WORD))
        return tuple(phone for part in parts for phone in pronounce(part))
    if found := compose(word):
        return found
    from diff_audio.text.pronunciation.letters import spell

    return spell(word)
