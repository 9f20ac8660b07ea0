"""How the enhancer is trained: its recipe, and the job that a recipe and scans make."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diff_core.denoiser import Preconditioned
from diff_core.io import Card
from diff_core.train import Job, TrainConfig
from diff_medical.corpus import build_corpus, find_scans
from diff_medical.network import slab_denoiser
from diff_medical.objective import SlabDenoising
from diff_medical.patches import Patches
from diff_medical.validation import Validation

if TYPE_CHECKING:
    from diff_medical.train import Scans

__all__ = ["Cutting", "Network", "Recipe", "build"]


@dataclass(frozen=True)
class Network:
    """The keywords of `SlabNetwork`."""

    slices: int = 5
    channels: tuple[int, ...] = (32, 64, 96, 128)
    blocks: int = 2
    shuffle: int = 1


@dataclass(frozen=True)
class Cutting:
    """The keywords of `Patches`: size in voxels, and shares of CT, background and thin stacks."""

    size: int = 80
    ct: float = 0.22
    background: float = 0.08
    thin: float = 0.05

    def __post_init__(self) -> None:
        if self.size < 16:
            raise ValueError(f"size is {self.size}; expected at least 16")
        for name in ("ct", "background", "thin"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 1")


@dataclass(frozen=True)
class Recipe:
    """Every number of a run."""

    train: TrainConfig
    network: Network = field(default_factory=Network)
    objective: SlabDenoising = field(default_factory=SlabDenoising)
    patches: Cutting = field(default_factory=Cutting)


def build(recipe: Recipe, inputs: Scans, out: Path) -> Job[Preconditioned]:
    """The enhancer's job; the scans are read into `out`/corpus once.

    Raises ValueError if there is nothing to train on.
    """
    network = recipe.network
    denoiser = slab_denoiser(**dataclasses.asdict(network))
    rows = find_scans(inputs.data, inputs.manifest)
    volumes = build_corpus(rows, out / "corpus", warn=_warn)
    validation = Validation.of(rows, warn=_warn)
    patches = Patches(
        volumes,
        seed=recipe.train.seed,
        slices=network.slices,
        **dataclasses.asdict(recipe.patches),
    )
    used = [row for row in rows if row.split == "train"]

    def card(average: Preconditioned, step: int, hours: float) -> Card:
        # every position of every slab takes long: for the model that a run ends with
        exact = step == recipe.train.steps
        scored = dataclasses.replace(validation, stride=None) if exact else validation
        scores = scored(average, step)
        note = "" if exact else f", one direction, stride {validation.stride}"
        return Card(
            name="enhance",
            purpose="Posterior mean of an MR or CT slab given its noise level, for denoising.",
            signal={
                "slices": network.slices,
                "unit": "MR: 99.5th percentile of the foreground; CT: (HU + 1000) / 1500",
            },
            data=tuple(row.path.name for row in used),
            licences=tuple(row.licence for row in used),
            scores={f"{name}{note}": value for name, value in scores.items()},
            limits="For research; not a medical device. Trained on white and mildly correlated "
            "Gaussian noise: stabilise the variance of any other first.",
        )

    def validate(average: Preconditioned, step: int) -> dict[str, float]:
        return validation(average, step) | validation.level_losses(average, network.slices)

    def show(average: Preconditioned, step: int) -> dict[str, Tensor]:
        return {"noisy, denoised, clean": validation.picture(average)}

    return Job(
        denoiser,
        recipe.objective,
        patches,
        card,
        validate if validation.cases else None,
        plan=(f"{len(volumes)} volumes, {len(validation.cases)} scans for validation",),
        dtype=torch.float16,
        show=show,
    )


def _warn(line: str) -> None:
    print(line, file=sys.stderr)
