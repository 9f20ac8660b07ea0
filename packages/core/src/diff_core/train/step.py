"""One optimiser step: the gradient of a batch in parts, skipped where it is not finite."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diff_core.train.batches import Batches
from diff_core.train.config import TrainConfig, learning_rate
from diff_core.train.distributed import Processes, whole
from diff_core.train.job import Loss
from diff_core.train.optimizer import make_optimizer

__all__ = ["Outcome", "Stepper"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a step, over all processes.

    loss:     mean over the batch
    gradient: its norm before clipping
    taken:    whether both are finite, and the weights moved
    bad:      positions in the batch of losses that are not finite
    asked:    whether a process was asked to stop
    """

    loss: float
    gradient: float
    taken: bool
    bad: tuple[int, ...]
    asked: bool


class _Objective(nn.Module):
    """The loss as a module, so that what a launcher wraps (DDP, FSDP) is all of a step.

    The objective sees the model itself, whatever methods of it it calls.
    """

    def __init__(self, model: nn.Module, objective: Loss) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        return self.objective(self.model, batch, generator)


class Stepper:
    """Moves a model's weights; after construction they may be spread over processes."""

    def __init__(
        self,
        model: nn.Module,
        objective: Loss,
        config: TrainConfig,
        batches: Batches,
        among: Processes,
    ) -> None:
        self.config, self.batches, self.among = config, batches, among
        self.optimizer = make_optimizer(model, config)
        self._losses = among.prepare(_Objective(model, objective), self.optimizer)
        self._parameters = [p for p in model.parameters() if p.requires_grad]

    def take(
        self,
        step: int,
        parts: Sequence[dict[str, Tensor]],
        *,
        asked: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Step number `step` (from 0) on this process's parts of the batch.

        asked: whether this process has been asked to stop; all learn of it in this step
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, step)
        self.optimizer.zero_grad(set_to_none=True)
        batches, loss, seen = self.batches, 0.0, list[Tensor]()
        for part, batch in zip(batches.mine, parts, strict=True):
            share, last = batches.share(part), part == batches.mine[-1]
            with contextlib.nullcontext() if last else self.among.holding(self._losses):
                losses = self._losses(self._here(batch), self._generator(step, part))
                mean = losses.mean()
                # processes average their gradients; parts of one process add up
                (mean * (share * self.among.count)).backward()
            loss += share * float(mean.detach())
            seen.append(losses.detach())
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.config.clip)
        gradient = float(whole(norm))
        loss, stop = self.among.total([loss, float(asked())])
        if math.isfinite(loss) and math.isfinite(gradient):
            self.optimizer.step()
            return Outcome(loss, gradient, True, (), stop > 0)
        return Outcome(loss, gradient, False, self._bad(seen), stop > 0)

    def _bad(self, losses: Sequence[Tensor]) -> tuple[int, ...]:
        """Positions in the batch, over all processes, of losses that are not finite."""
        bad = [0.0] * self.batches.size
        for part, values in zip(self.batches.mine, losses, strict=True):
            for item, finite in zip(
                self.batches.items(0, part), values.isfinite().tolist(), strict=True
            ):
                bad[item] = float(not finite)
        return tuple(k for k, count in enumerate(self.among.total(bad)) if count)

    def _generator(self, step: int, part: int) -> torch.Generator:
        """Return the generator of a part, the same wherever it runs; it seeds dropout too."""
        seed = self.config.seed * 1_000_003 + step + (part << 40)
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    def _here(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        device = self.among.device
        return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
