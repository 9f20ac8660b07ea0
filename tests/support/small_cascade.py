"""An untrained generator's model, small enough for tests."""

import torch

from diff_medical.generator.cascade import Cascade, Stage
from diff_medical.generator.packing import Packing
from diff_medical.generator.vocabulary import Vocabulary

__all__ = ["small_cascade", "with_random_heads"]


def small_cascade(
    vocabulary: Vocabulary,
    spatial: int = 2,
    *,
    mean: float = 1.0,
    deviation: float = 0.5,
    extra: int = 0,
    width: int = 8,
) -> Cascade:
    """For sizes that are multiples of 8; `mean` and `deviation` of the coarse subband."""
    count = 2**spatial
    none = (0.0,) * (count - 1)
    outer = Packing(spatial, 1, (mean, *none), (deviation, *(0.1,) * (count - 1)))
    inner = Packing(spatial, 1, (0.0, *none), (1.0,) * count)
    stage = Stage((width, width), 1, (1,), 16)
    coarse = stage.denoiser(spatial, count, vocabulary, extra * count**2, 4)
    detail = stage.denoiser(spatial, count - 1, vocabulary, 1 + extra * count, 8)
    return Cascade(outer, inner, vocabulary, coarse, detail, extra)


def with_random_heads(model: Cascade) -> Cascade:
    """Heads are zero at first: nothing that a network is told would count."""
    torch.manual_seed(0)
    for stage in (model.coarse, model.detail):
        for parameter in stage.network.unet.head.parameters():  # type: ignore[union-attr]
            torch.nn.init.normal_(parameter, std=0.1)
    return model
