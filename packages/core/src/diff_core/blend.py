"""A checkpoint between two others: a network that was trained further, and the one it began from.

python -m diff_core.blend START.safetensors TUNED.safetensors --share 0.75 -o OUT.safetensors

Robust Fine-Tuning of Zero-Shot Models (Wortsman et al., 2022), equation 1, for every weight:

    theta = (1 - share) theta_start + share theta_tuned .

Training on further data costs a network some of what it could do before. Along the line between
the two there are often networks that have most of both; a validation chooses the share.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from diff_core.checkpoint import read_card
from diff_core.checkpoint.command import exit_code, parser_of
from diff_core.checkpoint.tensors import read_tensors, write_tensors
from diff_core.files import writing

__all__ = ["blend"]


def blend(start: Path, tuned: Path, out: Path, share: float) -> None:
    """Write the blend of two checkpoints of one network, in the types of `tuned`.

    Its card is that of `tuned`, with `share` as `blend` in its recipe. Tensors of integers must be
    equal.
    Raises CheckpointError for a file that is no checkpoint, ValueError for two networks that
    differ, or a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; expected a number from 0 (start) to 1 (tuned)")
    card = read_card(tuned)
    metadata, new = read_tensors(tuned)
    others, old = read_tensors(start)
    if metadata.get("model") != others.get("model"):
        raise ValueError(f"{start} and {tuned} hold different networks; name two of one training")
    for name, tensor in new.items():
        if name not in old or old[name].shape != tensor.shape:
            raise ValueError(f"{start} has no weight {name} of shape {tuple(tensor.shape)}")
        if tensor.is_floating_point():
            new[name] = old[name].float().lerp(tensor.float(), share).to(tensor.dtype)
        elif not tensor.equal(old[name]):
            raise ValueError(f"{name} is not the same in {start} and {tuned}")
    blended = dataclasses.replace(card, recipe={**card.recipe, "blend": {"share": share}})
    write_tensors(out, new, metadata | {"card": json.dumps(dataclasses.asdict(blended))})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code 1 if the files cannot be used."""
    parser = parser_of("diff_core.blend", __doc__)
    parser.add_argument("start", type=Path, help="checkpoint that the training began from")
    parser.add_argument("tuned", type=Path, help="checkpoint that it made")
    parser.add_argument("--share", type=float, default=0.5, help="of the tuned (default: 0.5)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="checkpoint to write")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the output if it is there"
    )
    given = parser.parse_args(arguments)

    def work() -> None:
        with writing(overwrite=given.overwrite):
            blend(given.start, given.tuned, given.output, given.share)

    return exit_code("diff_core.blend", work)


if __name__ == "__main__":
    sys.exit(main())
