"""The training of the generator: its recipe, and the job that a recipe and scans make.

One module for slices and volumes: `corpus.spatial` of the recipe says which.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from diff_core.checkpoint.description import Json
from diff_core.data import Split, count_line
from diff_core.denoiser import Preconditioned
from diff_core.evaluate import snr_loss
from diff_core.io import Card
from diff_core.lines import print_line
from diff_core.schedule import Schedule, log_snr
from diff_core.train import Denoising, Job, TrainConfig, edm_weight, log_normal
from diff_core.train.config import lower_is_better
from diff_core.train.job import means
from diff_medical.data.studies import Row, find_study
from diff_medical.generator.cascade import Cascade, CascadeDenoising, Stage, network_of
from diff_medical.generator.data.augment import Strength
from diff_medical.generator.data.corpus import Corpus, Selection, build_corpus
from diff_medical.generator.data.cutting import Cutting
from diff_medical.generator.data.pairs import Pairing
from diff_medical.generator.data.samples import Balance, ScanSamples, held_out, vocabulary_of
from diff_medical.generator.packing import fit_packing
from diff_medical.generator.training.judge import Judging, refuse_unseen, sample_score

if TYPE_CHECKING:
    from diff_medical.data.inputs import Scans

__all__ = ["Levels", "Noise", "Recipe", "Subbands", "build"]

EDGES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # of log-SNR: noise from 20 down to 0.05
JUDGED = {2: 24, 3: 4}  # images of each split in a validation
FRESH = 2**40  # first of the items that no step trains on
FITTED = 512  # images from which the packing is fitted
PRIOR = {2: 4096, 3: 256}  # training items to which the linear prior is fitted


@dataclass(frozen=True)
class Subbands:
    """Levels of Haar's transform to the coarse subband and below it; `whiten` of `fit_packing`."""

    outer: int = 2
    inner: int = 1
    whiten: float = 0.5


@dataclass(frozen=True)
class Levels:
    """ln sigma is normal with this mean and deviation, as in EDM; each level weighs the same.

    The levels of a batch are spread evenly over the distribution, with one random offset: Kingma
    et al., Variational Diffusion Models (2021), appendix I.1.
    """

    mean: float = -0.4
    deviation: float = 1.2

    def objective(self) -> Denoising:
        times = log_normal(self.mean, self.deviation)

        def even(schedule: Schedule, uniform: Tensor) -> Tensor:
            spread = torch.arange(len(uniform)).to(uniform) / len(uniform)
            return times(schedule, ((uniform[0] + spread) % 1).clamp(2**-25, 1 - 2**-25))

        return Denoising(edm_weight(1.0), 0.0, even)


@dataclass(frozen=True)
class Noise:
    """The noise levels of both stages; `share` of a batch's items trains the stage of detail."""

    coarse: Levels = field(default_factory=Levels)
    detail: Levels = field(default_factory=Levels)
    share: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; expected above 0, at most 1")


@dataclass(frozen=True)
class Recipe:
    """Every number of a run.

    judging:   samples that each validation draws and compares with the held-out images
    synthetic: whether scans that are marked as synthetic are used

    All scores are losses or distances, so that `train.best` takes the lowest, whatever
    `train.better` is.
    """

    train: TrainConfig
    subbands: Subbands = field(default_factory=Subbands)
    coarse: Stage = field(default_factory=Stage)
    detail: Stage = field(default_factory=Stage)
    noise: Noise = field(default_factory=Noise)
    corpus: Cutting = field(default_factory=Cutting)
    scans: Selection = field(default_factory=Selection)
    channels: Pairing = field(default_factory=Pairing)
    augment: Strength = field(default_factory=Strength)
    balance: Balance = field(default_factory=Balance)
    judging: Judging = field(default_factory=Judging)
    synthetic: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "train", lower_is_better(self.train, [self.train.best]))


