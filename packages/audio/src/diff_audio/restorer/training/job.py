"""The training job of the restorer: its recipe, and the job that a recipe and recordings make."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diff_audio.data.corpus import Corpus
from diff_audio.data.mixer import Mixer
from diff_audio.data.mixing import Mixing
from diff_audio.restorer.network import MelBridgeNet
from diff_audio.restorer.training.objective import Restoring
from diff_audio.restorer.training.validation import Validation
from diff_audio.sound.level import TARGET_DB
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0
from diff_core.io import Card
from diff_core.train import Job, TrainConfig

if TYPE_CHECKING:
    from diff_audio.data.inputs import Sounds

__all__ = ["Network", "Recipe", "build"]

HELD_OUT = 2026
"""The seed of the held-out items."""


@dataclass(frozen=True)
class Network:
    """The keywords of `MelBridgeNet`."""

    channels: tuple[int, ...] = (176, 256, 336)
    blocks: int = 2
    kernel: int = 5
    embedding: int = 128


@dataclass(frozen=True)
class Recipe:
    """The numbers of a run, all of them; `validation` is the number of held-out items."""

    train: TrainConfig
    network: Network = field(default_factory=Network)
    bridge: SchroedingerBridge = field(default_factory=SchroedingerBridge)
    objective: Restoring = field(default_factory=Restoring)
    mixing: Mixing = field(default_factory=Mixing)
    validation: int = 24

    def __post_init__(self) -> None:
        """Raise ValueError if there is nothing to score."""
        if self.validation < 1:
            raise ValueError(f"validation is {self.validation}; expected 1 or more")


def build(recipe: Recipe, inputs: Sounds, out: Path) -> Job[FromX0]:
    """The restorer's job; the recordings are decoded into `out`/corpus once, at the mel's rate.

    Raises ValueError as `Corpus.open` does.
    """
    mel = recipe.objective.mel
    corpus = Corpus.open(
        inputs.speech,
        inputs.noise,
        out / "corpus",
        inputs.manifest,
        rate=mel.sample_rate,
        strict=inputs.strict,
    )
    network = MelBridgeNet(mel.mels, **asdict(recipe.network))
    held_out = Mixer(corpus, replace(recipe.mixing, pairs=0.0), HELD_OUT, "val")
    validation = Validation(held_out, mel, recipe.validation)
    damaged = validation.damaged()
    scored: dict[int, dict[str, float]] = {}

    def validate(average: FromX0, step: int) -> dict[str, float]:
        scored[step] = validation(average, step)
        return scored[step]

    def card(average: FromX0, step: int, hours: float) -> Card:
        scores = scored[step] if step in scored else validation(average, step)
        return _card(corpus, recipe, scores | damaged)

    def show(average: FromX0, step: int) -> dict[str, tuple[Tensor, int]]:
        item = held_out[0]
        return {name: (item[name], corpus.rate) for name in ("clean", "noisy")}

    found = "  ".join(f"{name} {value:.4g}" for name, value in damaged.items())
    return Job(
        FromX0(network, recipe.bridge),
        recipe.objective,
        Mixer(corpus, recipe.mixing, recipe.train.seed),
        card,
        validate,
        lambda average, step: validation.each(average),
        plan=(*corpus.plan(), f"before restoring: {found} dB"),
        dtype=torch.float16,
        show=show,
    )


def _card(corpus: Corpus, recipe: Recipe, scores: dict[str, float]) -> Card:
    data, licences = corpus.taught()
    return Card(
        name="restore",
        purpose="Makes the mel spectrogram of clean speech from that of a damaged recording.",
        signal={"mel": recipe.objective.mel.describe(), "level": {"decibels": TARGET_DB}},
        data=data,
        licences=licences,
        scores=scores,
        limits="For speech of one person at a time. What the recording does not show is invented: "
        "words, the voice and its place in a room may change. Music is lost.",
    )
