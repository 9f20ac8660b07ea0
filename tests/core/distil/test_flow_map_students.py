"""Students of objectives without a grid, trained for seconds: close to the data at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Consistency,
    Ddim,
    Denoiser,
    FlowMap,
    FromFlow,
    Keyed,
    RectifiedFlow,
    uniform,
)
from diff_core.distil import ContinuousConsistency, MeanFlow, Pairs, Shortcut
from diff_core.evaluate import energy_distance
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.flow_map import SPAN
from diff_core.nn import UNet
from diff_core.sample import sample
from diff_core.train import Objective, TrainConfig, train


def perceptron() -> FlowMap:
    torch.manual_seed(0)
    return FlowMap(FromFlow(Perceptron(), RectifiedFlow()))


class Perceptron(nn.Module):
    """(B, 2), time and vector to (B, 2)."""

    def __init__(self, told: int = 6) -> None:
        super().__init__()
        self.config: dict[str, object] = {"told": told}
        self.layers = nn.Sequential(
            nn.Linear(4 + told, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)
        )

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        angle = 1.5 * time[:, None]
        given = [x, angle.sin(), angle.cos()]
        if cond is not None and cond.vector is not None:
            given.append(cond.vector)
        return self.layers(torch.cat(given, dim=1))


PLANE = Mixture(*(torch.tensor(p) for p in ([0.4, 0.6], [-1.0, 0.8], [0.15, 0.2])))
TEACHER = ExactDenoiser(PLANE, RectifiedFlow())
SAMPLES, HELD_OUT = (
    PLANE.sample((count, 2), torch.Generator().manual_seed(seed))
    for seed, count in enumerate((4096, 1024))
)
CONFIG = TrainConfig(
    steps=500, batch_size=128, learning_rate=4e-3, warmup=20, ema=0.98, checkpoint_every=1000
)


def distance(denoiser: Denoiser, sampler: Ddim | Consistency, steps: int) -> float:
    noise = Keyed(range(len(HELD_OUT)))
    start = noise(-1, HELD_OUT)
    return energy_distance(sample(denoiser, sampler, start, uniform(steps), noise=noise), HELD_OUT)


@pytest.mark.parametrize(
    "objective",
    [MeanFlow(), MeanFlow(TEACHER), Shortcut(steps=32, doubled=0.5)],
    ids=["mean flow", "mean flow, teacher", "shortcut"],
)
def test_a_network_learns_the_flow_map(tmp_path: Path, objective: Objective) -> None:
    student = train(perceptron(), objective, Pairs({"x_0": SAMPLES}), CONFIG, directory=tmp_path)
    for steps, part in ((1, 0.1), (2, 0.6)):
        assert distance(student, Ddim(), steps) < part * distance(TEACHER, Ddim(), steps)


@pytest.mark.parametrize("known", [TEACHER, None], ids=["distillation", "training"])
def test_a_network_learns_consistency_without_a_grid(
    tmp_path: Path, known: Denoiser | None
) -> None:
    torch.manual_seed(0)
    student = FromFlow(Perceptron(told=0), RectifiedFlow())
    objective = ContinuousConsistency(known)
    config = replace(CONFIG, steps=800)
    student = train(student, objective, Pairs({"x_0": SAMPLES}), config, directory=tmp_path)
    assert distance(student, Consistency(), 1) < 0.15 * distance(TEACHER, Ddim(), 1)


@pytest.mark.parametrize("objective", [MeanFlow(), Shortcut(doubled=1.0), ContinuousConsistency()])
def test_convolutions_are_trained_in_bfloat16(tmp_path: Path, objective: Objective) -> None:
    """The forward derivative is taken in the precision of the weights."""
    network = UNet(1, 1, 1, (8,), blocks=1, embedding=8, vector_dim=SPAN)
    student = FlowMap(FromFlow(network, RectifiedFlow()))
    before = [p.clone() for p in student.parameters()]
    config = replace(CONFIG, steps=2, batch_size=4, precision="bfloat16")
    samples = Pairs({"x_0": torch.randn(8, 1, 8)})
    after = train(student, objective, samples, config, directory=tmp_path).parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
