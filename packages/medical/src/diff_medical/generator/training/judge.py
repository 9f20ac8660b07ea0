"""Samples of the generator while it trains, compared with the held-out images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diff_core.checkpoint.description import Json
from diff_core.evaluate import RandomFeatures, SampleScore
from diff_core.io import Card
from diff_medical.generator.cascade import Cascade
from diff_medical.generator.data.corpus import Corpus
from diff_medical.generator.model import Generator, Sampling
from diff_medical.generator.tone import BRIGHT, encode

__all__ = ["Judging", "sample_score"]


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


def sample_score(
    corpus: Corpus, model: Cascade, signal: Mapping[str, Json], judging: Judging
) -> SampleScore[Cascade] | None:
    """Return the score "sample distance": the energy distance of random features, of tones.

    Sample i is of the kind and place of held-out image i, and without guidance.
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

    features = RandomFeatures(model.spatial, 1)
    return SampleScore(sample, real, judging.count, features, batch=8)
