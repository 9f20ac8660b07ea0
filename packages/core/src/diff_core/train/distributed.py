"""One process or many: what the loop needs of either.

Started plainly, a run is one process and needs nothing. Started by `accelerate launch` (or
torchrun) it is Hugging Face Accelerate's: processes, devices, and how the model is wrapped (DDP,
FSDP) are decided there. This is the only module that imports accelerate.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from diff_core.device import pick_device
from diff_core.launch import launched
from diff_core.train.stop import TrainingError

__all__ = [
    "Alone", "Launched", "Processes", "guarded", "is_spread", "leave", "like", "processes",
    "whole",
]  # fmt: skip

M = TypeVar("M", bound=nn.Module)


class Processes(Protocol):
    """The processes of a run: this one is number `rank` of `count` and computes on `device`."""

    rank: int
    count: int
    device: torch.device

    def prepare(self, module: M, optimizer: Optimizer) -> M:
        """Wraps a module so that its gradients are the mean over processes."""
        ...

    def holding(self, module: nn.Module) -> AbstractContextManager[None]:
        """While a gradient is only accumulated: no exchange between processes."""
        ...

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over processes, the same everywhere."""
        ...

    def first(self) -> AbstractContextManager[None]:
        """Process 0 goes through the block before the others do."""
        ...

    def wait(self) -> None:
        """Return when all processes have come here."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class Alone:
    """The only process."""

    rank = 0
    count = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def prepare(self, module: M, optimizer: Optimizer) -> M:
        return module

    def holding(self, module: nn.Module) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def total(self, values: Sequence[float]) -> list[float]:
        return list(values)

    def first(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def wait(self) -> None:
        pass

    def close(self) -> None:
        pass


class Launched:
    """One of the processes that a launcher started.

    Precision and accumulation are the recipe's, whatever the launcher was given.
    Raises ValueError if accelerate is not installed, or for the first version of FSDP.
    """

    def __init__(self, device: torch.device) -> None:
        try:
            from accelerate import Accelerator
            from accelerate.utils import InitProcessGroupKwargs
        except ImportError:
            raise ValueError(
                "training in several processes needs accelerate; pip install 'diff-core[train]'"
            ) from None
        # The others wait while process 0 decodes a corpus or validates.
        patience = InitProcessGroupKwargs(timeout=timedelta(hours=6))
        self._accelerator: Any = Accelerator(
            cpu=device.type == "cpu", mixed_precision="no", kwargs_handlers=[patience]
        )
        kind = self._accelerator.distributed_type.value
        if kind == "FSDP" and not self._accelerator.is_fsdp2:
            raise ValueError("FSDP of version 1 is not supported; launch with fsdp_version 2")
        if kind not in ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU", "FSDP"):
            raise ValueError(f"launched as {kind}; expected DDP or FSDP on CPUs or GPUs")
        self.rank: int = self._accelerator.process_index
        self.count: int = self._accelerator.num_processes
        if self.count != (expected := launched()[1]):
            raise ValueError(f"accelerate sees {self.count} processes, the launcher {expected}")
        self.device: torch.device = self._accelerator.device

    def prepare(self, module: M, optimizer: Optimizer) -> M:
        return self._accelerator.prepare(module, optimizer)[0]

    def holding(self, module: nn.Module) -> AbstractContextManager[None]:
        return self._accelerator.no_sync(module)

    def total(self, values: Sequence[float]) -> list[float]:
        kind = torch.float32 if self.device.type == "mps" else torch.float64  # mps has no other
        here = torch.tensor(values, dtype=kind, device=self.device)
        return self._accelerator.reduce(here, "sum").tolist()

    @contextlib.contextmanager
    def first(self) -> Generator[None]:
        with self._accelerator.main_process_first():
            yield

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()

    def close(self) -> None:
        self._accelerator.end_training()


def processes(device: str = "auto") -> Processes:
    """This process and those beside it, computing on `device` (auto, cpu, cuda or mps).

    Raises ValueError for a device that is not there, and LaunchError for the environment of a
    launcher that there is not.
    """
    launched()
    where = pick_device(device)
    return Launched(where) if _is_launched() else Alone(where)


def leave(code: int) -> None:
    """Ends a process that a launcher started, without shutting the interpreter down.

    The threads of PyTorch's process groups let go of tensors when they get round to it. On a busy
    machine that may be while the interpreter shuts down, and then they abort the process.
    """
    if _is_launched():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _is_launched() -> bool:
    return bool({"WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"} & os.environ.keys())


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be spread over processes (FSDP's), whole in each; all must call this."""
    return tensor.full_tensor() if is_spread(tensor) else tensor  # type: ignore[attr-defined]


def like(value: Tensor, tensor: Tensor) -> Tensor:
    """`value`, spread over processes as `tensor` is, on its device."""
    if not is_spread(tensor):
        return value.to(tensor.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(tensor, DTensor)
    return distribute_tensor(value.to(tensor.device), tensor.device_mesh, tensor.placements)


@contextlib.contextmanager
def guarded(among: Processes, advice: str) -> Generator[None]:
    """Raise a TrainingError with `advice` for an exchange that failed."""
    try:
        yield
    except RuntimeError as error:
        if among.count == 1 or isinstance(error, TrainingError) or not _is_lost(error):
            raise
        cause = " ".join(str(error).split())
        raise TrainingError(
            f"process {among.rank} of {among.count} has lost another, whose message says why "
            f"({cause[:160]}); {advice}"
        ) from error


def _is_lost(error: RuntimeError) -> bool:
    from torch import distributed

    known = isinstance(error, distributed.DistError)
    return known or "gloo" in str(error).lower() or "connection" in str(error).lower()


def is_spread(tensor: Tensor) -> bool:
    """Return whether each process holds only a piece of it, as FSDP leaves a model."""
    return hasattr(tensor, "full_tensor")
