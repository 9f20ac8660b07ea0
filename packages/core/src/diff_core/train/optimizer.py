"""The optimisers that a recipe may name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from diff_core.train.config import TrainConfig
from diff_core.train.distributed import is_spread

__all__ = ["MuonAdamW", "make_optimizer", "matrices_of"]

_SMALLEST = 16


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """Return the optimiser that the settings name, of the parameters with gradients, at their peak
    rate.

    Raises ValueError for muon where torch has none (before 2.9).
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        nesterov = config.momentum > 0
        return SGD(parameters, rate, config.momentum, weight_decay=decay, nesterov=nesterov)
    betas = config.momentum, config.beta2
    if config.optimizer == "muon":
        matrices = matrices_of(model)
        known = {id(p) for p in matrices}
        rest = [p for p in parameters if id(p) not in known]
        return MuonAdamW(matrices, rest, rate, betas, weight_decay=decay)
    kind = Adam if config.optimizer == "adam" else AdamW
    return kind(parameters, rate, betas, weight_decay=decay)


def matrices_of(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights that Muon moves: matrices, and filters with all but their first axis as
    one, of at least 16 rows and columns; no embeddings.

    Smaller ones are mostly those of the first and the last layer, which the published recipes give
    to AdamW too.
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return [
        p
        for p in model.parameters()
        if p.requires_grad
        and id(p) not in tables
        and p.ndim >= 2
        and min(len(p), p.numel() // len(p)) >= _SMALLEST
    ]


class MuonAdamW(Optimizer):
    """torch.optim.Muon for matrices and filters, and AdamW for the other parameters.

    Muon: An optimizer for hidden layers in neural networks (Jordan et al., 2024). Its steps have
    the root mean square of AdamW's, 0.2 sqrt(max(rows, columns)) for an orthogonal matrix, so that
    rates and weight decay tuned for AdamW serve both: Muon is Scalable for LLM Training (Liu et
    al., 2025), equation 4. The momentum of both is the first of `betas`.

    Raises ValueError where torch has no Muon (before 2.9); when it steps, for a weight that is
    spread over processes, of which no process has the whole matrix.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        rest: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        weight_decay: float = 0.0,
    ) -> None:
        kind: Any = getattr(torch.optim, "Muon", None)
        if kind is None:
            raise ValueError(
                f"optimizer is 'muon'; torch {torch.__version__} has none, expected 2.9 or later"
            )
        # the groups of the two inner optimisers are those of this one, and so are their rates
        self._adamw = AdamW([nn.Parameter(torch.zeros(()))], lr, betas, weight_decay=weight_decay)
        self._muon: Any = kind(
            [nn.Parameter(torch.zeros(1, 1))],
            lr,
            weight_decay,
            betas[0],
            adjust_lr_fn="match_rms_adamw",
        )
        groups: list[dict[str, Any]] = [
            {**self._muon.param_groups[0], "params": list(matrices)},
            {**self._adamw.param_groups[0], "params": list(rest)},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step with the gradients that the parameters hold."""
        for group in self.param_groups:
            if "adjust_lr_fn" in group:
                self._step_matrices(group)
            else:
                self._adamw.state = self.state
                self._adamw.param_groups = [group]
                self._adamw.step()

    def _step_matrices(self, group: dict[str, Any]) -> None:
        """Let Muon move matrices that share the memory of the weights, where they are in order."""
        weights = [p for p in group["params"] if p.grad is not None]
        if any(map(is_spread, weights)):
            raise ValueError(
                "optimizer is 'muon', which needs whole matrices; expected adamw for a sharded "
                "model"
            )
        flat: list[nn.Parameter] = []
        self._muon.state.clear()
        for weight in weights:
            matrix = nn.Parameter(weight.detach().flatten(1))
            matrix.grad = weight.grad.flatten(1)
            state = self.state[weight]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(
                    weight, memory_format=torch.contiguous_format
                )
            self._muon.state[matrix] = {"momentum_buffer": state["momentum_buffer"].flatten(1)}
            flat.append(matrix)
        self._muon.param_groups = [{**group, "params": flat}]
        self._muon.step()
        for weight, matrix in zip(weights, flat, strict=True):
            _put(weight, matrix)


def _put(weight: Tensor, matrix: Tensor) -> None:
    """Copy a matrix into the weight, unless it is the same memory."""
    if matrix.data_ptr() != weight.data_ptr():  # channels last: `flatten` has made a copy
        weight.copy_(matrix.view(weight.shape))
