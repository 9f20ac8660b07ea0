"""The folders in which public corpora come, recognised by what is in them.

Each layout is a function from a folder to its recordings, or None where the folder is another's.
A tree that none of them knows is "plain": the folder below the root names the speaker.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from diff_audio.files import SUFFIXES
from diff_audio.names import is_made_here
from diff_core.data.split import Split

__all__ = ["Kind", "Layout", "Row", "recognise"]

log = logging.getLogger(__name__)

Kind = Literal["speech", "noise", "noisy", "room"]


@dataclass(frozen=True)
class Row:
    """A recording and what its place says of it.

    kind:    clean speech, noise, noisy speech, or the impulse response of a room
    group:   the corpus, or a part of it
    speaker: unique within all corpora; of a noise and a response, its own name
    split:   None where the layout does not say
    text:    what is said, "" where that is not known
    pair:    of noisy speech, its clean recording
    """

    path: Path
    kind: Kind
    group: str
    speaker: str
    split: Split | None = None
    text: str = ""
    pair: Path | None = None
    licence: str = "unknown"


@dataclass(frozen=True)
class Layout:
    """The recordings of a folder. name: of the layout, or "plain"."""

    name: str
    rows: tuple[Row, ...]


def recognise(folder: Path, kind: Kind = "speech") -> Layout:
    """The layout of a folder, or of the only folder inside it. `kind` is what a plain tree holds.

    Files that this package made of others beside them are left out, with a warning. Raises
    ValueError if there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{kind} folder {folder}: no such folder")
    folder = folder.resolve()
    if made := [path for path in sounds(folder) if is_made_here(path)]:
        log.warning(
            "%s: %d left out: outputs of diff_audio beside what they were made from, such as %s",
            folder, len(made), made[0].name,
        )  # fmt: skip
    inside = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".")]
    roots = (folder, *inside) if len(inside) == 1 and inside[0].is_dir() else (folder,)
    for root in roots:
        for name, rows_of in LAYOUTS.items():
            if rows := rows_of(root):
                return Layout(name, tuple(sorted(rows, key=lambda row: row.path)))
    return Layout("plain", tuple(_plain(folder, kind)))


def sounds(folder: Path) -> list[Path]:
    """The sound files below a folder, in order, without hidden ones."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def recordings(folder: Path) -> list[Path]:
    """`sounds` without what this package made of others beside it (`is_made_here`)."""
    return [path for path in sounds(folder) if not is_made_here(path)]


def _plain(folder: Path, kind: Kind) -> Iterable[Row]:
    for path in recordings(folder):
        *parents, _name = path.relative_to(folder).parts
        group = parents[0] if parents else folder.name
        # A noise, and a file directly in the folder, is a speaker of its own.
        named = parents[0] if parents and kind == "speech" else path.stem
        yield Row(path, kind, group, f"{group}/{named}")


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _lines(path: Path) -> list[str]:
    return (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    )


def _text(path: Path) -> str:
    return " ".join(" ".join(_lines(path)).split())


def _voicebank_demand(folder: Path) -> list[Row]:
    """VoiceBank-DEMAND (C. Valentini-Botinhao, 2017): noisy recordings with their clean ones.

    As it is published, `clean_trainset_28spk_wav` and so on, or as `train/clean`, `train/noisy`.
    """
    places: list[tuple[Path, Path, Path, Split | None]] = []
    for clean in sorted(folder.glob("clean_*set*_wav")):
        tail = clean.name.removeprefix("clean_")
        split: Split | None = "test" if "test" in tail else None
        texts = folder / tail.replace("_wav", "_txt")
        places.append((clean, folder / f"noisy_{tail}", texts, split))
    for part in ("train", "test", "val", "valid"):
        clean, noisy = folder / part / "clean", folder / part / "noisy"
        named: Split | None = "test" if part == "test" else None if part == "train" else "val"
        places.append((clean, noisy, folder / part / "txt", named))
    rows: list[Row] = []
    for clean, noisy, texts, split in places:
        if not (clean.is_dir() and noisy.is_dir()):
            continue
        for path in recordings(clean):
            speaker = f"voicebank/{path.stem.split('_')[0]}"
            text = _text(texts / f"{path.stem}.txt")
            row = Row(path, "speech", "voicebank_demand", speaker, split, text)
            rows.append(row)
            other = noisy / path.relative_to(clean)
            if other.is_file():
                rows.append(replace(row, path=other, kind="noisy", pair=path))
    return rows


def _dns(folder: Path) -> list[Row]:
    """The DNS challenges (C. Reddy et al., 2020): folders of clean speech, noise and responses."""
    clean = _first(folder, "clean", "clean_fullband")
    noise = _first(folder, "noise", "noise_fullband")
    rooms = _first(folder, "rir", "impulse_responses", "rirs")
    if clean is None or noise is None:
        return []
    rows: list[Row] = []
    for path in recordings(clean):
        found = re.search(r"reader_(\d+)|\b(p\d{3})_", path.stem)
        *parents, _name = path.relative_to(clean).parts
        name = found[0].rstrip("_") if found else parents[-1] if parents else path.stem
        rows.append(Row(path, "speech", "dns", f"dns/{name}"))
    rows += [Row(path, "noise", "dns", f"dns/{path.stem}") for path in recordings(noise)]
    if rooms is not None:
        rows += [Row(path, "room", "dns", f"dns/{path.stem}") for path in recordings(rooms)]
    clean_of = {_number(row.path): row for row in rows if row.kind == "speech"}
    if noisy := _first(folder, "noisy"):
        for path in recordings(noisy):
            if (number := _number(path)) and (row := clean_of.get(number)):
                rows.append(replace(row, path=path, kind="noisy", pair=row.path))
    return rows


def _number(path: Path) -> str:
    """The number by which DNS's mixtures name their clean recording."""
    found = re.search(r"fileid_(\d+)$", path.stem)
    return found[1] if found else ""