def build(recipe: Recipe, inputs: Scans, out: Path) -> Job[Cascade]:
    """Return the generator's job; the scans are cut into `out`/corpus once.

    Raises CorpusError if there is nothing to train on, or a single subject, and ValueError if
    `train.best` is a distance of samples and none are drawn.
    """
    study = find_study(inputs.data, inputs.manifest, real=not recipe.synthetic)
    rows = study.rows
    corpus = build_corpus(
        rows, out / "corpus", recipe.corpus, recipe.scans, recipe.channels, warn=_warn
    )
    model = _model(recipe, corpus)
    samples = ScanSamples(corpus, model, recipe.augment, recipe.balance, recipe.train.seed)
    _fit_prior(model, samples, min(PRIOR[recipe.corpus.spatial], 8 * len(corpus.of("train"))))
    judged = {
        name: list(held_out(corpus, model, split, JUDGED[recipe.corpus.spatial]))
        for name, split in (("held-out", "val"), ("training", "train"))
    }
    scans = {entry.scan for entry in corpus.entries if entry.split == "train"}
    used = [row for row in rows if row.path.name in scans]
    subjects = {entry.subject for entry in corpus.entries if entry.split == "train"}
    kind = "slices" if recipe.corpus.spatial == 2 else "volumes"

    signal = _signal(recipe, corpus, len(subjects), len(scans))
    watch = sample_score(corpus, model, signal, recipe.judging, out / "previews")
    refuse_unseen(recipe.train, watch)
    scores: dict[int, dict[str, float]] = {}  # of the last validation, for the card

    def cases(average: Cascade, step: int) -> dict[str, Sequence[float]]:
        return {
            f"{name} {key}": values
            for name, batches in judged.items()
            if batches
            for key, values in _losses(average, batches)
        }

    def validate(average: Cascade, step: int) -> dict[str, float]:
        scores.clear()
        scores[step] = means(cases(average, step))
        return scores[step]

    def card(average: Cascade, step: int, hours: float) -> Card:
        return Card(
            name="generate" if recipe.corpus.spatial == 2 else "generate_volume",
            purpose=f"Synthetic {kind} of MR and CT for research and augmentation.",
            signal=signal,
            data=tuple(row.path.name for row in used),
            licences=tuple(row.licence for row in used),
            scores={
                name: round(value, 4)
                for name, value in (scores.get(step) or validate(average, step)).items()
            },
            limits=f"For research; not a medical device. It has seen {len(subjects)} people: what "
            "it makes varies what they look like and holds no other anatomy or disease. Audit "
            "what it makes against the training scans before sharing; no claim of privacy.",
        )

    noise = recipe.noise
    return Job(
        model,
        CascadeDenoising(noise.coarse.objective(), noise.detail.objective(), noise.share),
        samples,
        card,
        validate,
        cases,
        plan=(
            f"{len(corpus.of('train'))} {kind} of {len(scans)} scans of {len(subjects)} people, "
            f"{len(corpus.of('val'))} held out",
            *(f"  {c.scans} {c.modality} {c.body} {c.plane}, {c.subjects} people"
              for c in corpus.choices()),
            *(_counts(rows, corpus), *study.remarks()),
            _expectation(len(subjects)),
        ),
        dtype=torch.float16,
        watch=watch,
    )  # fmt: skip


def _signal(recipe: Recipe, corpus: Corpus, subjects: int, scans: int) -> dict[str, Json]:
    """Return what the card says of the images, and of what they can be asked for."""
    return {
        "size": recipe.corpus.size,
        "thickness": recipe.corpus.step,
        "unit": "CT: HU; MR: 0 to 1000, bright tissue about 800",
        "subjects": subjects,
        "scans": scans,
        "slices" if recipe.corpus.spatial == 2 else "volumes": len(corpus.of("train")),
        "choices": _choices(corpus),
        "channels": asdict(recipe.channels),
    }


