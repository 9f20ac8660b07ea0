"""The other languages, by libraries of the extras `diff-audio[gruut]` and `diff-audio[espeak]`.

gruut (M. Hansen) is under the MIT licence. espeak-ng and phonemizer are under the GPL 3: they are
never asked for by the package itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from diff_audio.text.pronunciation.ipa import arpabet
from diff_audio.text.spoken import Given, Skipped, Spoken
from diff_audio.text.symbols import GIVEN, PUNCTUATION, SPACE, STYLE

__all__ = ["speak"]

# A word as it is written and its sounds in IPA; None where the library cannot say it. Of
# punctuation, the mark and None.
Said = tuple[str, str | None]

_BREAKS = re.compile(r"[,.;:!?]+(?=\s|$)")


def speak(text: str, given: Sequence[Given], *, engine: str, language: str) -> Spoken:
    """Return `text` spoken by `engine`; `given` are the words for each `GIVEN` in it.

    Changes of manner are passed over.

    Raises ValueError if the library is not installed or does not know the language.
    """
    read = _gruut if engine == "gruut" else _espeak
    sounds: list[str] = []
    words: list[str] = []
    skipped: list[Skipped] = []
    offset = 0
    for number, piece in enumerate(text.replace(STYLE, " ").split(GIVEN)):
        if number:
            phones: Sequence[str] = given[number - 1].phones
            sounds += [SPACE, *phones] if words else phones
            words.append(given[number - 1].word)
        at = 0
        for word, ipa in read(piece, language) if piece.strip() else ():
            if ipa is None and word[:1] in PUNCTUATION:
                if words and sounds[-1] not in PUNCTUATION:
                    sounds.append(word[0])
                continue
            at = max(at, piece.find(word, at))
            phones, unknown = arpabet(ipa or "", tap="D" if language.startswith("en") else "R")
            if unknown or not phones:
                name = f"no sound for {''.join(unknown)}" if unknown else "not spoken"
                skipped.append(Skipped(offset + at, word, name))
            if phones:
                sounds += [SPACE, *phones] if words else phones
                words += [word] if word else []
        offset += len(piece) + 1
    return Spoken(tuple(sounds), tuple(words), tuple(skipped))


def _missing(engine: str, error: ImportError) -> ValueError:
    return ValueError(
        f"engine {engine!r} is not installed ({error}): pip install 'diff-audio[{engine}]'"
    )


def _gruut(text: str, language: str) -> Iterator[Said]:
    try:
        import gruut  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise _missing("gruut", error) from error
    short = language.split("-")[0]
    known = gruut.get_supported_languages()
    if language not in known:
        raise ValueError(
            f"language is {language!r}: expected one of gruut's: {', '.join(sorted(known))}"
        )
    if gruut.lang.find_lang_dir(language) is None:
        raise ValueError(
            f"language is {language!r}, whose data is not installed: pip install 'gruut[{short}]'"
        )
    for sentence in gruut.sentences(text, lang=language):
        for word in sentence:
            if word.is_spoken:
                yield word.text, " ".join(word.phonemes) if word.phonemes else None
            elif word.is_break:
                yield word.text, None


@cache
def _backend(language: str) -> Any:
    try:
        import espeakng_loader  # pyright: ignore[reportMissingImports]
        from phonemizer.backend import EspeakBackend  # pyright: ignore[reportMissingImports]
        from phonemizer.backend.espeak.wrapper import EspeakWrapper  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise _missing("espeak", error) from error
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    try:
        return EspeakBackend(language, with_stress=True, language_switch="remove-flags")
    except RuntimeError as error:
        raise ValueError(f"language is {language!r}: {error}") from error


def _espeak(text: str, language: str) -> Iterator[Said]:
    backend = _backend(language)
    from phonemizer.separator import Separator  # pyright: ignore[reportMissingImports]

    start = 0
    for match in [*_BREAKS.finditer(text), None]:
        end = match.start() if match else len(text)
        clause = text[start:end].strip()
        if clause:
            (line,) = backend.phonemize([clause], separator=Separator(phone=" ", word="|"))
            sounds = [sound.strip() for sound in line.split("|") if sound.strip()]
            written = clause.split()
            if len(sounds) != len(written):  # a number in words, or words run together
                written = [clause, *[""] * (len(sounds) - 1)] if sounds else [clause]
            yield from zip(written, sounds or [None], strict=True)
        if match:
            yield match[0], None
            start = match.end()
