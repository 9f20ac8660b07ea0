"""A corpus of recordings on disk as one memory-mapped array, decoded once.

Training reads two-second pieces at random. Decoding a compressed file for each would cost more
than the training step, so every file is decoded and resampled once, into 16-bit samples in one
file beside the run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.data.faults import fault
from diff_audio.data.layouts import Kind, Row, recognise
from diff_audio.data.manifest import listed, read_rows
from diff_audio.data.splits import split_rows
from diff_audio.sound.read import BadFile, read
from diff_audio.sound.resample import CORE_RATE, resample
from diff_audio.sound.wave import Wave
from diff_core.data import Split, count_line
from diff_core.files import replacing, write_json

__all__ = ["Clip", "Corpus", "Kind", "Split"]

_QUIET = 1e-4  # rms of a frame of noise, -80 dBFS: digital silence after lossy coding

FORMAT = 2
"""The version of the cache: with another number it is made again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A stretch [start, start + length) of a corpus: one file of `speaker` (of noise: of a file).

    text: the words spoken, "" where they are not known
    pair: for noisy speech, the number of its clean clip in `Corpus.clips`; else -1
    gain: its largest value, where that is beyond full scale; else 1
    file: where it came from
    """

    kind: Kind
    split: Split
    group: str
    speaker: str
    licence: str
    start: int
    length: int
    text: str = ""
    pair: int = -1
    gain: float = 1.0
    file: str = ""


class Corpus:
    """A corpus of speech, noise, noisy speech and room responses at one rate.

    clips:   every stretch there is
    rate:    Hz
    skipped: (file, why) of each recording that could not be used
    folder:  where the samples lie; None if in memory
    test:    the recordings of the test split, which are neither decoded nor among the clips
    """

    def __init__(
        self,
        samples: NDArray[np.int16],
        clips: Iterable[Clip],
        rate: int = CORE_RATE,
        *,
        skipped: Iterable[tuple[str, str]] = (),
        folder: Path | None = None,
        test: Iterable[Row] = (),
    ) -> None:
        self._samples = samples
        self.clips = tuple(clips)
        self.rate, self.folder = rate, folder
        self.skipped = tuple(skipped)
        self.test = tuple(test)

    @classmethod
    def open(
        cls,
        speech: Path,
        noise: Path | None,
        cache: Path,
        manifest: Path | None = None,
        *,
        rate: int = CORE_RATE,
        strict: bool = False,
    ) -> Corpus:
        """Index the folders, and decode them into `cache` unless it holds the same files.

        The layout of a folder is recognised (`data.layouts`); `speech` may hold noise too.
        `manifest` has one JSON object a line: `file`, relative to the manifest's folder, and
        optionally `split`, `speaker`, `set`, `text`, `licence` and, for noisy speech, `clean`,
        the file of its clean recording; files that it does not list are left out. Where no
        speaker is held out, one in twenty of those without a split is (`diff_audio.data.splits`).
        The test split is left out, and counted (`test`).

        A file that cannot be used is named, left out and counted (`skipped`); with `strict` it
        raises ValueError. ValueError also if a folder or the manifest is missing or holds no sound
        that can be read, all speech is for validation or the test, or a speaker is in two splits.
        """
        rows = _rows(speech, noise, manifest)
        for kind, folder in (("speech", speech), ("noise", noise)):
            if folder is not None and not any(row.kind == kind for row in rows):
                listed = "" if manifest is None else " that the manifest lists"
                raise ValueError(f"{kind} folder {folder}: no sound file{listed} found")
        rows = split_rows(rows)
        test = [row for row in rows if row.split == "test"]
        rows = [row for row in rows if row.split != "test"]
        if not any(row.kind in ("speech", "noisy") and row.split == "train" for row in rows):
            raise ValueError(
                f"speech folder {speech}: nothing is left to train on; "
                + count_line((row.split for row in (*rows, *test)), "recordings")
            )
        key = _fingerprint(rows, rate)
        index, data = cache / "corpus.json", cache / "corpus.int16"
        if not (index.exists() and data.exists() and json.loads(index.read_text())["key"] == key):
            cache.mkdir(parents=True, exist_ok=True)
            _decode(rows, rate, strict, key, index, data)
        held = json.loads(index.read_text())
        skipped = [(file, why) for file, why in held["skipped"]]
        if skipped and strict:
            raise ValueError(f"{skipped[0][0]}: {skipped[0][1]}")
        if skipped:
            log.warning("%d of %d files were left out", len(skipped), len(rows))
        clips = [Clip(**row) for row in held["clips"]]
        samples = np.memmap(data, dtype=np.int16, mode="r")
        return cls(samples, clips, rate, skipped=skipped, folder=cache, test=test)

    def read(self, clip: Clip, start: int = 0, length: int | None = None) -> Wave:
        """Return samples [start, start + length) of a clip, full scale 1; fewer where the clip
        ends.
        """
        stop = clip.length if length is None else min(clip.length, start + length)
        stored = self._samples[clip.start + start : clip.start + stop].astype(np.float32)
        return stored / 32768.0 if clip.gain == 1.0 else stored * np.float32(clip.gain / 32767)

    def select(self, kind: Kind, split: Split) -> tuple[Clip, ...]:
        """The clips of one kind and split."""
        return tuple(c for c in self.clips if c.kind == kind and c.split == split)

    def hours(self, kind: Kind, split: Split) -> float:
        """Return the hours of one kind and split."""
        return sum(c.length for c in self.select(kind, split)) / self.rate / 3600

    def taught(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the training split's sets for a card: kind, name and hours of each, and their
        licences.
        """
        sets: dict[tuple[str, str, str], float] = {}
        for clip in self.clips:
            if clip.split == "train":
                key = (clip.kind, clip.group, clip.licence)
                sets[key] = sets.get(key, 0.0) + clip.length / self.rate / 3600
        data = (f"{kind}: {group}, {amount:.2f} h" for (kind, group, _), amount in sets.items())
        return tuple(data), tuple(licence for _, _, licence in sets)

    def plan(self) -> tuple[str, ...]:
        """Return what was found, a line for each kind and split, for the plan of a run."""
        lines: list[str] = []
        found: set[tuple[Kind, Split]] = {(c.kind, c.split) for c in self.clips}
        for kind, split in sorted(found):
            clips = self.select(kind, split)
            count = f"{len(clips)} recording{'s' * (len(clips) > 1)}"
            if kind in ("speech", "noisy"):
                speakers = len({c.speaker for c in clips})
                count += f" of {speakers} speaker{'s' * (speakers > 1)}"
            hours = f"{self.hours(kind, split):.3g} h at {self.rate} Hz"
            lines.append(f"{kind}, {split}: {hours}, {count}")
        for kind in sorted({row.kind for row in self.test}):
            rows = [row for row in self.test if row.kind == kind]
            count = f"{len(rows)} recording{'s' * (len(rows) > 1)}"
            if kind in ("speech", "noisy"):
                speakers = len({row.speaker for row in rows})
                count += f" of {speakers} speaker{'s' * (speakers > 1)}"
            lines.append(f"{kind}, test: {count}, left out of the training")
        return tuple(lines)


