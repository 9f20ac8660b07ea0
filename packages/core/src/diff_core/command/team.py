"""The processes among which a launcher shares the files of one command.

`accelerate launch` and torchrun start a command several times and say so in the environment. The
processes then take files from one queue, a counter in the launcher's key-value store, so that a
long file holds up nobody; process 0 draws the bar for all and prints the summary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from diff_core.launch import launched

__all__ = ["Alone", "Team", "is_first", "rank", "team"]

# A process that dies is the launcher's to notice: it stops them all.
_PATIENCE = timedelta(days=30)


def rank() -> int:
    """The number that the launcher gave to this process; 0 if it is the only one."""
    return launched()[0]


def is_first() -> bool:
    """Return whether this process is the only one or number 0, which reports for all."""
    return rank() == 0


class Alone:
    """The only process."""

    rank = 0

    def turns(self, count: int) -> Iterator[int]:
        """The jobs that are this process's, of `count`."""
        return iter(range(count))

    def done(self, amount: int) -> int:
        """Add to the work done, and return that of all the others."""
        return 0

    def gather(self, names: list[str]) -> list[str]:
        """The names of all processes, in process 0; the others get theirs. Waits for all."""
        return names


class Team:
    """One of several processes, which meet at the launcher's key-value store."""

    def __init__(self, store: Any, rank: int, count: int) -> None:
        self._store, self.rank, self.count = store, rank, count
        self._own = 0

    def turns(self, count: int) -> Iterator[int]:
        """The jobs that are this process's, of `count`: the next that nobody has taken."""
        while (index := self._store.add("diff/next", 1) - 1) < count:
            yield index

    def done(self, amount: int) -> int:
        """Add to the work done, and return that of all the others."""
        self._own += amount
        return self._store.add("diff/done", amount) - self._own

    def gather(self, names: list[str]) -> list[str]:
        """The names of all processes, in process 0; the others get theirs. Waits for all."""
        self._store.set(f"diff/names/{self.rank}", json.dumps(names))
        if self.rank:
            self._store.wait(["diff/gathered"], _PATIENCE)
            return names
        keys = [f"diff/names/{rank}" for rank in range(self.count)]
        self._store.wait(keys, _PATIENCE)
        found = [name for key in keys for name in json.loads(self._store.get(key))]
        self._store.set("diff/gathered", "1")
        return found


def team() -> Alone | Team:
    """This process and those that the launcher started beside it."""
    if launched()[1] == 1:
        return Alone()
    from torch.distributed.rendezvous import rendezvous

    return Team(*next(rendezvous("env://")))
