"""Noise for samplers, a function of the row's own seed and the step and of nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["Keyed", "Noise"]


class Noise(Protocol):
    """A source of standard normal noise for step k, with the shape, dtype and device of `like`.

    k = -1 is the starting point of a sampling, k = 0, 1, ... its steps. A call with the same k and
    shape gives the same noise again.
    """

    def __call__(self, k: int, like: Tensor) -> Tensor: ...


class Keyed:
    """Noise whose row b depends on (seeds[b], k) and the shape of a row only.

    The same row comes out alone or in a batch, in any order, on any device and in any dtype (drawn
    in float32 on the CPU). Philox is keyed by the pair itself, so that streams of different pairs
    do not meet: Parallel Random Numbers: As Easy as 1, 2, 3 (Salmon et al., 2011).
    Raises ValueError for a seed outside [0, 2^64) or a batch of another size than `seeds`,
    TypeError for seeds that are no sequence of integers.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        try:
            self.seeds = tuple(index(seed) for seed in seeds)
        except TypeError as error:
            raise TypeError(
                f"seeds is {seeds!r}; expected a sequence of integers, one for each row, such as "
                "[0, 1]"
            ) from error
        for seed in self.seeds:
            if not 0 <= seed < 2**64:
                raise ValueError(f"seeds holds {seed}; expected integers from 0 to 2^64 - 1")

    def __call__(self, k: int, like: Tensor) -> Tensor:
        if like.shape[0] != len(self.seeds):
            raise ValueError(
                f"like has {like.shape[0]} rows; expected {len(self.seeds)}, one for each seed"
            )
        rows = np.empty((len(self.seeds), math.prod(like.shape[1:])), dtype=np.float32)
        for row, seed in zip(rows, self.seeds, strict=True):
            key = np.array([seed, k % 2**64], dtype=np.uint64)
            np.random.Generator(np.random.Philox(key=key)).standard_normal(
                dtype=np.float32, out=row
            )
        noise = torch.as_tensor(rows).reshape(like.shape)
        if like.is_cuda:
            # from pinned memory the copy does not make the CPU wait for the device
            noise = noise.pin_memory()
        return noise.to(like.device, like.dtype, non_blocking=like.is_cuda)
