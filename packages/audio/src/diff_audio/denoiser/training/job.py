"""The training job of the denoiser: its recipe, and the job that a recipe and recordings make."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from diff_audio.data.corpus import Corpus
from diff_audio.data.mixer import Mixer
from diff_audio.data.mixing import Mixing
from diff_audio.denoiser.network import BandUNet
from diff_audio.denoiser.training.objective import Enhancement
from diff_audio.denoiser.training.validation import Validation
from diff_audio.sound.level import TARGET_DB
from diff_audio.sound.resample import CORE_RATE
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0
from diff_core.io import Card
from diff_core.train import Job, TrainConfig

if TYPE_CHECKING:
    from diff_audio.data.inputs import Sounds

__all__ = ["Network", "Recipe", "Scored", "build", "enhancing"]

PURPOSE = "Removes background noise from speech: in one pass, or in several from y to x_0."
LIMITS = (
    "For speech at any rate; hears up to 8 kHz. Takes music for noise. Speech under "
    "-5 dB SNR may be damaged or removed; echoes of a room cost words."
)


@dataclass(frozen=True)
class Network:
    """The keywords of `BandUNet`."""

    bins: int = 256
    channels: tuple[int, ...] = (16, 32, 48, 64)
    width: int = 256
    dilations: tuple[int, ...] = (1, 2, 4, 8, 4, 1)
    embedding: int = 128
    unit: float = 0.075


@dataclass(frozen=True)
class Scored:
    """The mixtures of `Validation`: how many, how long, and at how many dB."""

    count: int = 12
    seconds: float = 4.0
    snr: float = 5.0

    def __post_init__(self) -> None:
        """Raise ValueError if there is nothing to score."""
        if self.count < 1:
            raise ValueError(f"count is {self.count}; expected 1 or more")


@dataclass(frozen=True)
class Recipe:
    """The numbers of a run, all of them."""

    train: TrainConfig
    network: Network = field(default_factory=Network)
    bridge: SchroedingerBridge = field(default_factory=SchroedingerBridge)
    objective: Enhancement = field(default_factory=Enhancement)
    mixing: Mixing = field(default_factory=Mixing)
    validation: Scored = field(default_factory=Scored)

    def __post_init__(self) -> None:
        """Raise ValueError if the network is not made for the objective's spectrum."""
        if self.network.bins != (bins := self.objective.spectral.bins):
            raise ValueError(
                f"network.bins is {self.network.bins}; expected {bins}, "
                f"for objective.spectral.n_fft {self.objective.spectral.n_fft}"
            )


def build(recipe: Recipe, inputs: Sounds, out: Path) -> Job[FromX0]:
    """The denoiser's job; the recordings are decoded into `out`/corpus once.

    Raises ValueError as `Corpus.open` does.
    """
    network = BandUNet(**asdict(recipe.network))
    return enhancing(network, recipe, inputs, out, Card(name="denoise", purpose=PURPOSE,
                     limits=LIMITS))  # fmt: skip


def enhancing(
    network: nn.Module, recipe: Recipe, inputs: Sounds, out: Path, about: Card
) -> Job[FromX0]:
    """The job of a network from x_t, y and t to x_0; its card is `about`, with data and scores.

    Raises ValueError as `Corpus.open` does.
    """
    denoiser = FromX0(network, recipe.bridge)
    corpus = Corpus.open(
        inputs.speech, inputs.noise, out / "corpus", inputs.manifest, strict=inputs.strict
    )
    validation = Validation(
        corpus,
        recipe.objective.spectral,
        **asdict(recipe.validation),
        follow=recipe.mixing.follow,
    )
    noisy = validation.noisy()
    held_out = f"held-out mixtures at {recipe.validation.snr:g} dB, 1 pass"
    scored: dict[int, dict[str, float]] = {}

    def validate(average: FromX0, step: int) -> dict[str, float]:
        scored[step] = validation(average, step)
        return scored[step] | validation.level_losses(average)

    def cases(average: FromX0, step: int) -> dict[str, list[float]]:
        return {f"{name}, {held_out}": each for name, each in validation.each(average).items()}

    def show(average: FromX0, step: int) -> dict[str, tuple[Tensor, int]]:
        clean, noisy = validation.pairs[0]
        waves = {"clean": clean, "noisy": noisy, "denoised": validation.enhance(average, noisy)}
        return {name: (torch.from_numpy(wave), CORE_RATE) for name, wave in waves.items()}

    def card(average: FromX0, step: int, hours: float) -> Card:
        scores = scored[step] if step in scored else validation(average, step)
        named = {f"{name}, {held_out}": value for name, value in scores.items()}
        before = {f"{name}, the same mixtures unprocessed": v for name, v in noisy.items()}
        return _card(about, corpus, recipe, named | before)

    return Job(
        denoiser,
        recipe.objective,
        Mixer(corpus, recipe.mixing, recipe.train.seed),
        card,
        validate,
        cases,
        plan=(
            *corpus.plan(),
            "unprocessed: " + "  ".join(f"{name} {value:.4g}" for name, value in noisy.items()),
        ),
        dtype=torch.float16,
        show=show,
    )


def _card(about: Card, corpus: Corpus, recipe: Recipe, scores: dict[str, float]) -> Card:
    data, licences = corpus.taught()
    return replace(
        about,
        signal={
            "sample_rate": CORE_RATE,
            "spectrum": recipe.objective.spectral.describe(),
            "level": {"decibels": TARGET_DB, "follow": recipe.mixing.follow},
        },
        data=data,
        licences=licences,
        scores=scores,
    )
