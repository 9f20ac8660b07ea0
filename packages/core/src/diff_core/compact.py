"""Checkpoints that pack smaller: weights rounded to fewer significant bits.

python -m diff_core.compact FILE.safetensors --bits 7

A float16 has 11 significant bits, a bfloat16, in which networks usually compute, has 8. Zeros in
the place of the others cost nothing in a wheel or any other zip. The file keeps its type, card and
name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from diff_core.checkpoint import read_card
from diff_core.checkpoint.command import exit_code, parser_of
from diff_core.checkpoint.tensors import read_tensors, write_tensors

__all__ = ["compact", "rounded"]

WIDTHS = {torch.float16: 11, torch.bfloat16: 8, torch.float32: 24}
"""Significant bits of each type, the leading one included."""
WHOLE = {torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.float32: torch.int32}


def rounded(values: Tensor, bits: int) -> Tensor:
    """Rounded to the nearest number with `bits` significant bits, ties away from zero.

    A normal number moves by at most 2^-bits of itself, and the largest ones never to infinity.
    What is no float16, bfloat16 or float32 comes back as it is. Raises ValueError unless
    bits >= 1.
    """
    if bits < 1:
        raise ValueError(f"bits is {bits}; expected at least 1")
    if values.dtype not in WIDTHS or bits >= WIDTHS[values.dtype]:
        return values
    drop = WIDTHS[values.dtype] - bits
    whole = values.contiguous().view(WHOLE[values.dtype]).long()
    # sign and magnitude: adding to the bits moves away from zero, a carry into the next exponent
    nearest = ((whole + (1 << (drop - 1))) >> drop) << drop
    made = nearest.to(WHOLE[values.dtype]).view(values.dtype)
    return torch.where(made.isfinite(), made, values)


def compact(path: Path, bits: int) -> None:
    """Rewrites a checkpoint with its weights `rounded`; the card stays. Whole or not at all.

    Raises CheckpointError for a file that is no checkpoint, ValueError as `rounded`.
    """
    read_card(path)
    metadata, tensors = read_tensors(path)
    tensors = {name: rounded(tensor, bits) for name, tensor in tensors.items()}
    write_tensors(path, tensors, metadata | {"significant_bits": str(bits)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code 1 if the file cannot be used."""
    parser = parser_of("diff_core.compact", __doc__)
    parser.add_argument("file", type=Path, help="checkpoint, replaced")
    parser.add_argument("--bits", type=int, default=7, help="significant bits (default: 7)")
    given = parser.parse_args(arguments)
    return exit_code("diff_core.compact", lambda: compact(given.file, given.bits))


if __name__ == "__main__":
    sys.exit(main())