def _rows(speech: Path, noise: Path | None, manifest: Path | None) -> list[Row]:
    """Return all recordings, clean ones before the noisy ones that need them."""
    folders: list[tuple[Path, Kind]] = [(speech, "speech")]
    if noise is not None:
        folders.append((noise, "noise"))
    rows: list[Row] = []
    lines = None if manifest is None else read_rows(manifest)
    for folder, kind in folders:
        if lines is not None:
            rows += listed(folder, kind, lines)
            continue
        found = recognise(folder, kind)
        for remark in found.remarks:
            log.warning("%s: %s", folder, remark)
        if kind == "speech":
            rows += found.rows
        elif only := [row for row in found.rows if row.kind == "noise"]:
            rows += only
        else:  # whatever it is, noise is what it was given for
            rows += [replace(row, kind="noise", pair=None) for row in found.rows]
    return list({row.path: row for row in rows}.values())


def _fingerprint(rows: Sequence[Row], rate: int) -> str:
    """Return a digest of everything that the cache depends on."""
    entries: list[object] = [FORMAT, rate]
    for row in rows:
        try:
            status = row.path.stat()
            entries.append((asdict(row), status.st_size, status.st_mtime_ns))
        except OSError:  # gone since it was found; decoding will say so
            entries.append((asdict(row), -1, 0))
    return hashlib.sha256(json.dumps(entries, default=str).encode()).hexdigest()


def _decode(
    rows: Sequence[Row], rate: int, strict: bool, key: str, index: Path, data: Path
) -> None:
    from tqdm import tqdm

    clips: list[Clip] = []
    number: dict[tuple[Path, Split | None], int] = {}
    skipped: list[tuple[str, str]] = []
    position = 0
    with replacing(data) as temporary, temporary.open("wb") as file:
        for row in tqdm(rows, desc="decoding", unit="file", disable=None):
            try:
                wave = _decoded(row, rate)
                pair = -1 if row.pair is None else number.get((row.pair, row.split), -1)
                if row.pair is not None:
                    _check_pair(wave, clips[pair] if pair >= 0 else None)
            except BadFile as error:
                if strict:
                    raise ValueError(f"{row.path}: {error}") from error
                log.warning("left out %s: %s", row.path, error)
                skipped.append((str(row.path), str(error)))
                continue
            gain = max(1.0, float(np.abs(wave).max()))
            stored = np.rint(wave * (32767 / gain if gain > 1 else 32768))
            file.write(np.clip(stored, -32768, 32767).astype("<i2").tobytes())
            labels = (row.kind, row.split or "train", row.group, row.speaker, row.licence)
            number[row.path, row.split] = len(clips)
            clips.append(Clip(*labels, position, len(wave), row.text, pair, gain, str(row.path)))
            position += len(wave)
        for kind in sorted({row.kind for row in rows}):
            if kind in ("speech", "noise") and not any(c.kind == kind for c in clips):
                raise ValueError(f"none of the {kind} files can be used; the warnings say why")
    held = {"key": key, "skipped": skipped, "clips": [asdict(clip) for clip in clips]}
    write_json(index, held)


def _decoded(row: Row, rate: int) -> Wave:
    samples, found = read(row.path)
    if problem := fault(samples, is_room=row.kind == "room"):
        raise BadFile(problem)
    # The first channel of a response: the mean of several microphones would be a comb.
    mono = samples[0] if row.kind == "room" else samples.mean(0)
    wave = resample(torch.from_numpy(mono).float(), found, rate).numpy()
    if row.kind == "noise":
        wave = _without_silence(wave, rate // 50)
    if not wave.any():
        raise BadFile("is silent from beginning to end")
    return wave


def _check_pair(noisy: Wave, clean: Clip | None) -> None:
    if clean is None:
        raise BadFile("its clean recording is not there, or cannot be used")
    if len(noisy) != clean.length:
        raise BadFile(
            f"lasts {len(noisy)} samples, its clean recording {clean.length}; they must be aligned"
        )


def _without_silence(wave: Wave, frame: int) -> Wave:
    """Return the wave without silent 20 ms frames: clips are often padded to a fixed length."""
    whole = len(wave) // frame * frame
    frames = wave[:whole].reshape(-1, frame)
    return np.concatenate((frames[np.sqrt((frames**2).mean(1)) > _QUIET].ravel(), wave[whole:]))
