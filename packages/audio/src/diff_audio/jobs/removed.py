"""The removed part of a recording as a sound file: input = output + noise, sample for sample.

The noise is the input less the output as it stands in its file, read back: so the sum holds also
for a lossy output. Integer samples of up to 24 bits subtract exactly on their own grid, and noise
in that format is what one expects; everything else is kept as 64-bit floats in a WAV file. Those
hold the difference of two 32-bit floats exactly unless one is 2^29 times the other, and of two
64-bit floats to the rounding of one subtraction.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from diff_audio.sound.names import NOISE_TAG, TAG
from diff_audio.sound.read import BadFile, Recording, probe, read_blocks
from diff_audio.sound.wave import Array
from diff_audio.sound.write import BITS, Writer

_PACKET = 4096  # samples, at most

__all__ = ["fits_grid", "noise_path", "within_reach", "write_noise"]


def fits_grid(source: Recording, subtype: str) -> bool:
    """Return whether input and output share one grid of integers, so that the noise can too."""
    return source.subtype == subtype and subtype in BITS


def noise_path(target: Path, source: Recording, subtype: str) -> Path:
    """Return the path for the noise of the output `target`: NAME_removed beside it, without the
    tag that the output has and the source has not.

    What is no WAV file, but has its noise in one, is in the name: so that those of a.mp3 and
    a.ogg are two.
    """
    name = source.path.stem
    name = name if target.stem == name + TAG else target.stem
    if fits_grid(source, subtype) or target.suffix.lower() == ".wav":
        return target.with_name(name + NOISE_TAG + target.suffix)
    return target.with_name(f"{name}{NOISE_TAG}_{target.suffix[1:]}.wav")


def within_reach(after: Array, before: Array, subtype: str) -> tuple[Array, int]:
    """Return `after` moved as little as is needed for `before` - `after` to lie within full scale,
    and the number of samples moved.

    Only a sample that changed its sign near full scale is: the noise must fit its own format.
    """
    step = 2.0 ** (1 - BITS[subtype])
    low, high = -1.0, 1.0 - step
    rounded = np.rint(after / step) * step
    moved = np.clip(np.clip(rounded, low, high), before - high, before - low)
    return moved, int(np.count_nonzero(moved != rounded))


def write_noise(source: Recording, output: Path, path: Path, *, nan_to_zero: bool = False) -> None:
    """Write source - output to `path`; both are read in blocks. Raises BadFile where they differ
    in length, but for the silence behind an M4A, which ends with a whole packet.
    """
    written = probe(output)
    longest = source.frames + (_PACKET if output.suffix.lower() == ".m4a" else 0)
    same = written.channels == source.channels
    if not (same and source.frames <= written.frames <= longest):
        raise BadFile(
            f"the output has {written.frames} samples and the input {source.frames}, so the noise "
            "cannot be computed; name the output .wav or .flac"
        )
    like, format, subtype = source, written.format, written.subtype
    if not fits_grid(source, written.subtype):
        like, format, subtype = replace(source, endian="FILE"), "WAV", "DOUBLE"
    with Writer(path, like, format, subtype) as writer:
        for before, after in zip(read_blocks(source.path), read_blocks(output), strict=False):
            if nan_to_zero:
                before = np.where(np.isfinite(before), before, 0.0)
            writer.write(before - after[:, : before.shape[1]])
