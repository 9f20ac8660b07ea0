"""A catalogue of recordings with their texts: a folder in the layout of LJ Speech, or a manifest.

LJ Speech (K. Ito and L. Johnson, "The LJ Speech Dataset", 2017): `wavs/NAME.wav` and
`metadata.csv`, whose lines are NAME|text or NAME|text|text in words. There is no header, and a
quotation mark is a character like any other. Other layouts that `data.layouts` knows, VCTK
and LibriTTS, bring several speakers.

What is held out is chosen by text: all takes of a held-out text are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diff_audio.data.layouts import held_out, places, recognise
from diff_audio.data.manifest import read_rows
from diff_audio.sound.read import SUFFIXES
from diff_core.data.split import Split, assign

__all__ = ["Utterance", "read_catalogue"]

_SHOWN = 5  # faults that are named; the others are counted
_METADATA = "metadata.csv"


@dataclass(frozen=True)
class Utterance:
    """A recording and its text.

    split: None until it is known
    where: the source of this, for messages: "metadata.csv line 3"
    """

    path: Path
    text: str
    speaker: str
    split: Split | None
    group: str
    licence: str
    where: str


def read_catalogue(
    data: Path, *, sets: Sequence[str] = (), speaker: str = "speaker", licence: str = "unknown"
) -> list[Utterance]:
    """The utterances of a folder with wavs/ and metadata.csv, or of a manifest; each has a split.

    A manifest has one JSON object a line: `file`, relative to the manifest's folder, `text`, and
    optionally `speaker`, `split`, `set` and `licence`; rows without text are left out, and with
    `sets` those of other sets. Where no split is given, one text in twenty is held out, the
    same ones every time. `speaker` and `licence` are those of a folder.

    Raises ValueError that names the lines of the file that cannot be used, all of them at once.
    """
    if data.is_dir():
        found = _folder(data, speaker, licence)
    elif data.suffix == ".jsonl":
        found = _manifest(data, sets, speaker, licence)
    else:
        raise ValueError(
            f"data is {data}; expected a folder with wavs/ and {_METADATA}, or a .jsonl manifest"
        )
    if not found:
        raise ValueError(f"{data}: names no recording with a text")
    if not any(u.split == "val" for u in found):
        free = [u for u in found if u.split is None]
        chosen = assign(_same(u.text) for u in free)
        found = [u if u.split else replace(u, split=chosen[_same(u.text)]) for u in found]
    found = [u if u.split else replace(u, split="train") for u in found]
    for split in ("train", "val"):
        if not any(u.split == split for u in found):
            raise ValueError(f"{data}: no recording is in {split}; it takes two texts or more")
    return found


def _same(text: str) -> str:
    """Return the same for every take of a text, whatever its case and spaces."""
    return " ".join(text.lower().split())


def _folder(data: Path, speaker: str, licence: str) -> list[Utterance]:
    metadata, wavs = data / _METADATA, data / "wavs"
    if metadata.exists() or wavs.exists():
        if missing := next((p for p in (metadata, wavs) if not p.exists()), None):
            raise ValueError(f"{missing}: not found; LJ Speech's layout has it")
        return _metadata(metadata, wavs, speaker, licence)
    return [
        Utterance(
            row.path,
            row.text,
            row.speaker.rpartition("/")[2],
            row.split,
            row.group,
            licence,
            row.path.name,
        )
        for row in recognise(data).rows
        if row.text
    ]


def _metadata(path: Path, wavs: Path, speaker: str, licence: str) -> list[Utterance]:
    files = {p.stem: p for p in sorted(wavs.iterdir()) if p.suffix.lower() in SUFFIXES}
    found: dict[str, Utterance] = {}
    faults: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    for number, line in enumerate(lines, 1):
        columns = [column.strip() for column in line.split("|")]
        name, text = columns[0], columns[-1] or columns[len(columns) // 2]
        if not line.strip():
            continue
        if len(columns) not in (2, 3):
            faults.append(
                f"line {number} has {len(columns)} columns; expected NAME|text or NAME|text|words"
            )
        elif not text:
            faults.append(f"line {number} has no text")
        elif name in found:
            faults.append(f"line {number} names {name} again")
        elif name not in files:
            faults.append(f"line {number} names {name}, but there is no wavs/{name}.wav")
        else:
            group, where = path.resolve().parent.name, f"{path.name} line {number}"
            found[name] = Utterance(files[name], text, speaker, None, group, licence, where)
    _refuse(path, faults)
    return list(found.values())


def _manifest(data: Path, sets: Sequence[str], speaker: str, licence: str) -> list[Utterance]:
    found: list[Utterance] = []
    faults: list[str] = []
    root = data.resolve().parent
    rows = read_rows(data)
    below = places(root, [path for path in rows if path.is_relative_to(root)]).places
    for path, row in rows.items():
        fields = row.fields
        text = str(fields.get("text") or "").strip()
        group = str(fields.get("set") or data.stem)
        if not text or (sets and group not in sets):
            continue
        if not path.is_file():
            faults.append(f"line {row.line} names {fields['file']}, which is not there")
            continue
        who = str(fields.get("speaker") or speaker)
        terms, where = str(fields.get("licence") or licence), f"{data.name} line {row.line}"
        place = below[path.relative_to(root)] if path.is_relative_to(root) else None
        split = row.split or (None if place is None else held_out(place))
        found.append(Utterance(path, text, who, split, group, terms, where))
    _refuse(data, faults)
    return found


def _refuse(path: Path, faults: Sequence[str]) -> None:
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ValueError(f"{path}: {'; '.join(faults[:_SHOWN])}{more}")
