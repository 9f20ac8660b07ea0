"""Samples of the generator while it trains, compared with the held-out images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.checkpoint.description import Json
from diff_core.evaluate import RandomFeatures, SampleScore, frechet_distance
from diff_core.io import Card
from diff_core.train import TrainConfig, Watch
from diff_medical.generator.cascade import Cascade
from diff_medical.generator.data.corpus import Corpus
from diff_medical.generator.model import Generator, Sampling
from diff_medical.generator.tone import BRIGHT, BRIGHTEST, encode
from diff_medical.generator.training.sheet import GAP, padded, write_sheet

__all__ = ["FURTHER", "NAMES", "Judging", "refuse_unseen", "sample_score"]

FURTHER = {"frechet": partial(frechet_distance, shrunken=True)}
"""The distances of samples beside the first, "sample distance"."""

NAMES = ("sample distance", *FURTHER)
"""Names of the distances of samples.

sample distance: the energy distance, without bias: the squared MMD with the kernel -|x - y|
    (Equivalence of Distance-Based and RKHS-Based Statistics in Hypothesis Testing, Sejdinovic et
    al., 2013, theorem 22)
frechet: the Fréchet distance with the covariances of Ledoit and Wolf (2004). Few samples or few
    held-out images raise it: compare values of one run, or of the same numbers of both
"""

SHOWN = 8  # samples on a sheet


@dataclass(frozen=True)
class Judging:
    """The samples of a validation.

    count: samples, and at most as many held-out images; 0 for none
    steps: of the sampler, in each stage
    """

    count: int = 0
    steps: int = 12

    def __post_init__(self) -> None:
        if self.count < 0 or self.count == 1 or self.steps < 1:
            raise ValueError(f"given {self}; expected count 0 or from 2 up, and steps from 1 up")


def refuse_unseen(
    config: TrainConfig, watch: Watch[Cascade] | None, *, drawn: bool = False
) -> None:
    """Raise ValueError if `config.best` is a distance of samples and there is no watch.

    drawn: whether "sample distance" is a score without a watch
    """
    if watch is None and config.best in (NAMES[drawn:]):
        raise ValueError(
            f"train.best is {config.best!r}, a distance of samples; expected judging.count of 2 "
            "or more (32, say), and at least two held out to compare with"
        )


def sample_score(
    corpus: Corpus, model: Cascade, signal: Mapping[str, Json], judging: Judging, previews: Path
) -> SampleScore[Cascade] | None:
    """Return the distances `NAMES`, by random features of tones, with a sheet in `previews`.

    Sample i is of the kind and place of held-out image i, and without guidance. The sheet shows
    samples above the held-out images whose kind and place they have.
    None where no samples are asked for, or fewer than two images are held out.
    Raises ValueError for a model that is given scans or label maps: it makes no scan alone.
    """
    held = corpus.of("val")
    if not judging.count or len(held) < 2:
        return None
    if model.extra:
        raise ValueError(
            f"judging.count is {judging.count}; expected 0 for a model that is given other images"
        )
    chosen = np.unique(np.linspace(0, len(held) - 1, judging.count).astype(int))
    indices = held[chosen].tolist()
    real = torch.from_numpy(np.stack([corpus.window(i)[:1] for i in indices]))
    requests = [corpus.entries[indices[i % len(indices)]].request for i in range(judging.count)]
    card = Card("generate", signal=dict(signal))

    def sample(average: Cascade, seeds: Sequence[int]) -> Tensor:
        device = next(average.parameters()).device.type
        sampling = Sampling(judging.steps, 1.0, 1.0, seeds[0], len(seeds))
        made = Generator(average, card, device=device)([requests[i] for i in seeds], sampling)
        tones = [encode(one.values, one.request.modality, bright=BRIGHT) for one in made]
        return torch.from_numpy(np.stack(tones))[:, None]

    def picture(samples: Tensor, step: int) -> Tensor:
        shown = np.unique(np.linspace(0, len(samples) - 1, SHOWN).astype(int)).tolist()
        below = [i % len(real) for i in shown]
        rows = [[_picture(v) for v in values] for values in (samples[shown], real[below])]
        pixels = write_sheet(rows, previews / f"{step:07d}.png")
        return torch.from_numpy(pixels).permute(2, 0, 1) / 255

    features = RandomFeatures(model.spatial, 1)
    return SampleScore(
        sample, real, judging.count, features, batch=8, further=FURTHER, picture=picture
    )


def _picture(tones: Tensor) -> NDArray[np.float32]:
    """The levels (H, W, 3), 0 to 255, of tones (1, *S); of a volume the middle slice."""
    flat = tones[0] if tones.ndim == 3 else tones[0, ..., tones.shape[-1] // 2]
    levels = np.rot90((flat / BRIGHTEST).clamp(0, 1).numpy() * 255)
    return padded(np.repeat(levels[..., None], 3, -1), levels.shape[0], levels.shape[1] + GAP)
