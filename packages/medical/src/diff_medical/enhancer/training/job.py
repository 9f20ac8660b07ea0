"""The training of the enhancer: its recipe, and the job that a recipe and scans make."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diff_core.denoiser import Preconditioned
from diff_core.io import Card
from diff_core.lines import print_line
from diff_core.train import Job, TrainConfig
from diff_core.train.job import means
from diff_medical.data.degrade import Degradation
from diff_medical.data.patches import Patches
from diff_medical.data.reading import Reading, voxels
from diff_medical.data.studies import find_study
from diff_medical.data.volumes import Volume, build_corpus
from diff_medical.enhancer.training.dose_validation import DoseValidation
from diff_medical.enhancer.training.objective import SlabDenoising
from diff_medical.enhancer.training.validation import Validation
from diff_medical.slices.network import slab_denoiser

if TYPE_CHECKING:
    from diff_medical.data.inputs import StrictScans

__all__ = ["Cutting", "Network", "Recipe", "build"]


@dataclass(frozen=True)
class Network:
    """The keywords of `SlabNetwork`."""

    slices: int = 5
    channels: tuple[int, ...] = (32, 64, 96, 128)
    blocks: int | tuple[int, ...] = 2
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
    """Every number of a run.

    synthetic: whether scans that are marked as synthetic are used
    """

    train: TrainConfig
    network: Network = field(default_factory=Network)
    objective: SlabDenoising = field(default_factory=SlabDenoising)
    patches: Cutting = field(default_factory=Cutting)
    degradation: Degradation = field(default_factory=Degradation)
    reading: Reading = field(default_factory=Reading)
    synthetic: bool = False


def build(recipe: Recipe, inputs: StrictScans, out: Path) -> Job[Preconditioned]:
    """Return the enhancer's job; the scans are read into `out`/corpus once.

    Raises ValueError if there is nothing to train on, or as `build_corpus` does.
    """
    network = recipe.network
    noise = recipe.objective
    denoiser = slab_denoiser(
        **dataclasses.asdict(network), sigma_max=noise.high, sigma_data=noise.sigma_data
    )
    study = find_study(inputs.data, inputs.manifest, real=not recipe.synthetic)
    rows, reading = study.rows, recipe.reading
    low_dose = recipe.degradation.low_dose > 0
    volumes = build_corpus(
        rows,
        out / "corpus",
        warn=_warn,
        strict=inputs.strict,
        reading=reading,
        textures=low_dose,
    )
    validation = Validation.of(rows, warn=_warn, reading=reading)
    doses = DoseValidation.of(rows if low_dose else (), warn=_warn, reading=reading)
    patches = Patches(
        volumes,
        seed=recipe.train.seed,
        slices=network.slices,
        degradation=recipe.degradation,
        **dataclasses.asdict(recipe.patches),
    )
    used = tuple(dict.fromkeys(volume.row for volume in volumes if volume.row))

    def cases(average: Preconditioned, step: int) -> dict[str, list[float]]:
        # every position of every slab takes long: for the model that a run ends with
        exact = step == recipe.train.steps
        scored = dataclasses.replace(validation, exact=exact)
        note = "" if exact else f", one direction, stride {network.slices - 2}"
        found = {f"{name}{note}": values for name, values in scored.each(average).items()}
        return found | doses.each(average)

    def card(average: Preconditioned, step: int, hours: float) -> Card:
        return Card(
            name="enhance",
            purpose="Posterior mean of an MR or CT slab given its noise level, for denoising.",
            signal={
                "slices": network.slices,
                "sigma_max": noise.high,
                "unit": "MR: 99.5th percentile of the foreground; CT: (HU + 1000) / 1500",
            },
            data=tuple(row.path.name for row in used),
            licences=tuple(row.licence for row in used),
            scores={name: round(v, 4) for name, v in means(cases(average, step)).items()},
            limits=_limits(low_dose),
        )

    def validate(average: Preconditioned, step: int) -> dict[str, float]:
        scores = validation(average, step) | doses(average, step)
        return scores | validation.level_losses(
            average, network.slices, recipe.objective.sigma_data
        )

    def show(average: Preconditioned, step: int) -> dict[str, Tensor]:
        return {"noisy, denoised, clean": validation.picture(average)}

    return Job(
        denoiser,
        recipe.objective,
        patches,
        card,
        validate if validation.cases or doses.cases else None,
        cases,
        plan=(
            f"{len(volumes)} volumes, {len(validation.cases) + len(doses.cases)} scans for "
            "validation",
            study.counts,
            *study.remarks(),
            *_geometry(volumes, reading),
        ),
        dtype=torch.float16,
        show=show if validation.cases else None,
    )


def _limits(low_dose: bool) -> str:
    """Return the limits of the network, for its card."""
    more = ", and on that of low-dose CT" if low_dose else ""
    return (
        "For research; not a medical device. Trained on white and mildly correlated Gaussian "
        f"noise{more}: stabilise the variance of any other first."
    )


def _geometry(volumes: Sequence[Volume], reading: Reading) -> Iterator[str]:
    """Yield what is done about spacing and orientation, which is never silent."""
    scans = {volume.scan: volume.spacing for volume in reversed(volumes)}  # the finest copy
    sizes, warning = voxels(scans.values())
    kept = "as stored" if reading.spacing is None else f"resampled to {reading.spacing:g} mm"
    yield f"{len(scans)} scans: {sizes}, {kept}"
    if warning:
        _warn(f"{warning}; reading.spacing=1 brings all to 1 mm, and blurs their noise")
    if reading.orientation == "stored":
        yield "orientation: as stored (slabs are mirrored and turned at random)"
    else:
        yield f"orientation: {reading.orientation}"


def _warn(line: str) -> None:
    print_line(line, sys.stderr)
