"""The noise for a sampler that walks a long recording piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FrameNoise"]

BLOCK = 64  # frames drawn at once


@dataclass(frozen=True)
class FrameNoise:
    """A source of Gaussian noise (B, 2, F, N) that depends on the absolute frame, row, step and
    sample, not on how a recording is cut.

    first: absolute index of frame 0 of the piece.
    """

    seed: int
    sample: int
    first: int

    def __call__(self, k: int, like: Tensor) -> Tensor:
        start, stop = self.first, self.first + like.shape[-1]
        blocks = range(start // BLOCK, -(-stop // BLOCK))
        rows = [
            torch.cat([self._block(row, k, block, like.shape[1:-1]) for block in blocks], dim=-1)
            for row in range(like.shape[0])
        ]
        offset = start - blocks.start * BLOCK
        return torch.stack(rows)[..., offset : offset + like.shape[-1]].to(like)

    def _block(self, row: int, k: int, block: int, shape: Iterable[int]) -> Tensor:
        key = f"{self.seed},{self.sample},{row},{k},{block}".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))
        return torch.randn(*shape, BLOCK, generator=generator)
