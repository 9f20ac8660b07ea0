"""Students of an exact teacher, trained for seconds: closer to the data than the teacher is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diff_core import (
    Condition,
    Consistency,
    Ddim,
    Denoiser,
    FromFlow,
    Heun,
    Keyed,
    RectifiedFlow,
    Sampler,
    uniform,
)
from diff_core.distil import (
    AdversarialDistillation,
    ConsistencyDistillation,
    Pairs,
    ProgressiveDistillation,
    Reflow,
    WithDiscriminator,
    WithTarget,
    couple,
    straightness,
)
from diff_core.evaluate import energy_distance
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.sample import sample
from diff_core.train import Objective, TrainConfig, train

SCHEDULE = RectifiedFlow()
MIXTURE = Mixture(*(torch.tensor(p) for p in ([0.4, 0.6], [-1.0, 0.8], [0.15, 0.2])))
TEACHER = ExactDenoiser(MIXTURE, SCHEDULE)
DATA, HELD_OUT = (
    MIXTURE.sample((count, 2), torch.Generator().manual_seed(seed))
    for seed, count in enumerate((4096, 2048))
)
D = TypeVar("D", bound=Denoiser)
CONFIG = TrainConfig(
    steps=400, batch_size=128, learning_rate=4e-3, warmup=20, ema=0.98, checkpoint_every=1000
)


class Perceptron(nn.Module):
    """(B, 2) and time to (B, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, object] = {}
        self.layers = nn.Sequential(
            nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)
        )

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        angle = 1.5 * time[:, None]
        return self.layers(torch.cat([x, angle.sin(), angle.cos()], dim=1))


def student() -> FromFlow:
    torch.manual_seed(0)
    return FromFlow(Perceptron(), SCHEDULE)


def distance(denoiser: Denoiser, sampler: Sampler, steps: int) -> float:
    noise = Keyed(range(len(HELD_OUT)))
    start = noise(-1, HELD_OUT)
    return energy_distance(sample(denoiser, sampler, start, uniform(steps), noise=noise), HELD_OUT)


def fit(model: D, objective: Objective, samples: Pairs, directory: Path, **changes: float) -> D:
    return train(model, objective, samples, replace(CONFIG, **changes), directory=directory)


@pytest.mark.parametrize("teacher", [TEACHER, None], ids=["distillation", "training"])
def test_consistency_student_in_one_step(tmp_path: Path, teacher: Denoiser | None) -> None:
    objective = ConsistencyDistillation(uniform(12), teacher)
    pair = fit(WithTarget(student(), 0.5), objective, Pairs({"x_0": DATA}), tmp_path)
    assert distance(pair.denoiser, Consistency(), 1) < 0.15 * distance(TEACHER, Ddim(), 1)
    assert distance(pair.denoiser, Consistency(), 2) < 0.8 * distance(TEACHER, Ddim(), 2)


def test_progressive_student_in_half_the_steps(tmp_path: Path) -> None:
    objective = ProgressiveDistillation(TEACHER, uniform(4))
    taught = fit(student(), objective, Pairs({"x_0": DATA}), tmp_path, steps=600)
    assert distance(taught, Ddim(), 2) < 0.6 * distance(TEACHER, Ddim(), 2)


def test_reflow_straightens_and_needs_one_step(tmp_path: Path) -> None:
    pairs = couple(TEACHER, Heun(), uniform(32), DATA[0], range(4096))
    taught = fit(student(), Reflow(), pairs, tmp_path)
    start = torch.randn(500, 2)
    bends = [straightness(model, start, uniform(50)).mean() for model in (taught, TEACHER)]
    assert bends[0] < 0.2 * bends[1]
    for steps in (1, 2):
        assert distance(taught, Ddim(), steps) < 0.1 * distance(TEACHER, Ddim(), steps)


def test_adversarial_student_in_one_step(tmp_path: Path) -> None:
    model = WithDiscriminator(student(), Perceptron())
    objective = AdversarialDistillation(uniform(2), TEACHER, penalty=0.02)
    pair = fit(model, objective, Pairs({"x_0": DATA}), tmp_path, momentum=0.5, beta2=0.9)
    assert distance(pair.denoiser, Consistency(), 1) < 0.35 * distance(TEACHER, Ddim(), 1)


@pytest.mark.parametrize("kind", ["target", "discriminator"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, kind: str) -> None:
    def go(name: str, steps: int) -> None:
        target = kind == "target"
        model = WithTarget(student()) if target else WithDiscriminator(student(), Perceptron())
        grid = uniform(4)
        objective = ConsistencyDistillation(grid) if target else AdversarialDistillation(grid)
        train(
            model,
            objective,
            Pairs({"x_0": DATA}),
            replace(CONFIG, steps=steps, final_rate=CONFIG.learning_rate),
            directory=tmp_path / name,
        )

    go("whole", 9)
    go("parts", 4)
    go("parts", 9)
    whole, parts = (load_file(tmp_path / n / "state.safetensors") for n in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
