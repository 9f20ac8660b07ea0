"""One sound file denoised into another, in two readings and with memory that does not grow with
its length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_audio.enhancer import Denoiser, Settings
from diff_audio.files import BadFile, Recording, probe, read_blocks
from diff_audio.writer import Writer, container_for
from diff_core.files import replacing

__all__ = ["Outcome", "denoise_file", "draw"]

# The first reading's share of the work, for the progress bar.
MEASURING = 0.05

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What was done to one file.

    frames:   samples per channel, in and out
    seconds:  length of the recording; took: time that it needed, both in seconds
    level_db: level of the speech found, dB relative to full scale; None for silence
    clipped:  samples that full scale cut off in the output
    replaced: NaN and Inf samples set to zero
    """

    input: str
    output: str
    rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    seconds: float
    took: float
    level_db: float | None
    clipped: int
    replaced: int
    device: str
    steps: int
    samples: int
    seed: int


def denoise_file(
    model: Denoiser,
    source: Path,
    target: Path,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    nan_to_zero: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Writes `target` with the rate, channels, length, tags and, if its suffix is the source's,
    format of `source`.

    The target appears when it is complete and not before. Raises BadFile for a file that cannot be
    used, OSError where the system refuses to write. on_progress is told the share done, 0 to 1.
    """
    settings = settings or Settings()
    began = time.perf_counter()
    found = probe(source)
    if target.exists() and not overwrite:
        raise BadFile(
            f"the output {target} exists; add --overwrite or choose another name with -o"
        )
    shape = (found.channels, found.frames)
    report = on_progress or (lambda _share: None)
    with (
        replacing(target) as temporary,
        Writer(temporary, found, *container_for(found, target)) as writer,
    ):
        checked = _Checked(found, lambda share: report(share * MEASURING))
        gain = model.measure(checked, shape, found.rate)
        checked.raise_if(nan_to_zero)
        again = _Checked(found, lambda _share: None)
        for piece, part in model.run(again, shape, found.rate, gain, settings):
            writer.write(part)
            report(MEASURING + (1.0 - MEASURING) * piece.stop / found.frames)
    return Outcome(
        input=str(source),
        output=str(target),
        rate=found.rate,
        channels=found.channels,
        frames=found.frames,
        format=writer.format,
        subtype=writer.subtype,
        seconds=found.frames / found.rate,
        took=time.perf_counter() - began,
        level_db=checked.level_db(gain),
        clipped=writer.clipped,
        replaced=checked.bad,
        device=model.device.type,
        steps=settings.steps,
        samples=settings.samples,
        seed=settings.seed,
    )


def draw(before: Path, after: Path, picture: Path) -> None:
    """Draws waveforms and spectrograms of the first two minutes of both files (`picture`)."""
    from diff_audio.picture import before_after

    rate = probe(before).rate
    waves = [
        np.nan_to_num(_start(path, 120 * rate), posinf=0.0, neginf=0.0) for path in (before, after)
    ]
    before_after(waves[0], waves[1], rate, picture)


def _start(path: Path, frames: int) -> Array:
    """The first `frames` samples of a file, the mean of its channels."""
    blocks: list[Array] = []
    for block in read_blocks(path):
        blocks.append(np.nan_to_num(block, posinf=0.0, neginf=0.0).mean(axis=0))
        frames -= block.shape[1]
        if frames <= 0:
            break
    wave = np.concatenate(blocks)
    return wave[: len(wave) + min(frames, 0)]


class _Checked:
    """The blocks of a file with NaN and Inf set to zero, counted, and the first one located."""

    def __init__(self, recording: Recording, on_progress: Callable[[float], None]) -> None:
        self.recording, self.on_progress = recording, on_progress
        self.bad, self.first, self.sounds = 0, (0, 0), False

    def __iter__(self) -> Iterator[Array]:
        done = 0
        for block in read_blocks(self.recording.path):
            finite = np.isfinite(block)
            if not finite.all():
                if self.bad == 0:
                    position = int(np.flatnonzero(~finite.all(axis=0))[0])
                    self.first = done + position, int(np.flatnonzero(~finite[:, position])[0])
                self.bad += int(np.count_nonzero(~finite))
                block = np.where(finite, block, 0.0)
            self.sounds = self.sounds or bool(block.any())
            done += block.shape[1]
            self.on_progress(min(1.0, done / self.recording.frames))
            yield block

    def raise_if(self, nan_to_zero: bool) -> None:
        if self.bad and not nan_to_zero:
            sample, channel = self.first
            raise BadFile(
                f"{self.bad} samples are NaN or Inf, the first at "
                f"{sample / self.recording.rate:.3f} s (sample {sample}, channel {channel + 1}); "
                "add --nan-to-zero to take them for silence"
            )

    def level_db(self, gain: float) -> float | None:
        from diff_audio.level import TARGET_DB

        return TARGET_DB - 20.0 * float(np.log10(gain)) if self.sounds else None