def _counts(rows: Sequence[Row], corpus: Corpus) -> str:
    """Return the number of scans of each split that are used, and of the test."""
    uses: dict[str, Split] = {row.path.name: row.split for row in rows if row.split == "test"}
    uses |= {e.scan: "val" if e.split == "val" else "train" for e in corpus.entries}
    return count_line(uses.values(), "scans")


def _choices(corpus: Corpus) -> list[Json]:
    """Return the kinds of scan that a model can be asked for, for its card."""
    return [
        {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(c).items()}
        for c in corpus.choices()
    ]


def _fit_prior(model: Cascade, samples: ScanSamples, count: int) -> None:
    """Fit the linear prior of the coarse stage, if it has one, to `count` items of training."""
    prior = network_of(model.coarse).prior
    if prior is None:
        return
    fitted = [samples[FRESH + i] for i in range(count)]
    packed = model.inner.pack(torch.stack([item["x_0"][:1] for item in fitted]))
    prior.fit(list(packed[:, :1]), [item["vector"] for item in fitted])


def _model(recipe: Recipe, corpus: Corpus) -> Cascade:
    indices = corpus.of("train")
    spread = indices[:: max(1, len(indices) // FITTED)].tolist()
    images = torch.from_numpy(np.stack([corpus.window(i)[:1] for i in spread]))
    spatial, bands = recipe.corpus.spatial, recipe.subbands
    outer = fit_packing(images, spatial, bands.outer, bands.whiten, apart=True)
    inner = fit_packing(outer.pack(images)[:, :1], spatial, bands.inner, bands.whiten)
    vocabulary, extra = vocabulary_of(corpus), recipe.channels.channels
    side = recipe.corpus.size // 2**bands.outer
    small = side // 2**bands.inner
    for name, stage, length in (("coarse", recipe.coarse, small), ("detail", recipe.detail, side)):
        if length % 2 ** (len(stage.channels) - 1):
            raise ValueError(
                f"corpus.size is {recipe.corpus.size}; {name}.channels has {len(stage.channels)} "
                f"levels, but its stage only {length} places along an axis: expected a multiple"
            )
    given = extra * inner.channels * outer.channels
    coarse = recipe.coarse.denoiser(spatial, inner.channels, vocabulary, given, small)
    given = 1 + extra * outer.channels
    detail = recipe.detail.denoiser(spatial, outer.channels - 1, vocabulary, given, side)
    return Cascade(outer, inner, vocabulary, coarse, detail, extra)


def _losses(
    average: Cascade, batches: list[dict[str, Tensor]]
) -> Iterator[tuple[str, Sequence[float]]]:
    """By name, the loss of each image."""
    device = next(average.parameters()).device
    moved = [{key: value.to(device) for key, value in batch.items()} for batch in batches]
    stages: tuple[tuple[str, Preconditioned, list[dict[str, Tensor]]], ...] = (
        ("coarse", average.coarse, [average.coarse_batch(batch) for batch in moved]),
        ("detail", average.detail, [average.detail_batch(batch) for batch in moved]),
    )
    total = np.zeros(sum(len(batch["x_0"]) for batch in moved))
    for name, denoiser, parts in stages:
        generator = torch.Generator().manual_seed(0)
        lowest = float(log_snr(denoiser.schedule, torch.ones((), dtype=torch.double)))
        edges = [edge for edge in EDGES if edge >= lowest]
        found = snr_loss(denoiser, parts, edges, generator, weight=edm_weight(1.0))
        for key, values in zip(found.names, found.each, strict=True):
            yield f"{name} {key}", values
        total += np.mean(found.each, axis=0)
    yield "loss", total.tolist()


def _expectation(subjects: int) -> str:
    """Return what can be expected of so many people's scans."""
    if subjects < 20:
        said = "samples will be variations of these people; audit them before sharing"
    elif subjects < 200:
        said = "anatomy common to all will be learned, rare findings will be copies or missing"
    else:
        said = "enough for varied anatomy; audit all the same"
    return f"with {subjects} people: {said}"


def _warn(line: str) -> None:
    print_line(line, sys.stderr)
