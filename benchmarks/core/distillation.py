"""What distillation gives on real digits: a teacher and its students in 1, 2 and 4 steps.

    python benchmarks/core/distillation.py [--directory RUNS] [METHOD ...]

scikit-learn's 8x8 digits, one half to train on and the other held out. A small U-Net is trained
with `Denoising`; it is the teacher of one student for every method of `diff_core.distil`
(progressive distillation makes one for every number of steps). Each number is 1000 times the
energy distance between the held-out digits and as many samples, mean and standard deviation over
sets of noise; the first line has the training digits in place of samples. The runs are kept in
RUNS, if given, and not repeated. METHOD is consistency, continuous, mean_flow, shortcut,
progressive, reflow or adversarial; all of them without any.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from diff_core import (
    Consistency,
    Ddim,
    Denoiser,
    FlowMap,
    FromFlow,
    Keyed,
    RectifiedFlow,
    Sampler,
    uniform,
)
from diff_core.distil import (
    AdversarialDistillation,
    ConsistencyDistillation,
    ContinuousConsistency,
    MeanFlow,
    Pairs,
    ProgressiveDistillation,
    Reflow,
    Shortcut,
    WithDiscriminator,
    couple,
    flow_weight,
    straightness,
)
from diff_core.evaluate import energy_distance
from diff_core.flow_map import SPAN
from diff_core.nn import UNet
from diff_core.sample import Heun, sample
from diff_core.train import Denoising, Objective, TrainConfig, train

COUNTS = (1, 2, 4)
SETS = 3
D = TypeVar("D", bound=Denoiser)


def digits() -> tuple[Tensor, Tensor]:
    """Training and held-out digits, (N, 1, 8, 8) in [-1, 1]."""
    images = torch.from_numpy(load_digits().images).float()[:, None] / 8 - 1
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    training, held_out = images[order].tensor_split(2)
    return training, held_out


TRAINING, HELD_OUT = digits()
DATA = Pairs({"x_0": TRAINING})


def network(vector_dim: int = 0) -> UNet:
    """That of the teacher, its students and the discriminator, with the same first weights."""
    torch.manual_seed(0)
    return UNet(2, 1, 1, (16, 32), blocks=1, embedding=64, vector_dim=vector_dim)


def fit(
    name: str,
    model: D,
    objective: Objective,
    steps: int,
    runs: Path,
    samples: Pairs = DATA,
    **keywords: float,
) -> D:
    """`model` after training, and a line that says how long it took."""
    settings = {"learning_rate": 1e-3, "ema": 0.995} | keywords
    config = TrainConfig(
        steps=steps, batch_size=64, warmup=50, checkpoint_every=steps, seed=0, **settings
    )
    begun = time.process_time()
    model = train(model, objective, samples, config, directory=runs / name)
    print(f"  {name}: {steps} steps, {time.process_time() - begun:.0f} s of one core", flush=True)
    return model


def score(denoiser: Denoiser, sampler: Sampler, times: Tensor) -> str:
    """Mean and standard deviation of 1000 x the energy distance."""
    found: list[float] = []
    for first in range(0, SETS * len(HELD_OUT), len(HELD_OUT)):
        noise = Keyed(range(10**6 + first, 10**6 + first + len(HELD_OUT)))
        drawn = sample(denoiser, sampler, noise(-1, HELD_OUT), times, noise=noise)
        found.append(1000 * energy_distance(drawn, HELD_OUT))
    return f"{statistics.mean(found):.0f} ± {statistics.stdev(found):.0f}"


def row(name: str, cells: list[str]) -> None:
    """A line of the table."""
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def start(teacher: D) -> D:
    """A student: a copy of the teacher that can learn."""
    return copy.deepcopy(teacher).requires_grad_(True)


def flow_map(teacher: Denoiser) -> FlowMap:
    """A student that is told the length of a step, and pays no heed to it at first."""
    student = FlowMap(FromFlow(network(SPAN), RectifiedFlow()))
    missing = student.denoiser.load_state_dict(teacher.state_dict(), strict=False).missing_keys
    for name in missing:
        torch.nn.init.zeros_(student.denoiser.get_parameter(name))
    return student


def continuous(teacher: Denoiser, runs: Path) -> None:
    """Consistency without a grid; one student for all numbers of steps."""
    objective = ContinuousConsistency(teacher)
    student = fit("continuous", start(teacher), objective, 1000, runs)
    row("continuous", [score(student, Consistency(), uniform(n)) for n in COUNTS])


def mean_flow(teacher: Denoiser, runs: Path) -> None:
    """One student for all numbers of steps."""
    student = fit("mean flow", flow_map(teacher), MeanFlow(teacher), 1000, runs)
    row("mean flow", [score(student, Ddim(), uniform(n)) for n in COUNTS])


def shortcut(teacher: Denoiser, runs: Path) -> None:
    """One student for all numbers of steps."""
    objective = Shortcut(teacher, steps=16, doubled=0.75)
    student = fit("shortcut", flow_map(teacher), objective, 1000, runs)
    row("shortcut", [score(student, Ddim(), uniform(n)) for n in COUNTS])


def consistency(teacher: Denoiser, runs: Path) -> None:
    """One student for all numbers of steps."""
    objective = ConsistencyDistillation(uniform(8), teacher)
    student = fit("consistency", start(teacher), objective, 1000, runs, learning_rate=2e-3)
    row("consistency", [score(student, Consistency(), uniform(n)) for n in COUNTS])


def progressive(teacher: Denoiser, runs: Path) -> None:
    """8 steps to 4, to 2, to 1."""
    student, times, cells = teacher, uniform(8), list[str]()
    while len(times) > 2:
        objective = ProgressiveDistillation(student, times)
        times = times[::2]
        name = f"progressive, {len(times) - 1} steps"
        student = fit(name, start(student), objective, 400, runs)
        cells.insert(0, score(student, Ddim(), times))
    row("progressive", cells)


def reflow(teacher: Denoiser, runs: Path) -> None:
    """2-rectified flow."""
    pairs = couple(teacher, Heun(), uniform(16), TRAINING[0], range(2048))
    student = fit("reflow", start(teacher), Reflow(), 800, runs, samples=pairs)
    row("reflow", [score(student, Ddim(), uniform(n)) for n in COUNTS])
    x = Keyed(range(100))(-1, TRAINING[:100])
    before, after = (straightness(d, x, uniform(32)).mean().item() for d in (teacher, student))
    print(f"  straightness: {before:.3f} before, {after:.3f} after")


def adversarial(teacher: Denoiser, runs: Path) -> None:
    """One student for all numbers of steps, with a discriminator of the teacher's shape."""
    objective = AdversarialDistillation(uniform(4), teacher)
    pair = WithDiscriminator(start(teacher), network())
    game = {"learning_rate": 5e-4, "momentum": 0.5, "beta2": 0.9}
    student = fit("adversarial", pair, objective, 500, runs, **game).denoiser
    row("adversarial", [score(student, Consistency(), uniform(n)) for n in COUNTS])


METHODS: dict[str, Callable[[Denoiser, Path], None]] = {
    method.__name__: method
    for method in (
        consistency,
        continuous,
        mean_flow,
        shortcut,
        progressive,
        reflow,
        adversarial,
    )
}


def main(runs: Path, methods: list[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"training digits: {1000 * energy_distance(TRAINING, HELD_OUT):.0f}")
    # the network is told t itself, which is as good at t = 1 as elsewhere
    model = FromFlow(network(), RectifiedFlow())
    objective = Denoising(flow_weight)
    teacher = fit("teacher", model, objective, 1500, runs, learning_rate=2e-3)
    row("steps", [str(n) for n in (*COUNTS, 8, 16)])
    row("teacher", [score(teacher, Ddim(), uniform(n)) for n in (*COUNTS, 8, 16)])
    for method in methods:
        METHODS[method](teacher, runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("methods", nargs="*", choices=[[], *METHODS], metavar="METHOD")
    parser.add_argument("--directory", type=Path, metavar="RUNS", help="keep the runs here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(given.directory or Path(temporary), given.methods or list(METHODS))
