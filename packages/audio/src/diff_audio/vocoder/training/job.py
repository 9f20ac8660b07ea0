"""The training job of the vocoder: its recipe, and the job that a recipe and recordings make."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.random import default_rng
from torch import Tensor

from diff_audio.data.corpus import Clip, Corpus
from diff_audio.spectra.mel import Mel
from diff_audio.vocoder.model import Vocoder
from diff_audio.vocoder.network import FrameNet
from diff_audio.vocoder.training.diffwave import WaveDiffusion, Waves, diffuse
from diff_audio.vocoder.training.objective import Vocoding
from diff_audio.vocoder.training.validation import CopySynthesis
from diff_core.data.split import Split
from diff_core.denoiser import Denoiser, FromX0
from diff_core.io import Card
from diff_core.schedule import RectifiedFlow
from diff_core.train import Job, TrainConfig

if TYPE_CHECKING:
    from diff_audio.data.inputs import Speech

__all__ = ["Network", "Pieces", "Recipe", "Utterances", "build"]


@dataclass(frozen=True)
class Network:
    """The keywords of `FrameNet`."""

    width: int = 256
    dilations: tuple[int, ...] = (1, 1, 2, 1, 4, 1, 2, 1)


@dataclass(frozen=True)
class Pieces:
    """The pieces of recordings that are items.

    frames:  hops of a piece
    level:   range of its level, dB of full scale (root mean square)
    weights: weights of the sets (folders, or a manifest's set); a set without one weighs its hours
    """

    frames: int = 64
    level: tuple[float, float] = (-30.0, -14.0)
    weights: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Recipe:
    """The numbers of a run, all of them.

    diffwave:   train this instead: diffusion of the wave itself, the baseline of a lab
    validation: clips of each set to score on
    """

    train: TrainConfig
    network: Network = field(default_factory=Network)
    objective: Vocoding = field(default_factory=Vocoding)
    pieces: Pieces = field(default_factory=Pieces)
    validation: int = 4
    diffwave: Waves | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if there is nothing to score."""
        if self.validation < 1:
            raise ValueError(f"validation is {self.validation}; expected 1 or more")


class Utterances:
    """A source of pieces: item i has a `wave` (T,) of one utterance at a random level, a pure
    function of (seed, i).

    Raises ValueError if the corpus has no speech in the split.
    """

    def __init__(
        self, corpus: Corpus, mel: Mel, pieces: Pieces, seed: int = 0, split: Split = "train"
    ) -> None:
        self.corpus, self.pieces, self.seed = corpus, pieces, seed
        self.length = pieces.frames * mel.hop
        self.clips = tuple(c for c in corpus.select("speech", split) if c.length > mel.n_fft)
        if not self.clips:
            raise ValueError(f"the corpus has no speech for split {split!r}")
        hours: dict[str, float] = {}
        for clip in self.clips:
            hours[clip.group] = hours.get(clip.group, 0.0) + clip.length
        weights = [
            clip.length
            * (
                pieces.weights[clip.group] / hours[clip.group]
                if clip.group in pieces.weights
                else 1.0 / corpus.rate / 3600
            )
            for clip in self.clips
        ]
        self._chances = np.cumsum(weights) / np.sum(weights)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = default_rng((self.seed, index))
        clip = self.choose(rng.random())
        start = int(rng.integers(max(1, clip.length - self.length + 1)))
        wave = np.zeros(self.length, np.float32)
        piece = self.corpus.read(clip, start, self.length)
        wave[: len(piece)] = piece
        power = float(np.sqrt(np.mean(np.square(wave)))) + 1e-4
        gain = 10 ** (rng.uniform(*self.pieces.level) / 20) / power
        return {"wave": torch.from_numpy(wave * np.float32(gain))}

    def choose(self, chance: float) -> Clip:
        """The clip for a chance in [0, 1)."""
        found = int(np.searchsorted(self._chances, chance, side="right"))
        return self.clips[min(found, len(self.clips) - 1)]


def build(recipe: Recipe, inputs: Speech, out: Path) -> Job[Denoiser]:
    """The vocoder's job; the recordings are decoded into `out`/corpus once.

    Raises ValueError as `Corpus.open` does.
    """
    mel = recipe.objective.mel
    corpus = Corpus.open(
        inputs.speech,
        None,
        out / "corpus",
        inputs.manifest,
        rate=mel.sample_rate,
        strict=inputs.strict,
    )
    if recipe.diffwave is None:
        sizes = {"bins": mel.bins, "channels": mel.mels + mel.bins}
        network = FrameNet(**sizes, **asdict(recipe.network))
        denoiser, objective, name = FromX0(network, RectifiedFlow()), recipe.objective, "vocoder"
        vocode = partial(_vocoded, mel)
    else:
        denoiser, objective, name = recipe.diffwave.denoiser(mel), WaveDiffusion(mel), "diffwave"
        vocode = partial(_diffused, mel)
    validation = CopySynthesis(corpus, mel, recipe.validation, vocode)
    scored: dict[int, dict[str, float]] = {}

    def validate(average: Denoiser, step: int) -> dict[str, float]:
        scored[step] = validation(average, step)
        return scored[step]

    def card(average: Denoiser, step: int, hours: float) -> Card:
        scores = scored[step] if step in scored else validate(average, step)
        return _card(name, corpus, mel, scores)

    return Job(
        denoiser,
        objective,
        Utterances(corpus, mel, recipe.pieces, recipe.train.seed),
        card,
        validate,
        lambda average, step: validation.each(average),
        plan=corpus.plan(),
        dtype=torch.float16,
        show=validation.sounds,
    )


def _vocoded(mel: Mel, denoiser: FromX0, log_mel: Tensor) -> Tensor:
    device = next(denoiser.parameters()).device
    return Vocoder(denoiser, mel, device=device.type)(log_mel)[0]


def _diffused(mel: Mel, denoiser: Denoiser, log_mel: Tensor) -> Tensor:
    device = next(denoiser.parameters()).device
    return diffuse(denoiser, mel, log_mel[None].to(device))[0].cpu()


def _card(name: str, corpus: Corpus, mel: Mel, scores: dict[str, float]) -> Card:
    sets: dict[tuple[str, str], float] = {}
    for clip in corpus.select("speech", "train"):
        key = (clip.group, clip.licence)
        sets[key] = sets.get(key, 0.0) + clip.length / corpus.rate / 3600
    return Card(
        name=name,
        purpose="Makes speech from its log-mel spectrogram.",
        signal={"mel": mel.describe()},
        data=tuple(f"speech: {group}, {amount:.2f} h" for (group, _), amount in sets.items()),
        licences=tuple(licence for _, licence in sets),
        scores=scores,
        limits="For speech of one person at a time. Music, several speakers and noise come out "
        "rough. Above 8 kHz, of which a mel spectrogram says nothing, the sound is a guess.",
    )
