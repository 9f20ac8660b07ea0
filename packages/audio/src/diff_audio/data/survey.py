"""A survey of a folder of recordings: files, hours, rates, speakers and faults."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.data.faults import fault, remark
from diff_audio.data.layouts import Layout, Row, recognise
from diff_audio.data.manifest import listed, read_rows
from diff_audio.data.splits import split_rows
from diff_audio.sound.level import active_level, frame_power
from diff_audio.sound.read import BadFile, Recording, probe, read
from diff_audio.sound.resample import CORE_RATE, resample
from diff_audio.sound.wave import Wave
from diff_core.data import count_line
from diff_core.progress import Progress

__all__ = ["BANDS", "Found", "Survey", "survey"]

BANDS = np.geomspace(50.0, 20_000.0, 40)
"""Centres of the bands of `Found.spectrum`, Hz."""

_EMPTY = -80.0  # dB, relative to the loudest band: the rounding to 16 bits lies lower

_HEAD = 1 << 16  # bytes by which files of one size are compared


@dataclass(frozen=True)
class Found:
    """One file of a survey.

    recording: the facts in its header; None if it cannot be read
    problem:   why it cannot be used, or ""
    remark:    what to know about its samples, or ""
    level:     of its active part, dBFS; NaN where it was not listened to, as is the spectrum
    spectrum:  mean level in each of BANDS, dB, relative to the loudest
    """

    row: Row
    recording: Recording | None
    problem: str = ""
    remark: str = ""
    level: float = float("nan")
    spectrum: NDArray[np.float64] | None = None

    @property
    def seconds(self) -> float:
        """Return its length; 0 if it cannot be read."""
        return self.recording.frames / self.recording.rate if self.recording else 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what to know about it: the notes on the file, and the remark."""
        notes = self.recording.notes if self.recording else ()
        return (*notes, self.remark) if self.remark else notes


@dataclass(frozen=True)
class Survey:
    """A folder. notes: what concerns more than one file."""

    folder: Path
    layout: str
    found: tuple[Found, ...]
    notes: tuple[str, ...]

    @property
    def counts(self) -> str:
        """Return the number of recordings of each split, in one line."""
        return count_line((one.row.split for one in self.found), "recordings")

    def rows(self) -> list[dict[str, Any]]:
        """Return one entry for each kind and split, for printing."""
        groups: dict[tuple[str, str], list[Found]] = {}
        for one in self.found:
            groups.setdefault((one.row.kind, one.row.split or "train"), []).append(one)
        table: list[dict[str, Any]] = []
        for (kind, split), some in sorted(groups.items()):
            heard = [one.recording for one in some if one.recording]
            table.append(
                {
                    "kind": kind,
                    "split": split,
                    "files": len(some),
                    "hours": round(sum(one.seconds for one in some) / 3600, 4),
                    "speakers": len({one.row.speaker for one in some}),
                    "rates": sorted({r.rate for r in heard}),
                    "channels": sorted({r.channels for r in heard}),
                    "formats": sorted({r.format for r in heard}),
                    "with text": sum(bool(one.row.text) for one in some),
                    "unusable": sum(bool(one.problem) for one in some),
                }
            )
        return table


def survey(
    folder: Path,
    manifest: Path | None = None,
    *,
    listen: int | None = 200,
    progress: Progress | None = None,
) -> Survey:
    """Read the header of every file below a folder, and decode `listen` of them, evenly spread.

    listen: None for all. A file that is cut short shows in its header; one with NaN, or silent,
            only when it is decoded

    Raises ValueError if there is no such folder, it holds no sound file (that the manifest lists),
    or the manifest cannot be read.
    """
    if manifest is None:
        layout = recognise(folder)
    else:
        layout = Layout("manifest", tuple(listed(folder, "speech", read_rows(manifest))))
    if not layout.rows:
        which = "" if manifest is None else " that the manifest lists"
        raise ValueError(f"{folder}: no sound files{which} in this folder")
    notes: list[str] = []
    try:
        rows: Sequence[Row] = split_rows(layout.rows)
    except ValueError as error:
        rows, notes = layout.rows, [str(error)]
    count = len(rows) if listen is None else min(listen, len(rows))
    chosen = (
        set(np.linspace(0, len(rows) - 1, count).round().astype(int).tolist()) if count else ()
    )
    found: list[Found] = []
    for number, row in enumerate(rows):
        found.append(_found(row, number in chosen))
        if progress:
            progress((number + 1) / len(rows))
    notes += layout.remarks
    return Survey(folder, layout.name, tuple(found), (*notes, *_notes(layout, found)))


def _found(row: Row, listen: bool) -> Found:
    try:
        recording = probe(row.path)
    except BadFile as error:
        return Found(row, None, str(error))
    if not listen:
        return Found(row, recording)
    try:
        samples, rate = read(row.path)
    except BadFile as error:
        return Found(row, recording, str(error))
    if problem := fault(samples, is_room=row.kind == "room"):
        return Found(row, recording, problem)
    wave = (samples[0] if row.kind == "room" else samples.mean(0)).astype(np.float32)
    core = resample(torch.from_numpy(wave), rate, CORE_RATE)
    level = 20 * float(torch.log10(active_level(frame_power(core)).clamp(min=1e-9)))
    spectrum = _spectrum(wave, rate)
    odd = remark(samples) or _empty_band(spectrum, rate)
    return Found(row, recording, "", odd, level, spectrum)


def _empty_band(spectrum: NDArray[np.float64], rate: int) -> str:
    """Return a remark on a recording whose upper half of the band is empty, or ""."""
    top = BANDS[spectrum > _EMPTY].max(initial=0.0)
    if rate <= CORE_RATE or top > rate / 4:
        return ""
    return f"holds nothing above {top / 1000:.0f} kHz: its rate was raised, or a codec cut it"


def _spectrum(wave: Wave, rate: int) -> NDArray[np.float64]:
    size = 4096
    usable = wave[: max(size, len(wave) // size * size)]
    frames = np.pad(usable, (0, -len(usable) % size)).reshape(-1, size)[:200]
    power = (np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2).mean(0)
    edges = np.sqrt(BANDS[:-1] * BANDS[1:])
    band = np.searchsorted(edges, np.fft.rfftfreq(size, 1 / rate)[1:])
    sums = np.bincount(band, power[1:], len(BANDS)) / np.maximum(
        np.bincount(band, None, len(BANDS)), 1
    )
    sums[BANDS > rate / 2] = np.nan
    with np.errstate(divide="ignore"):
        return 10 * np.log10(sums / np.nanmax(sums))


def _notes(layout: Layout, found: Iterable[Found]) -> list[str]:
    notes: list[str] = []
    by_size: dict[int, list[Path]] = {}
    splits = {one.row.path: one.row.split for one in found}
    for path in splits:
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    same: dict[bytes, list[Path]] = {}
    for paths in by_size.values():
        for path in paths if len(paths) > 1 else ():
            with path.open("rb") as file:
                same.setdefault(hashlib.sha256(file.read(_HEAD)).digest(), []).append(path)
    copies = [paths for paths in same.values() if len(paths) > 1]
    if copies:
        notes.append(
            f"{sum(len(paths) - 1 for paths in copies)} files are copies of others, "
            f"such as {copies[0][1]} of {copies[0][0]}"
        )
    if crossing := next((p for p in copies if len({splits[path] for path in p}) > 1), None):
        notes.append(f"the same recording is in two splits: {crossing[0]} and {crossing[1]}")
    if layout.name == "plain" and len({row.speaker for row in layout.rows}) == 1:
        notes.append("one speaker only: put each speaker's files into a folder of their own")
    return notes
