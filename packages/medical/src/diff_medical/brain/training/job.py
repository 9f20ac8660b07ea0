"""The training of one stage of the brain generator: its recipe, and the job of prepared people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from diff_core.discrete import EvidenceBound
from diff_core.io import Card
from diff_core.nn import UNet
from diff_core.schedule import Edm
from diff_core.train import Denoising, Job, TrainConfig, edm_weight, log_normal
from diff_core.train.config import lower_is_better
from diff_medical.brain.anatomy import Anatomy
from diff_medical.brain.appearance import Appearance
from diff_medical.brain.borders import COUNT, Borders, LabelNetwork
from diff_medical.brain.folds import Finer, Folds, Lobes
from diff_medical.brain.grid import CLASSES, TISSUES, Grid
from diff_medical.brain.people import People, read_grid, read_people
from diff_medical.brain.places import WAVES
from diff_medical.brain.training.augment import Augmentation
from diff_medical.brain.training.preview import Preview, preview
from diff_medical.brain.training.samples import Crops, CropSamples, HeadSamples, collate
from diff_medical.brain.training.statistics import fit
from diff_medical.brain.training.watch import Describe, brain_watch
from diff_medical.data.studies import CorpusError
from diff_medical.generator.training.judge import NAMES, Judging, refuse_unseen

if TYPE_CHECKING:
    from diff_medical.data.inputs import Prepared

__all__ = ["Network", "Noise", "Recipe", "build", "make_card", "make_stage"]

GAUSSIAN: dict[str, type[Anatomy | Finer | Appearance]] = {
    "anatomy": Anatomy,
    "lobes": Lobes,
    "folds": Folds,
    "appearance": Appearance,
}
HEADS = ("anatomy", "lobes")  # the stages that see whole heads
LOWER = ("held-out loss", "training loss", "error", *NAMES)  # scores that are better when lower
JUDGED = 2**40  # first of the items that no step trains on
BATCHES = 4  # of a validation, of each split
PURPOSES = {
    "anatomy": "Fractions of tissue in cells of 12 mm of a whole head",
    "lobes": "Fractions of tissue in cells of 6 mm, given those of 12 mm",
    "folds": "Fractions of tissue in cells of 3 mm, given those of 6 mm",
    "borders": "Label maps of 1.5 mm, given fractions of tissue in cells of 3 mm",
    "appearance": "T1 scans of 1.5 mm, given label maps",
}


@dataclass(frozen=True)
class Network:
    """Keywords of `UNet`."""

    channels: tuple[int, ...] = (96, 160)
    blocks: int | tuple[int, ...] = 2
    attention: tuple[int, ...] = ()
    heads: int = 4
    embedding: int = 128
    magnitude_preserving: bool = True

    def unet(self, into: int, out: int, given: int, words: int) -> UNet:
        """The network, untrained."""
        return UNet(
            3, into, out, self.channels,
            blocks=self.blocks, attention=self.attention, heads=self.heads,
            embedding=self.embedding, magnitude_preserving=self.magnitude_preserving,
            vector_dim=words, cond_channels=given,
        )  # fmt: skip


@dataclass(frozen=True)
class Noise:
    """Noise levels of training, sigma = sigma_max t; ln sigma is normal, as in EDM.

    Not of the borders, whose masks have all levels alike.
    """

    mean: float = -0.4
    deviation: float = 1.3
    sigma_max: float = 80.0


@dataclass(frozen=True)
class Recipe:
    """Every number of a run.

    crops: of the stages after the lobes
    drop:  share of items without words: anatomy and appearance
    judging: samples that each validation draws and measures against the held-out people

    `train.best` takes the lowest of a loss, of "error" and of a distance, whatever `train.better`
    is.
    """

    train: TrainConfig
    stage: Literal["anatomy", "lobes", "folds", "borders", "appearance"] = "anatomy"
    network: Network = field(default_factory=Network)
    noise: Noise = field(default_factory=Noise)
    crops: Crops = field(default_factory=Crops)
    augment: Augmentation = field(default_factory=Augmentation)
    drop: float = 0.2
    preview: Preview = field(default_factory=Preview)
    judging: Judging = field(default_factory=Judging)

    def __post_init__(self) -> None:
        object.__setattr__(self, "train", lower_is_better(self.train, LOWER))
        if not 0 <= self.drop <= 1:
            raise ValueError(f"drop is {self.drop}; expected 0 to 1")


def build(
    recipe: Recipe, inputs: Prepared, out: Path, describe: Describe | None = None
) -> Job[Any]:
    """Return the job of the recipe's stage; previews go to `out`/previews.

    describe: features of whole brains, for `recipe.judging`; see `watch.brain_watch`

    Raises CorpusError if there is nobody to train on, or a single person, and ValueError if
    `train.best` is a distance of samples and none are drawn.
    """
    grid = read_grid(inputs.data)
    people, held = (read_people(inputs.data, grid, split) for split in ("train", "val"))
    if len(people) < 2:
        raise CorpusError(
            f"{inputs.data}: holds {len(people)} people to train on; expected at least 2, since a "
            "model of one person would make copies"
        )
    stage = make_stage(recipe, grid)
    fit(stage, people)
    previews = out / "previews"
    shown = previews if recipe.preview.steps else None
    watch = brain_watch(stage, people, held, recipe.judging, describe, shown)
    refuse_unseen(recipe.train, watch, drawn=recipe.stage == "anatomy")
    objective = _objective(recipe)
    mine = _samples(recipe, stage, people)
    scores: dict[int, dict[str, float]] = {}  # of the last validation, for the card

    def validate(average: Any, step: int) -> dict[str, float]:
        found = {"training loss": _loss(average, objective, mine, recipe)}
        if len(held):
            others = _samples(recipe, stage, held)
            found = {"held-out loss": _loss(average, objective, others, recipe), **found}
        seen = preview(average, people, held, recipe.preview, previews / f"{step:07d}.png")
        # a watch measures the same of more samples
        found |= {n: value for n, value in seen.items() if not watch or n not in watch.names}
        scores.clear()
        scores[step] = found
        return found

    def card(average: Any, step: int, hours: float) -> Card:
        told = scores.get(step) or validate(average, step)
        return make_card(recipe, grid, people, {n: round(v, 4) for n, v in told.items()})

    return Job(
        stage, objective, mine, card, validate,
        plan=(
            f"{recipe.stage}: {len(people)} people, {len(held)} held out, voxels of "
            f"{grid.voxel:g} mm",
        ),
        collate=None if recipe.stage in HEADS else collate,
        dtype=torch.float16,
        watch=watch,
    )  # fmt: skip


def make_stage(recipe: Recipe, grid: Grid) -> Any:
    """Return the stage of a recipe, untrained and without statistics (`statistics.fit`)."""
    if recipe.stage == "borders":
        unet = recipe.network.unet(8 * (COUNT + 1), 8 * COUNT, TISSUES + WAVES, 0)
        return Borders(LabelNetwork(unet), grid)
    kind = GAUSSIAN[recipe.stage]
    unet = recipe.network.unet(kind.count, 2 * kind.count, kind.given, kind.words)
    return kind(unet, grid, Edm(recipe.noise.sigma_max))


def _objective(recipe: Recipe) -> Callable[..., Tensor]:
    if recipe.stage == "borders":
        return EvidenceBound()
    times = log_normal(recipe.noise.mean, recipe.noise.deviation)
    return Denoising(edm_weight(1.0), t_min=1e-5, times=times)


def _samples(recipe: Recipe, stage: Any, people: People) -> HeadSamples | CropSamples:
    seed, batch = recipe.train.seed, recipe.train.batch_size
    if recipe.stage in HEADS:
        return HeadSamples(stage, people, recipe.augment, recipe.drop, seed)
    return CropSamples(stage, people, recipe.augment, recipe.crops, batch, recipe.drop, seed)


def _loss(
    average: Any,
    objective: Callable[..., Tensor],
    samples: HeadSamples | CropSamples,
    recipe: Recipe,
) -> float:
    """The mean over the same few batches, of people that are changed as in training."""
    batch = recipe.train.batch_size
    device = next(average.parameters()).device
    found: list[Tensor] = []
    for number in range(BATCHES):
        first = JUDGED // batch * batch + number * batch
        items = collate([samples[i] for i in range(first, first + batch)])
        moved = {name: value.to(device) for name, value in items.items()}
        with torch.no_grad():
            found.append(objective(average, moved, torch.Generator().manual_seed(number)))
    return float(torch.cat(found).mean())


def make_card(recipe: Recipe, grid: Grid, people: People, scores: dict[str, float]) -> Card:
    """Return the card of a stage that was trained on people, but steps, hours and recipe."""
    count = len(people)
    longest = grid.voxel * max(grid.shape)
    choice = {"modality": "t1", "body": "brain", "plane": "", "scans": count, "subjects": count}
    return Card(
        name="brain",
        purpose=f"{PURPOSES[recipe.stage]}, for synthetic brains in research and augmentation.",
        signal={
            "stage": recipe.stage,
            "voxel": grid.voxel,
            "shape": list(grid.shape),
            "unit": "0 to 1000, white matter about 800",
            "classes": list(CLASSES),
            "subjects": count,
            "choices": [{**choice, "positions": [], "view": longest}],
        },
        data=people.names,
        licences=people.licences,
        scores=scores,
        limits=f"For research; not a medical device. It has seen {count} people: what it makes "
        "varies what they look like and holds no other anatomy or disease. Audit what it makes "
        "against the training scans before sharing; no claim of privacy.",
    )
