"""The training loop.

Everything random is a function of (seed, step): the data sets give item i as a pure function of
(seed, i), and the objective draws from a generator seeded for its step. A resumed run therefore
equals an uninterrupted one bit for bit, and nothing random needs saving.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from diff_core.denoiser import Denoiser
from diff_core.train.config import TrainConfig, learning_rate
from diff_core.train.ema import Ema
from diff_core.train.objective import Objective
from diff_core.train.state import load_state, save_state

__all__ = ["Samples", "TrainingError", "train"]

D = TypeVar("D", bound=Denoiser)
Validate = Callable[[D, int], dict[str, float]]


class TrainingError(RuntimeError):
    """Training cannot go on."""


class Samples(Protocol):
    """Training samples without end: item i, for any i >= 0, is a pure function of i."""

    def __getitem__(self, index: int, /) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class _Batches:
    """Indices of the batches from step `start` to `stop`."""

    start: int
    stop: int
    size: int

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.stop):
            yield list(range(step * self.size, (step + 1) * self.size))

    def __len__(self) -> int:
        return self.stop - self.start


def train(
    denoiser: D,
    objective: Objective,
    samples: Samples,
    config: TrainConfig,
    *,
    directory: Path,
    validate: Validate[D] | None = None,
) -> D:
    """Trains and returns the averaged denoiser, in evaluation mode.

    `directory` receives `state.safetensors` (to resume from; if one is there, the run goes on
    from it) and `log.jsonl`, one JSON object a line: `loss`, `rate` and `gradient` every
    `log_every` steps, and what `validate(averaged denoiser, step)` returns. A step whose loss or
    gradient is not finite is skipped and counted.

    Raises TrainingError after `config.patience` such steps in a row, and CheckpointError if the
    directory holds the state of another model.
    """
    directory.mkdir(parents=True, exist_ok=True)
    state_path = directory / "state.safetensors"
    device = torch.device(config.device)
    denoiser.to(device).train()
    parameters = [p for p in denoiser.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, config.learning_rate, weight_decay=config.weight_decay
    )
    ema = Ema(denoiser, config.ema)
    start = load_state(state_path, denoiser, ema.module, optimizer) if state_path.exists() else 0

    loader = DataLoader(
        cast("Dataset[dict[str, Tensor]]", samples),
        batch_sampler=_Batches(start, config.steps, config.batch_size),
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
    )
    progress = tqdm(
        loader,
        desc="training",
        initial=start,
        total=config.steps,
        disable=None,
        dynamic_ncols=True,
    )
    begun, skipped, recent = time.monotonic(), 0, 0.0
    with (directory / "log.jsonl").open("a") as log:

        def report(step: int, values: dict[str, Any]) -> None:
            seconds = round(time.monotonic() - begun, 1)
            log.write(json.dumps({"step": step, "seconds": seconds} | values) + "\n")
            log.flush()

        for step, batch in enumerate(progress, start):
            rate = learning_rate(config, step)
            loss, gradient = _step(
                denoiser, objective, _to(batch, device), optimizer, parameters, config, step, rate
            )
            if loss is None:
                skipped += 1
                report(step + 1, {"skipped": skipped})
                if skipped >= config.patience:
                    raise TrainingError(
                        f"{skipped} steps in a row gave a loss or gradient that is not finite"
                    )
            else:
                skipped = 0
                ema.update(denoiser, step)
                recent = loss if step == start else 0.98 * recent + 0.02 * loss
                progress.set_postfix(loss=f"{recent:.4g}", refresh=False)

            done = step + 1
            if loss is not None and (done % config.log_every == 0 or done == config.steps):
                report(done, {"loss": recent, "rate": rate, "gradient": gradient})
            if done % config.checkpoint_every == 0 or done == config.steps:
                save_state(state_path, denoiser, ema.module, optimizer, done)
            if validate and (done % config.validate_every == 0 or done == config.steps):
                scores = validate(ema.module, done)
                report(done, {"validation": scores})
                line = "  ".join([f"step {done}"] + [f"{k} {v:.4g}" for k, v in scores.items()])
                progress.write(line, file=sys.stderr)
    return ema.module


def _step(
    denoiser: Denoiser,
    objective: Objective,
    batch: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter],
    config: TrainConfig,
    step: int,
    rate: float,
) -> tuple[float | None, float]:
    """One optimiser step; (None, norm) when loss or gradient is not finite."""
    seed = config.seed * 1_000_003 + step
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    half = parameters[0].device.type == "cuda"
    with torch.autocast(parameters[0].device.type, torch.bfloat16, enabled=half):
        loss = objective(denoiser, batch, generator).mean()
    loss.backward()
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.clip))
    value = float(loss.detach())
    if not torch.isfinite(torch.tensor([value, norm])).all():
        return None, norm
    optimizer.step()
    return value, norm


def _to(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
