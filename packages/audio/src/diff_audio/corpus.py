"""Clean speech and noise on disk as one memory-mapped array, decoded once.

Training reads two-second pieces at random. Decoding a compressed file for each would cost more
than the training step, so every file is decoded and resampled to 16 kHz once, into 16-bit samples
in one file beside the run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.files import SUFFIXES, BadFile, read
from diff_audio.resample import CORE_RATE, resample
from diff_core.files import replacing

__all__ = ["Clip", "Corpus", "Kind", "Split"]

Kind = Literal["speech", "noise"]
Split = Literal["train", "val"]

_FRAME = CORE_RATE // 50
_QUIET = 1e-4  # rms of a frame of noise, -80 dBFS: digital silence after lossy coding

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """Samples [start, start + length) of the corpus: one file of `speaker` (noise: of a file)."""

    kind: Kind
    split: Split
    group: str
    speaker: str
    licence: str
    start: int
    length: int


@dataclass(frozen=True)
class _Source:
    path: Path
    kind: Kind
    split: Split
    group: str
    speaker: str
    licence: str


class Corpus:
    """Speech and noise at 16 kHz.

    clips:   every stretch there is
    """

    def __init__(self, samples: NDArray[np.int16], clips: Iterable[Clip]) -> None:
        self._samples = samples
        self.clips = tuple(clips)

    @classmethod
    def open(
        cls, speech: Path, noise: Path | None, cache: Path, manifest: Path | None = None
    ) -> Corpus:
        """Indexes the folders, and decodes them into `cache` unless it holds the same files.

        `manifest` has one JSON object a line: `file`, relative to the manifest's folder, and
        optionally `split` ("train" or "val"), `speaker` and `set`; files that it does not list
        are left out. Without it, the folder below `speech` names the speaker (a file directly in
        `speech` is a speaker of its own), and one in twenty speakers and noise files, at least
        one of each, is held out.

        Raises ValueError if a folder or the manifest is missing or holds no sound that can be
        read.
        """
        rows = None if manifest is None else _manifest(manifest)
        sources = _sources(speech, "speech", rows)
        if noise is not None:
            sources += _sources(noise, "noise", rows)
        key = _fingerprint(sources)
        index, data = cache / "corpus.json", cache / "corpus.int16"
        if not (index.exists() and data.exists() and json.loads(index.read_text())["key"] == key):
            cache.mkdir(parents=True, exist_ok=True)
            _decode(sources, key, index, data)
        clips = [Clip(**row) for row in json.loads(index.read_text())["clips"]]
        return cls(np.memmap(data, dtype=np.int16, mode="r"), clips)

    def read(self, clip: Clip, start: int = 0, length: int | None = None) -> NDArray[np.float32]:
        """Samples [start, start + length) of a clip, full scale 1; fewer where the clip ends."""
        stop = clip.length if length is None else min(clip.length, start + length)
        return self._samples[clip.start + start : clip.start + stop].astype(np.float32) / 32768.0

    def select(self, kind: Kind, split: Split) -> tuple[Clip, ...]:
        """The clips of one kind and split."""
        return tuple(c for c in self.clips if c.kind == kind and c.split == split)

    def hours(self, kind: Kind, split: Split) -> float:
        """How much there is of one kind and split."""
        return sum(c.length for c in self.select(kind, split)) / CORE_RATE / 3600


def _manifest(path: Path) -> dict[Path, dict[str, str]]:
    if not path.is_file():
        raise ValueError(f"manifest {path}: no such file")
    rows: dict[Path, dict[str, str]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
                rows[(path.parent / row["file"]).resolve()] = row
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"manifest {path}, line {number}: expected a JSON object with 'file'"
                ) from error
    return rows


def _sources(folder: Path, kind: Kind, rows: dict[Path, dict[str, str]] | None) -> list[_Source]:
    if not folder.is_dir():
        raise ValueError(f"{kind} folder {folder}: no such folder")
    paths = sorted(
        p for p in folder.resolve().rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
    )
    found: list[_Source] = []
    for path in paths:
        row = {} if rows is None else rows.get(path)
        if row is None:
            continue
        *parents, _name = path.relative_to(folder.resolve()).parts
        # A speaker that the manifest does not know, and a noise, is a speaker of its own.
        named = parents[0] if parents and kind == "speech" and rows is None else path.stem
        group = row.get("set") or (parents[0] if parents else folder.name)
        speaker = f"{group}/{row.get('speaker') or named}"
        split: Split = "val" if row.get("split") == "val" else "train"
        found.append(_Source(path, kind, split, group, speaker, row.get("licence") or "unknown"))
    if not found:
        listed = "" if rows is None else " that the manifest lists"
        raise ValueError(f"{kind} folder {folder}: no sound file{listed} found")
    return found if rows is not None else _hold_out(found)


def _hold_out(sources: list[_Source]) -> list[_Source]:
    """One in twenty speakers, at least one, goes to validation; a lone one serves both splits."""
    speakers = sorted({s.speaker for s in sources}, key=_digest)
    held = set(speakers[: max(1, len(speakers) // 20)])
    validation = [replace(s, split="val") for s in sources if s.speaker in held]
    if len(speakers) == 1:
        log.warning("only one source of %s: validation hears what training does", sources[0].kind)
        return sources + validation
    return [s for s in sources if s.speaker not in held] + validation


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fingerprint(sources: list[_Source]) -> str:
    """Of everything that the cache depends on."""
    entries = [
        (*map(str, astuple(source)), source.path.stat().st_size, source.path.stat().st_mtime_ns)
        for source in sources
    ]
    return _digest(json.dumps(entries))


def _decode(sources: list[_Source], key: str, index: Path, data: Path) -> None:
    from tqdm import tqdm

    clips: list[Clip] = []
    position = 0
    with replacing(data) as temporary, temporary.open("wb") as file:
        for source in tqdm(sources, desc="decoding", unit="file", disable=None):
            try:
                wave = _decoded(source)
            except BadFile as error:
                log.warning("left out %s: %s", source.path, error)
                continue
            file.write(np.clip(np.rint(wave * 32768), -32768, 32767).astype("<i2").tobytes())
            labels = (source.kind, source.split, source.group, source.speaker, source.licence)
            clips.append(Clip(*labels, start=position, length=len(wave)))
            position += len(wave)
        for kind in sorted({s.kind for s in sources}):
            if not any(c.kind == kind and c.length for c in clips):
                raise ValueError(f"none of the {kind} files can be used; the warnings say why")
    with replacing(index) as temporary:
        temporary.write_text(json.dumps({"key": key, "clips": [asdict(c) for c in clips]}))


def _decoded(source: _Source) -> NDArray[np.float32]:
    samples, rate = read(source.path)
    if not np.isfinite(samples).all():
        raise BadFile("holds samples that are NaN or Inf")
    wave = resample(torch.from_numpy(samples.mean(0)).float(), rate, CORE_RATE).numpy()
    return _without_silence(wave) if source.kind == "noise" else wave


def _without_silence(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Drops the 20 ms frames that hold nothing: clips are often padded to a fixed length."""
    whole = len(wave) // _FRAME * _FRAME
    frames = wave[:whole].reshape(-1, _FRAME)
    return np.concatenate((frames[np.sqrt((frames**2).mean(1)) > _QUIET].ravel(), wave[whole:]))
