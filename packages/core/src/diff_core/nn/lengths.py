"""Signals of different lengths in one batch, each treated as if it were alone.

`Condition.lengths` counts the valid entries along the last axis. A network that shortens that axis
by a factor f works on whole cells of f entries: the cell that a signal ends in counts as whole and
is filled by repeating the signal's last valid entry, exactly as `extend` fills the end of a single
signal. Beyond that cell there is nothing: norms leave it out of their statistics, attention does
not look there, and convolutions find the zeros that they find beyond the end of a single signal.

`Condition.token_lengths` counts the valid tokens of each sequence; nothing looks at the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["blank", "extend", "valid_cells", "valid_tokens"]


def extend(x: Tensor, multiple: Sequence[int], lengths: Tensor | None = None) -> Tensor:
    """x (B, C, *S) grown at the end of each axis to a `multiple`, repeating the last entry.

    With `lengths` (B,), every entry of the last axis beyond a signal's end is replaced by its last
    valid one: what was in the padding, NaN included, has no effect.
    """
    if lengths is not None:
        entries = torch.arange(x.shape[-1], device=x.device)
        nearest = torch.minimum(entries, lengths[:, None] - 1)
        x = x.gather(-1, _aligned(nearest, x.ndim).expand_as(x))
    missing = [-n % m for n, m in zip(x.shape[2:], multiple, strict=True)]
    if not any(missing):
        return x
    amounts = [amount for n in reversed(missing) for amount in (0, n)]
    return F.pad(x, amounts, mode="replicate")


def valid_cells(lengths: Tensor, cell: int, cells: int, ndim: int) -> Tensor:
    """Which of the `cells` along the last axis, of `cell` entries each, a signal reaches into.

    lengths (B,) -> bool (B, 1, ..., cells) of `ndim` axes.
    """
    reached = torch.arange(cells, device=lengths.device) * cell < lengths[:, None]
    return _aligned(reached, ndim)


def valid_tokens(
    tokens: Tensor | None, lengths: Tensor | None, like: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """The tokens (B, L, D) in the dtype of `like`, and which of them to look at.

    That is bool (B, 1, 1, L), or None for all of them. With `lengths` (B,) the others become zero:
    NaN would survive a weight of 0 in attention.
    """
    if tokens is None:
        return None, None
    tokens = tokens.to(like.dtype)
    if lengths is None:
        return tokens, None
    valid = torch.arange(tokens.shape[1], device=like.device) < lengths.to(like.device)[:, None]
    return blank(tokens, valid[..., None]), valid[:, None, None]


def blank(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with zeros wherever the mask is false; x itself without a mask."""
    return x if mask is None else torch.where(mask, x, 0.0)


def _aligned(rows: Tensor, ndim: int) -> Tensor:
    return rows[(slice(None),) + (None,) * (ndim - 2)]
