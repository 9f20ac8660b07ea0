"""A sound file denoised into another, in two readings, with memory that does not grow with its
length.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.outcome import Outcome
from diff_audio.denoiser.part import Part
from diff_audio.denoiser.settings import Settings
from diff_audio.jobs.delivery import way_into
from diff_audio.jobs.removed import fits_grid, noise_path, within_reach, write_noise
from diff_audio.sound.clipping import Clipping
from diff_audio.sound.delivery import Delivery
from diff_audio.sound.level import Gain
from diff_audio.sound.names import sound_alone
from diff_audio.sound.read import BadFile, Recording, probe, read_blocks
from diff_audio.sound.wave import Array
from diff_audio.sound.write import EXACT, Writer, container_for
from diff_core.files import file_job, refuse_existing, replacing
from diff_core.progress import Progress

__all__ = ["denoise_file"]

# The first reading's share of the work, for the progress bar.
MEASURING = 0.05

NOTED = 0.05
"""The share of the input that stays because of a room, from which on a note says so."""


@file_job
def denoise_file(
    model: Denoiser,
    source: Path,
    target: Path,
    settings: Settings | None = None,
    *,
    delivery: Delivery | None = None,
    overwrite: bool = False,
    nan_to_zero: bool = False,
    keep_noise: bool = False,
    on_part: Callable[[Part], None] | None = None,
    on_progress: Progress | None = None,
) -> Outcome:
    """Write `target` with the rate, channels, length, tags and, if its suffix is the source's,
    format of `source`; a lossy file of which nothing changes is copied.

    delivery sets the level of the result. keep_noise also writes what was taken away, beside the
    target (`residue`). Both appear when they are complete and not before. on_part is given every
    piece, before `delivery`, and on_progress the share done, 0 to 1. Raises BadFile for a file
    that cannot be used, FileExistsError for an output that exists, unless `overwrite`, or that is
    the source, OSError where the system refuses to write, ValueError for keep_noise with a
    delivery, ImportError where that needs a library that is missing.
    """
    settings, delivery = settings or Settings(), delivery or Delivery()
    if keep_noise and delivery.changes:
        raise ValueError("keep_noise needs the level as it was; leave out `loudness` and the like")
    began = time.perf_counter()
    found = probe(source)
    format, subtype = container_for(found, target)
    noise = noise_path(target, found, subtype) if keep_noise else None
    refuse_existing(target, noise, overwrite=overwrite, source=source)
    exact = noise is not None and fits_grid(found, subtype)
    shape, moved, kept = (found.channels, found.frames), 0, 0.0
    report = on_progress or (lambda _share: None)
    with replacing(target) as temporary:
        with (
            Writer(temporary, found, format, subtype) as writer,
            way_into(writer.write, found, target.parent, delivery) as way,
        ):
            checked = _Checked(found, lambda share: report(share * MEASURING))
            gain = model.measure(checked, shape, found.rate, linked=settings.linked)
            checked.raise_if(nan_to_zero)
            again = _Checked(found, lambda _share: None)
            for part in model.run(again, shape, found.rate, gain, settings):
                after = part.after
                if exact:
                    after, count = within_reach(after, part.before, subtype)
                    moved += count
                way.write(after)
                kept += part.kept * after.shape[1] / found.frames
                if on_part:
                    on_part(part)
                report(MEASURING + (1.0 - MEASURING) * part.window.stop / found.frames)
        notes = (*sound_alone(source, target), *writer.notes)
        if _stays(found, (format, subtype), settings, delivery):
            shutil.copyfile(source, temporary)
            notes = ()
        if noise is not None:
            with replacing(noise) as other:
                write_noise(found, temporary, other, nan_to_zero=nan_to_zero)
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
        clipped=writer.clipped + moved,
        flat=checked.clipping.samples,
        replaced=checked.bad,
        device=model.device.type,
        noise=None if noise is None else str(noise),
        delivered=way.delivered,
        notes=(*found.notes, *notes, *way.notes, *_room_note(kept)),
        **_facts(settings, kept),
    )


def _room_note(kept: float) -> tuple[str, ...]:
    """Return a note where some of the input stays because of a room."""
    if kept < NOTED:
        return ()
    return (
        f"a room echoes: {100 * kept:.0f} % of the input stays, for the words; "
        "--room 0 removes what it can",
    )


def _stays(
    found: Recording, kind: tuple[str, str], settings: Settings, delivery: Delivery
) -> bool:
    """Return whether a lossy recording is copied: a second encoding would lose something."""
    unchanged = settings.dry == 1.0 and not delivery.changes
    return unchanged and found.subtype not in EXACT and kind == (found.format, found.subtype)


def _facts(settings: Settings, kept: float) -> dict[str, Any]:
    """Return what an `Outcome` holds of the settings, and of the room."""
    names = ("steps", "samples", "seed", "views", "draft", "linked")
    return {name: getattr(settings, name) for name in names} | {"room": kept}


class _Checked:
    """The blocks of a file with NaN and Inf set to zero, counted, and the first one located."""

    def __init__(self, recording: Recording, on_progress: Progress) -> None:
        self.recording, self.on_progress = recording, on_progress
        self.bad, self.first, self.sounds = 0, (0, 0), False
        self.clipping = Clipping()

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
            self.clipping.add(block)
            done += block.shape[1]
            self.on_progress(min(1.0, done / self.recording.frames))
            yield block

    def raise_if(self, nan_to_zero: bool) -> None:
        if self.bad and not nan_to_zero:
            sample, channel = self.first
            raise BadFile(
                f"{self.bad} samples are NaN or Inf, the first at "
                f"{sample / self.recording.rate:.3f} s (sample {sample}, channel {channel + 1}); "
                "add nan_to_zero=True to take them for silence"
            )

    def level_db(self, gain: Gain) -> float | None:
        return gain.level_db if self.sounds else None
