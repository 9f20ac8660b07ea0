"""The checks of a voice in training: the loss on held-out texts, and one of them spoken."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from diff_audio.text import SYMBOLS
from diff_audio.voice.model import Voice, best_durations
from diff_audio.voice.picture import figure
from diff_audio.voice.training.corpus import VoiceCorpus, collate
from diff_audio.voice.training.objective import Speaking
from diff_audio.weights import path_of
from diff_core.noise import Keyed
from diff_core.train.job import means

if TYPE_CHECKING:
    from diff_audio.vocoder import Vocoder

__all__ = ["Example", "Validation"]


class Validation:
    """The three terms of the loss on the held-out texts, with always the same noise."""

    def __init__(self, corpus: VoiceCorpus, objective: Speaking, size: int = 16) -> None:
        clips = sorted(corpus.select("val"), key=lambda clip: clip.frames)
        self._batches = [
            collate(clips[start : start + size], corpus.speakers)
            for start in range(0, len(clips), size)
        ]
        self._objective = objective

    def __call__(self, model: Voice, step: int) -> dict[str, float]:
        """Return the means over the clips; `step` is not used."""
        return means(self.each(model))

    @torch.no_grad()
    def each(self, model: Voice) -> dict[str, list[float]]:
        """Return the terms of each clip, the shortest first."""
        device = next(model.parameters()).device
        found: dict[str, list[float]] = {}
        for number, batch in enumerate(self._batches):
            batch = {name: value.to(device) for name, value in batch.items()}
            generator = torch.Generator().manual_seed(number)
            for name, values in self._objective.terms(model, batch, generator).items():
                found.setdefault(name, []).extend(values.tolist())
        return found


class Example:
    """A picture for TensorBoard, of the longest held-out recording: its alignment, and its text as
    spoken.
    """

    def __init__(self, corpus: VoiceCorpus) -> None:
        clip = max(corpus.select("val"), key=lambda clip: clip.frames)
        self._batch, self._mel = collate([clip], corpus.speakers), corpus.mel
        self._symbols = [SYMBOLS[index] for index in clip.symbols]
        self._text = clip.utterance.text

    @torch.no_grad()
    def __call__(self, model: Voice, step: int) -> dict[str, Tensor | tuple[Tensor, int]]:
        """`alignment` and `spoken`, pictures, and where the shipped vocoder fits, `sound`."""
        device = next(model.parameters()).device
        batch = {name: value.to(device) for name, value in self._batch.items()}
        encoded = model.encode(batch["symbols"], batch["tokens"], batch["speaker"])
        found = best_durations(model.standardise(batch["mel"]), encoded, batch["frames"])
        durations = model.durations(encoded)
        mel = model.speak(encoded, durations, Keyed([0]))[0].cpu()
        mel = mel.clamp(min=math.log(self._mel.floor))
        shown: dict[str, Tensor | tuple[Tensor, int]] = {
            "alignment": self._drawn(batch["mel"][0].cpu(), found[0].cpu()),
            "spoken": self._drawn(mel, durations[0].cpu()),
        }
        if self._vocoder is not None:
            shown["sound"] = (self._vocoder(mel)[0], self._mel.sample_rate)
        return shown

    @cached_property
    def _vocoder(self) -> Vocoder | None:
        """The one that comes with the package, if its mel is the corpus's."""
        from diff_audio.vocoder import Vocoder

        vocoder = Vocoder.from_pretrained(device="cpu") if path_of("vocoder").exists() else None
        return vocoder if vocoder is not None and vocoder.mel == self._mel else None

    def _drawn(self, mel: Tensor, durations: Tensor) -> Tensor:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure(mel, durations, self._symbols, self._mel, self._text))
        canvas.draw()
        pixels = torch.from_numpy(np.array(canvas.buffer_rgba())[..., :3].copy())
        return pixels.permute(2, 0, 1).float() / 255
