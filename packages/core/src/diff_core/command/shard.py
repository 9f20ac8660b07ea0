"""One part of the inputs of a command, for array jobs that share no lock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from diff_core.command.inputs import Job

__all__ = ["Shard", "parse_shard"]


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, counted from 1."""

    index: int
    count: int

    def of(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs of this part: every `count`-th by the name of its source.

        All parts together are all jobs, and no job is in two parts. Which part has a job depends
        only on the names of the sources, not on outputs that exist.
        """
        return sorted(jobs, key=lambda job: str(job.source))[self.index - 1 :: self.count]


def parse_shard(text: str) -> Shard:
    """Read I/N, with I from 1 to N. Raises typer.BadParameter for anything else."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise typer.BadParameter(f"{text!r} is no part; expected I/N with I from 1 to N: 3/8")
    return Shard(int(found[1]), int(found[2]))