PARTS: dict[str, Split | None] = {"tr": None, "cv": "val", "tt": "test"}


def _wham(folder: Path) -> list[Row]:
    """WHAM! (G. Wichern et al., 2019): its noise alone, or its mixtures of WSJ0."""
    rows: list[Row] = []
    bases: list[tuple[Path, Split | None]] = [
        (folder / part, split) for part, split in PARTS.items() if (folder / part).is_dir()
    ]
    for base, split in bases if len(bases) > 1 else ():
        mixtures = [base / name for name in ("mix_single", "s1") if (base / name).is_dir()]
        if len(mixtures) == 2:
            mixed, clean = mixtures
            for path in recordings(clean):
                row = Row(path, "speech", "wham", f"wham/{path.stem[:3]}", split)
                rows.append(row)
                if (other := mixed / path.name).is_file():
                    rows.append(replace(row, path=other, kind="noisy", pair=path))
        noise = _first(base, "noise") or (None if mixtures else base)
        if noise is not None:
            for path in recordings(noise):
                rows.append(Row(path, "noise", "wham", f"wham/{base.name}/{path.stem}", split))
    return rows


def _ljspeech(folder: Path) -> list[Row]:
    """LJ Speech (K. Ito and L. Johnson, 2017) and all that copy it: metadata.csv and wavs."""
    if not (folder / "metadata.csv").is_file() or not (folder / "wavs").is_dir():
        return []
    texts: dict[str, str] = {}
    for line in _lines(folder / "metadata.csv"):
        name, *fields = line.split("|")
        if fields:
            texts[Path(name).stem] = fields[-1].strip() or fields[0].strip()
    group = folder.name
    return [
        Row(path, "speech", group, f"{group}/{group}", None, texts.get(path.stem, ""))
        for path in recordings(folder / "wavs")
    ]


def _vctk(folder: Path) -> list[Row]:
    """VCTK (J. Yamagishi et al., 2019): two microphones, of which the first is taken."""
    waves = _first(folder, "wav48_silence_trimmed", "wav48", "wav16")
    if waves is None:
        return []
    rows: list[Row] = []
    for path in recordings(waves):
        speaker, stem = path.parent.name, re.sub(r"_mic\d$", "", path.stem)
        if path.stem.endswith("_mic2") and path.with_stem(f"{stem}_mic1").exists():
            continue
        text = _text(folder / "txt" / speaker / f"{stem}.txt")
        rows.append(Row(path, "speech", "vctk", f"vctk/{speaker}", None, text))
    return rows


LIBRI = re.compile(r"(?P<speaker>\d+)[-_](?P<chapter>\d+)[-_]\d+(_\d+)*$")


def _libri(folder: Path) -> list[Row]:
    """LibriSpeech (V. Panayotov et al., 2015) and LibriTTS (H. Zen et al., 2019).

    Files <speaker>/<chapter>/<speaker>-<chapter>-<number>, below folders named train-clean-100,
    dev-clean and so on, or one of these folders itself. Other splits than dev and test train.
    """
    rows: list[Row] = []
    transcripts: dict[Path, dict[str, str]] = {}
    for path in recordings(folder):
        found = LIBRI.match(path.stem)
        if not found or path.parts[-3:-1] != (found["speaker"], found["chapter"]):
            return []
        if path.parent not in transcripts:
            transcripts[path.parent] = {
                (said := line.split(maxsplit=1))[0]: " ".join(said[1:])
                for file in sorted(path.parent.glob("*.trans.txt"))
                for line in _lines(file)
                if line.strip()
            }
        text = transcripts[path.parent].get(path.stem)
        if text is None:
            text = _text(path.with_name(f"{path.stem}.normalized.txt"))
        part = path.parents[2].name
        split: Split | None = (
            "val" if part.startswith("dev") else "test" if part.startswith("test") else None
        )
        rows.append(Row(path, "speech", part, f"libri/{found['speaker']}", split, text))
    return rows


LAYOUTS: dict[str, Callable[[Path], list[Row]]] = {
    "VoiceBank-DEMAND": _voicebank_demand,
    "DNS": _dns,
    "WHAM": _wham,
    "LJSpeech": _ljspeech,
    "VCTK": _vctk,
    "LibriSpeech/LibriTTS": _libri,
}
"""Name -> the function that knows the layout, in the order in which they are asked."""
