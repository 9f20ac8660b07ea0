"""A training command as a domain writes one, on waves that need no files; run by the tests.

`fault=KIND@STEP` in the recipe makes something happen to process 0 in the middle of a step
(`preempt`: to all processes of its group, as a scheduler does it to a job), and `fault=torn@N`
kills it halfway through its Nth checkpoint. `--sharded` spreads the model over the processes with
PyTorch's FSDP, which accelerate does on GPUs only.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import safetensors.torch
import torch
import typer
from torch import Tensor, nn

from diff_core import Cosine, FromX0
from diff_core.command import run
from diff_core.command.train import training_command
from diff_core.io import Card
from diff_core.nn import UNet
from diff_core.train import Denoising, Job, Seen, TrainConfig, distributed

FAULTS = {
    "term": signal.SIGTERM,
    "int": signal.SIGINT,
    "kill": signal.SIGKILL,
    "preempt": signal.SIGTERM,
}


@dataclass(frozen=True)
class Recipe:
    train: TrainConfig
    width: int = 8
    fault: str = ""
    watched: bool = False


@dataclass(frozen=True)
class Inputs:
    sharded: Annotated[bool, typer.Option("--sharded")] = False


@dataclass(frozen=True)
class Waves:
    """Sines of random phase; item i is a function of i."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        phase = torch.rand(1, generator=torch.Generator().manual_seed(index))
        wave = torch.sin(2 * math.pi * (torch.arange(16) / 8 + phase))[None].double()
        return {"x_0": wave, "index": torch.tensor(index)}

    def name(self, index: int) -> str:
        return f"wave {index}"


@dataclass(frozen=True)
class Faulty:
    """Denoising, and on the way what the recipe asks to happen."""

    recipe: Recipe

    def __call__(self, model: FromX0, batch: dict, generator: torch.Generator) -> Tensor:
        kind, _, place = self.recipe.fault.partition("@")
        step = int(batch["index"][0]) // self.recipe.train.batch_size
        if kind in FAULTS and step == int(place) and int(os.environ.get("RANK", "0")) == 0:
            os.kill(0 if kind == "preempt" else os.getpid(), FAULTS[kind])
        return Denoising()(model, batch, generator)


class Draws:
    """A watch that draws from torch's global generator."""

    names = ("distance",)

    def look(self, average: FromX0, step: int) -> Seen:
        x = torch.randn(4, 1, 16, dtype=torch.double)
        distance = float(average(x, torch.tensor(0.9)).square().mean() - 0.5)
        return Seen({"distance": abs(distance)})


class Sharded(distributed.Launched):
    """As accelerate wraps a model with FSDP of version 2."""

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        from torch.distributed.fsdp import fully_shard

        names = {parameter: name for name, parameter in module.named_parameters()}
        fully_shard(module.model.network)
        fully_shard(module)
        sharded = dict(module.named_parameters())
        group = optimizer.param_groups[0]
        group["params"] = [sharded[names[parameter]] for parameter in group["params"]]
        return module

    def holding(self, module: nn.Module) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # sums in place


def torn(number: int) -> Callable[..., None]:
    """A `save_file` of which the call of this number, from 1, is the last."""
    write, calls = safetensors.torch.save_file, itertools.count(1)

    def save_file(tensors: dict, path: Path, metadata: dict) -> None:
        write(tensors, path, metadata=metadata)
        if next(calls) == number:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    return save_file


def build(recipe: Recipe, inputs: Inputs, out: Path) -> Job[FromX0]:
    if recipe.fault.startswith("torn"):
        safetensors.torch.save_file = torn(int(recipe.fault.partition("@")[2]))
    if inputs.sharded:
        distributed.Launched.prepare = Sharded.prepare
        distributed.Launched.holding = Sharded.holding
    network = UNet(1, 1, 1, (recipe.width, 16), blocks=1, embedding=16)
    model = FromX0(network, Cosine()).double()

    def validate(average: FromX0, step: int) -> dict[str, float]:
        x = Waves()[10**6]["x_0"][None]
        return {"error": float((average(x, torch.tensor(0.5)) - x).square().mean())}

    return Job(
        model,
        Faulty(recipe),
        Waves(),
        lambda average, step, hours: Card(
            "tiny", data=("numbers: made",), licences=("CC0-1.0",), scores=validate(average, step)
        ),
        validate,
        plan=("waves without end",),
        watch=Draws() if recipe.watched else None,
    )


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """Only one command."""


training_command(
    app, "tiny", __name__, Path("tiny.yaml"), inputs=Inputs, command="tiny", help="Waves."
)

if __name__ == "__main__":
    sys.exit(run(app, "tiny"))
