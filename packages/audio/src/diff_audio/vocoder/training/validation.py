"""The scores of a training run: held-out recordings made anew from their own mel spectrograms."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from diff_audio.data.corpus import Clip, Corpus
from diff_audio.metrics.scores import RATE, estoi, pesq_wb
from diff_audio.sound.resample import resample
from diff_audio.spectra.mel import Mel
from diff_core.denoiser import Denoiser
from diff_core.train.job import means

__all__ = ["CopySynthesis", "Vocode"]

Vocode = Callable[[Any, Tensor], Tensor]
"""A function from the model and a log-mel to a wave."""

_SHORTEST, _LONGEST = 1.5, 4.0  # seconds


class CopySynthesis:
    """A validation (denoiser, step): mean ESTOI and, where installed, PESQ of each set.

    vocode: (denoiser, log-mel (mels, N)) -> wave ((N - 1) * hop,) on the CPU

    Takes `count` clips of the split "val" of each set, evenly spaced, their first four seconds.
    """

    def __init__(self, corpus: Corpus, mel: Mel, count: int, vocode: Vocode) -> None:
        self.corpus, self.mel, self.vocode = corpus, mel, vocode
        groups: dict[str, list[Clip]] = {}
        for clip in corpus.select("speech", "val"):
            if clip.length > _SHORTEST * corpus.rate:
                groups.setdefault(clip.group, []).append(clip)
        self.clips = {
            group: [clips[k * len(clips) // count] for k in range(min(count, len(clips)))]
            for group, clips in groups.items()
        }

    def __call__(self, denoiser: Denoiser, step: int) -> dict[str, float]:
        """Return the mean scores; `step` is not used."""
        return means(self.each(denoiser))

    def each(self, denoiser: Denoiser) -> dict[str, list[float]]:
        """The scores of each clip."""
        scores: dict[str, list[float]] = {}
        for group, clips in self.clips.items():
            for clip in clips:
                pair = self._copied(denoiser, clip)
                true, found = (resample(w, self.mel.sample_rate, RATE).numpy() for w in pair)
                scores.setdefault(f"estoi, {group}", []).append(estoi(true, found))
                if find_spec("pesq"):  # an extra: it is built with a C compiler
                    scores.setdefault(f"pesq, {group}", []).append(pesq_wb(true, found))
        return scores

    def sounds(self, denoiser: Denoiser, step: int) -> dict[str, tuple[Tensor, int]]:
        """The first clip of each set as recorded and made anew, for TensorBoard; `step` is not
        used.
        """
        heard: dict[str, tuple[Tensor, int]] = {}
        for group, clips in self.clips.items():
            pair = self._copied(denoiser, clips[0])
            for name, wave in zip(("recorded", "made anew"), pair, strict=True):
                heard[f"{name}, {group}"] = (wave, self.mel.sample_rate)
        return heard

    def _copied(self, denoiser: Denoiser, clip: Clip) -> tuple[Tensor, Tensor]:
        """Return a clip's beginning, whole hops long, and the wave of its mel spectrogram."""
        wave = torch.from_numpy(self.corpus.read(clip, 0, int(_LONGEST * self.mel.sample_rate)))
        wave = wave[: len(wave) // self.mel.hop * self.mel.hop]
        return wave, self.vocode(denoiser, self.mel(wave))
