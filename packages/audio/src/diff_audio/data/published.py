"""The folders in which public corpora come, recognised by their content.

Each layout is a function from a folder to its recordings, or none where the folder is another's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from diff_audio.data.recordings import Row, recordings
from diff_core.data import Split, split_of_name

__all__ = ["LAYOUTS"]


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _lines(path: Path) -> list[str]:
    return (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    )


def _text(path: Path) -> str:
    return " ".join(" ".join(_lines(path)).split())


def _voicebank_demand(folder: Path) -> list[Row]:
    """Return VoiceBank-DEMAND (C. Valentini-Botinhao, 2017): noisy recordings with their clean
    ones.

    As it is published, `clean_trainset_28spk_wav` and so on, or as `train/clean`, `train/noisy`.
    """
    places: list[tuple[Path, Path, Path, Split | None]] = []
    for clean in sorted(folder.glob("clean_*set*_wav")):
        tail = clean.name.removeprefix("clean_")
        split: Split | None = "test" if "test" in tail else None
        texts = folder / tail.replace("_wav", "_txt")
        places.append((clean, folder / f"noisy_{tail}", texts, split))
    for noisy in sorted(folder.glob("*/noisy")):
        part, named = noisy.parent, split_of_name(noisy.parent.name)
        if named is not None:
            held_out = None if named == "train" else named
            places.append((part / "clean", noisy, part / "txt", held_out))
    rows: list[Row] = []
    for clean, noisy, texts, split in places:
        if not (clean.is_dir() and noisy.is_dir()):
            continue
        for path in recordings(clean):
            name, _, number = path.stem.partition("_")
            # a name without a number is no speaker's: the file is one of its own
            speaker = f"voicebank/{name if number else f'{clean.parent.name}/{name}'}"
            text = _text(texts / f"{path.stem}.txt")
            row = Row(path, "speech", "voicebank_demand", speaker, split, text)
            rows.append(row)
            other = noisy / path.relative_to(clean)
            if other.is_file():
                rows.append(replace(row, path=other, kind="noisy", pair=path))
    return rows


def _dns(folder: Path) -> list[Row]:
    """Return the DNS challenges (C. Reddy et al., 2020), or any tree of their shape.

    It has folders of clean speech, noise and, if there are any, responses.
    """
    clean = _first(folder, "clean", "clean_fullband", "speech")
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
    """Return WHAM! (G. Wichern et al., 2019): its noise alone, or its mixtures of WSJ0."""
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
    """Return LJ Speech (K. Ito and L. Johnson, 2017) or a copy of its layout: metadata.csv and
    wavs.
    """
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
    """Return VCTK (J. Yamagishi et al., 2019): the first of its two microphones."""
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
    """Return LibriSpeech (V. Panayotov et al., 2015) or LibriTTS (H. Zen et al., 2019).

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
