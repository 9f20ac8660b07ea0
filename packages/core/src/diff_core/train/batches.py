"""Which items each process sees at each step.

Step s takes items s B to (s + 1) B - 1, cut into parts that the processes share. Items and parts
are a function of the step alone, so that a run may stop, go on, or go on with other processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from diff_core.train.config import TrainConfig
from diff_core.train.distributed import Processes
from diff_core.train.job import Collate, Named, Samples

__all__ = ["Batches", "load"]


@dataclass(frozen=True)
class Batches:
    """A batch of `size` items in `parts` parts, of which this process computes `mine`."""

    size: int
    parts: int
    mine: range

    @classmethod
    def of(cls, config: TrainConfig, among: Processes) -> Batches:
        """At least one part a process. Raises ValueError if there are not enough items."""
        each = -(-config.accumulate // among.count)
        parts = each * among.count
        if parts > config.batch_size:
            raise ValueError(
                f"batch_size is {config.batch_size}; expected at least {parts}, for "
                f"{among.count} processes with {each} parts each"
            )
        return cls(config.batch_size, parts, range(among.rank * each, (among.rank + 1) * each))

    def items(self, step: int, part: int) -> range:
        """Indices of the items of a part."""
        first = step * self.size
        start, stop = (self.size * p // self.parts for p in (part, part + 1))
        return range(first + start, first + stop)

    def names(self, samples: Samples, step: int, positions: Sequence[int]) -> list[str]:
        """Return the names of items at some positions of a batch, by `samples` (`Named`)."""
        items = [step * self.size + position for position in positions]
        if isinstance(samples, Named):
            return [samples.name(item) for item in items]
        return [f"item {item}" for item in items]

    def share(self, part: int) -> float:
        """Return the share of the batch that a part is."""
        return len(self.items(0, part)) / self.size


@dataclass(frozen=True)
class _Indices:
    """The indices of this process's parts, step after step."""

    batches: Batches
    steps: range

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            for part in self.batches.mine:
                yield list(self.batches.items(step, part))

    def __len__(self) -> int:
        return len(self.steps) * len(self.batches.mine)


def load(
    samples: Samples,
    batches: Batches,
    steps: range,
    *,
    workers: int = 0,
    collate: Collate | None = None,
) -> Iterator[list[dict[str, Tensor]]]:
    """This process's parts of each step's batch."""
    loader = DataLoader(
        cast("Dataset[dict[str, Tensor]]", samples),
        batch_sampler=_Indices(batches, steps),
        num_workers=workers,
        collate_fn=cast(Any, collate or default_collate),
        worker_init_fn=_leave_signals if workers else None,
    )
    parts = iter(loader)
    for _ in steps:
        yield [next(parts) for _ in batches.mine]


def _leave_signals(_worker: int) -> None:
    """A signal to the whole group is the main process's to answer: it still wants its batch."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
