"""Claims about training: each function measures one, for one split and seed."""

from __future__ import annotations

import statistics

import torch
from claim_parts import Digits, Perceptron, Settings, Shaped, broken, draw, learn
from torch import Tensor

from diff_core import Cosine, RectifiedFlow, VariancePreserving
from diff_core.nn import DiT, UNet

FAILED = 10.0
"""The highest score, and that of a training whose numbers are not finite."""


def schedules(digits: Digits, seed: int) -> dict[str, float]:
    """Trained on three schedules, or with three widths; sampled between the same noise levels."""
    plain = Settings()
    paths = {"linear betas": VariancePreserving(), "cosine": Cosine(), "flow": RectifiedFlow()}
    scores = {
        name: digits.score(draw(learn(digits.known, seed, plain.but(schedule=path)), seed))
        for name, path in paths.items()
    }
    widths = {f"width {w}": _width(digits, seed, w) for w in (96, 384)}
    widths["width 192"] = scores["linear betas"]
    return {
        **scores,
        **widths,
        "spread between schedules": statistics.stdev([scores[name] for name in paths]),
        "spread between network widths": statistics.stdev(widths.values()),
    }


def _width(digits: Digits, seed: int, width: int) -> float:
    settings = Settings(network=lambda: Perceptron(width=width))
    return digits.score(draw(learn(digits.known, seed, settings), seed))


def batches(digits: Digits, seed: int) -> dict[str, float]:
    """Three batch sizes, one second each."""
    return {
        f"batch {batch}": digits.score(
            draw(
                learn(digits.known, seed, Settings(batch=batch, seconds=1.0, updates=1_000_000)),
                seed,
            )
        )
        for batch in (16, 64, 256)
    }


def rates(digits: Digits, seed: int) -> dict[str, float]:
    """Three rates, with and without clipping of the gradient to norm 1."""
    found: dict[str, float] = {}
    for rate in (0.002, 0.01, 0.05):
        for name, clip in (("no clipping", 1e9), ("clipped", 1.0)):
            made = broken(learn(digits.known, seed, Settings(rate=rate, clip=clip)), seed)
            found[f"rate {rate:g}, {name}"] = (
                FAILED if made is None else min(digits.score(made), FAILED)
            )
    return found


def networks(digits: Digits, seed: int) -> dict[str, float]:
    """A U-Net and a transformer of nearly equal size, two seconds each."""
    kinds = {
        "U-Net": lambda: Shaped(UNet(2, 1, 1, (16, 32), blocks=1, embedding=64)),
        "transformer": lambda: Shaped(DiT(2, 1, 1, width=48, depth=2, heads=4)),
        "perceptron": Perceptron,
    }
    return {
        name: digits.score(
            draw(
                learn(digits.known, seed, Settings(network=make, seconds=2.0, updates=1_000_000)),
                seed,
            )
        )
        for name, make in kinds.items()
    }


def depths(digits: Digits, seed: int) -> dict[str, float]:
    """Four numbers of hidden layers."""
    return {
        f"{depth} layer{'s' * (depth > 1)}": digits.score(
            draw(
                learn(digits.known, seed, Settings(network=lambda d=depth: Perceptron(depth=d))),
                seed,
            )
        )
        for depth in (1, 2, 4, 8)
    }


def memory(digits: Digits, seed: int) -> dict[str, float]:
    """Copies among the samples, after few and many updates, of few and all digits."""
    found: dict[str, float] = {}
    for count, updates in ((100, 500), (100, 4000), (1297, 500), (1297, 4000)):
        rows = digits.known[:count]
        made = draw(learn(rows, seed, Settings(updates=updates)), seed)
        found[f"{count} digits, {updates} updates"] = copies(made, rows)
    return found


def copies(made: Tensor, rows: Tensor) -> float:
    """Per cent of samples that lie three times nearer to one learned digit than to any other."""
    nearest = torch.cdist(made, rows).topk(2, largest=False).values
    return 100 * float((nearest[:, 0] < nearest[:, 1] / 3).float().mean())


def augmentation(digits: Digits, seed: int) -> dict[str, float]:
    """A hundred digits, alone and with each moved by one pixel in four directions."""
    rows = digits.known[:100]
    images = torch.nn.functional.pad(rows.reshape(-1, 8, 8), (1, 1, 1, 1), value=-1.0)
    moved = [
        images[:, i : i + 8, j : j + 8].flatten(1)
        for i, j in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    ]
    return {
        "100 digits": digits.score(draw(learn(rows, seed), seed)),
        "100 digits, moved by a pixel": digits.score(draw(learn(torch.cat(moved), seed), seed)),
    }


def outliers(digits: Digits, seed: int) -> dict[str, float]:
    """Every twentieth image replaced by noise five times as bright as the digits."""
    rows = digits.known.clone()
    rows[::20] = 5 * torch.randn(rows[::20].shape, generator=torch.Generator().manual_seed(seed))
    return {
        "clean": digits.score(draw(learn(digits.known, seed), seed)),
        "5 % of bright noise": digits.score(draw(learn(rows, seed), seed)),
        "the same, clipped to the range": digits.score(draw(learn(rows.clamp(-1, 1), seed), seed)),
    }


def missing(digits: Digits, seed: int) -> dict[str, float]:
    """A fifth of all pixels lost: set to 0, or to the mean of that pixel elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    lost = torch.rand(digits.known.shape, generator=generator) < 0.2
    mean = (digits.known * ~lost).sum(0) / (~lost).sum(0)
    filled = {"set to 0": torch.zeros(()), "set to their mean": mean}
    return {
        "complete": digits.score(draw(learn(digits.known, seed), seed)),
        **{
            f"20 % of the pixels {name}": digits.score(
                draw(learn(torch.where(lost, value, digits.known), seed), seed)
            )
            for name, value in filled.items()
        },
    }


def scales(digits: Digits, seed: int) -> dict[str, float]:
    """The same training on other scales of the data; scores are on the scale of -1 to 1."""
    kinds = {"-1 to 1": (1.0, 0.0), "levels 0 to 16": (8.0, 8.0), "0 to 1": (0.5, 0.5)}
    return {
        name: digits.score((draw(learn(digits.known * gain + shift, seed), seed) - shift) / gain)
        for name, (gain, shift) in kinds.items()
    }
