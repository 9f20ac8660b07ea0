"""The training job of the live denoiser: the denoiser's, with a causal network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diff_audio.denoiser.live.network import LiveNet
from diff_audio.denoiser.training import job
from diff_core.denoiser import FromX0
from diff_core.io import Card
from diff_core.train import Job

if TYPE_CHECKING:
    from diff_audio.data.inputs import Sounds

__all__ = ["Network", "Recipe", "build"]


@dataclass(frozen=True)
class Network:
    """The keywords of `LiveNet`."""

    bins: int = 256
    channels: tuple[int, ...] = (16, 32, 48)
    width: int = 224
    depth: int = 2
    memory: float = 2.0


@dataclass(frozen=True)
class Recipe(job.Recipe):
    """The numbers of a run, all of them."""

    network: Network = field(default_factory=Network)  # pyright: ignore[reportIncompatibleVariableOverride]


def build(recipe: Recipe, inputs: Sounds, out: Path) -> Job[FromX0]:
    """The live denoiser's job; the recordings are decoded into `out`/corpus once.

    Raises ValueError as `Corpus.open` does.
    """
    about = Card(
        name="live",
        purpose="Removes background noise from live speech at 16 kHz, 32 or 40 ms late.",
        limits="For speech up to 8 kHz. Takes music for noise. The first second of a stream, in "
        "which the level is not known yet, is treated more carefully or less.",
    )
    return job.enhancing(LiveNet(**asdict(recipe.network)), recipe, inputs, out, about)
