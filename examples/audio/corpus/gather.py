"""The corpus that trains the audio models, from clones of public repositories.

    python gather.py CLONES OUT [--also MANIFEST ...] [--measures FILE] [--manifest NAME]

CLONES holds the repositories of `sets.py` and `rooms.py` as owner+name or owner/name, with or
without a work tree. OUT gets speech/, noise/, noisy/ (without clean ones) and rooms/, and the
manifest: a line a file with `file`, `kind` (speech, noise, noisy, room, colour), `set`,
`speaker`, `split`, `licence`, `source`, `seconds`, `rate` and, where they are known, `text`,
`age`, `gender`, `sound`, `language`. Files that are there already are left alone, so a run goes
on where another stopped.

MANIFEST is a further list of recordings with the same fields, its files relative to its folder or
to OUT: a corpus that is no repository, or what `teach.py` and `beds.py` wrote. What is below OUT
stays where it is, other files are copied.

FILE is what `measure.py` wrote. With it a line also has `edge_hz` (where the band ends),
`full_band` and, of speech, `bak` (DNSMOS); and speech with noise is left out and listed in
MANIFEST_rejected.jsonl, since a target with noise teaches noise: files whose BAK is below 3.3, and
speakers of whom at most 30 files were measured and whose median is below 3.4.

No speaker, and no recording that noises were cut from, is in two splits: `held_out.json` names
those of the validation.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import soundfile
from repositories import find
from rooms import ROOMS
from sets import READERS, HeldOut

HELD_OUT = Path(__file__).with_name("held_out.json")
QUIET, QUIET_SPEAKER = 3.3, 3.4
"""The least BAK of a clean target, and the least median of a speaker."""
FEW = 30
"""Measured files up to which they stand for all of a speaker."""

Row = dict[str, Any]


def copied(clones: Path, out: Path, held_out: HeldOut) -> list[Row]:
    """Copy what the sets have into a folder, and return its rows. A missing clone is named."""
    rows: list[Row] = []
    for name, (repository, reader) in READERS.items():
        clone = find(clones, repository)
        if clone is None:
            print(f"{name}: no clone of {repository} in {clones}", file=sys.stderr)
            continue
        items = reader(clone, held_out)
        fresh = clone.write([(item.path, out / item.to) for item in items])
        print(f"{name}: {len(items)} files, {fresh} written", flush=True)
        rows += [
            {"file": item.to, "kind": item.to.split("/")[0], "set": item.set,
             "speaker": item.speaker, "split": item.split, "licence": item.licence,
             "source": item.source} | ({"text": item.text} if item.text else {}) | dict(item.more)
            for item in items
        ]  # fmt: skip
    for name, (repository, writer) in ROOMS.items():
        clone = find(clones, repository)
        if clone is None:
            print(f"{name}: no clone of {repository} in {clones}", file=sys.stderr)
            continue
        found = writer(clone, out)
        print(f"{name}: {len(found)} responses", flush=True)
        rows += found
    return rows


def further(manifest: Path, out: Path, held_out: HeldOut) -> list[Row]:
    """Return the rows of another list, whose files are below `out` or are to be copied there.

    Raises ValueError, with its number, for a line that is no row or whose file is missing.
    """
    rows: list[Row] = []
    read: list[tuple[int, Row]] = []
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row: Row = json.loads(line)
            _ = manifest.parent / row["file"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{manifest}, line {number}: no JSON object with 'file'") from error
        read.append((number, row))
    varied = {row["voice"] for _, row in read if row.get("speed", 1.0) != 1.0}
    for number, found in read:
        row = taught(found, found["voice"] not in varied) if "frames" in found else found
        place = manifest.parent / row["file"]
        to = place if place.is_relative_to(out) else out / row["file"]
        if not (to.is_file() or place.is_file()):
            raise ValueError(f"{manifest}, line {number}: no file {place}")
        kept = {k: v for k, v in row.items() if v not in (None, "") and k not in LEFT_OUT}
        kept |= {"file": to.relative_to(out).as_posix()}
        kept.setdefault("kind", kept["file"].split("/")[0])
        kept.setdefault("speaker", to.stem)
        kept.setdefault("source", "as its list says")
        rows.append(_held(kept, held_out) | ({} if to.is_file() else {FROM: str(place)}))
    return rows


LEFT_OUT = ("snr_db", "sample_rate")
FROM = "from"  # where a file is to be copied from


def fetched(rows: Iterable[Row], out: Path) -> list[Row]:
    """Copy the files that lie elsewhere, and return the rows without their old places."""
    done = []
    for row in rows:
        if FROM in row:
            to = out / row["file"]
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(row[FROM], to)
        done.append({k: v for k, v in row.items() if k != FROM})
    return done


def taught(row: Row, alone: bool) -> Row:
    """Return a line of `teach.py` as a row of a manifest.

    alone: the voice is a main one, which speaks at one speed: it is a set of its own, of which one
    text in twenty is held out
    """
    voice, place = row["voice"], int("".join(filter(str.isdigit, Path(row["file"]).stem)))
    return {
        "file": row["file"], "kind": "speech", "set": f"kokoro_{voice}" if alone else "kokoro",
        "speaker": voice, "split": "val" if alone and place % 20 == 7 else "train",
        "licence": "Apache-2.0", "source": "spoken by Kokoro-82M (hexgrad)", "text": row["text"],
        "language": row["language"],
    }  # fmt: skip


def _held(row: Row, held_out: HeldOut) -> Row:
    """Return a row with its recording and split, if it is a clip of ESC-10."""
    if row["set"] == "esc10":
        recording = Path(row["file"]).stem.split("-")[1]
        split = "val" if recording in held_out["freesound"] else "train"
        return row | {"speaker": recording, "split": split}
    return row


def merged(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with each recording once, and each speaker under one set.

    A clip that ESC-10 has is not taken again from ESC-50, and a kathleen or speechocean762 from a
    repository replaces the same recording from another list. LibriSpeech's speakers are one set's.
    """
    seen: dict[tuple[str, str], Row] = {}
    small = {row["speaker"] for row in rows if row["set"] == "librispeech_tc5"}
    for row in rows:
        row = dict(row)
        if row["set"] == "librispeech_tc100" and row["speaker"] in small:
            row["set"] = "librispeech_tc5"
        stem = Path(row["file"]).stem
        if row["set"] == "esc10":
            seen[("esc", stem)] = row
        elif row["set"] == "esc50":
            seen.setdefault(("esc", stem.rsplit("-", 1)[0]), row)
        else:
            file = (
                row["file"] if row["kind"] != "speech" or row["set"].startswith("kokoro") else stem
            )
            seen.setdefault((row["set"], file), row)
    return list(seen.values())


def timed(rows: Iterable[Row], out: Path) -> list[Row]:
    """Return the rows with `seconds` and `rate`, which are read from the files where unknown.

    A file that is no sound is named and left out.
    """
    known = []
    for row in rows:
        if "rate" not in row or "seconds" not in row:
            try:
                info = soundfile.info(out / row["file"])
            except RuntimeError as error:
                print(f"{row['file']}: {error}", file=sys.stderr)
                continue
            row = row | {"seconds": round(info.duration, 3), "rate": info.samplerate}
        known.append(row)
    return known


def judged(rows: Iterable[Row], measures: dict[str, Row]) -> tuple[list[Row], list[Row]]:
    """Return (kept, rejected), with what was measured of each file.

    Rows of noise and of rooms are kept; so is speech that was not measured.
    """
    rows = [
        row | {k: v for k, v in measures.get(row["file"], {}).items() if k in KEPT} for row in rows
    ]
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["kind"] == "speech" and "bak" in row:
            scores[row["set"], row["speaker"]].append(row["bak"])
    kept: list[Row] = []
    rejected: list[Row] = []
    for row in rows:
        noisy = False
        if row["kind"] == "speech":
            found = scores[row["set"], row["speaker"]]
            noisy = row.get("bak", QUIET) < QUIET
            noisy |= 0 < len(found) <= FEW and statistics.median(found) < QUIET_SPEAKER
        (rejected if noisy else kept).append(row)
    return kept, rejected


KEPT = ("seconds", "rate", "edge_hz", "full_band", "bak")


def refuse_shared(rows: Iterable[Row]) -> None:
    """Raise ValueError if a speaker or a recording is in two splits; a text of a lone voice."""
    rows = list(rows)
    speakers: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        speakers[row["set"]].add(row["speaker"])
    splits: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        lone = len(speakers[row["set"]]) == 1 and row["kind"] == "speech"
        family = row["set"].split("_")[0] if row["set"].startswith("librispeech") else (
            "freesound" if row["set"].startswith("esc") else row["set"]
        )  # fmt: skip
        splits[family, row.get("text", "").lower() if lone else row["speaker"]].add(row["split"])
    if both := [name for name, found in splits.items() if len(found) > 1]:
        raise ValueError(f"in two splits: {both[:5]}")


def table(rows: Sequence[Row]) -> str:
    """Return hours, speakers and files by set and split, as lines of text."""
    lines = [
        f"{'kind':6} {'set':22} {'split':5} {'files':>6} {'speakers':>8} {'hours':>6}  licence"
    ]
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["kind"], row["set"], row["split"]].append(row)
    for (kind, set_, split), group in sorted(groups.items()):
        hours = sum(row.get("seconds", 0.0) for row in group) / 3600
        speakers = len({row["speaker"] for row in group})
        licence = ", ".join(sorted({row["licence"] for row in group}))
        lines.append(
            f"{kind:6} {set_:22} {split:5} {len(group):6} {speakers:8} {hours:6.2f}  {licence}"
        )
    return "\n".join(lines)


def _write(path: Path, rows: Iterable[Row]) -> None:
    partial = path.with_name(f".{path.name}")
    partial.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    partial.replace(path)


def main() -> None:
    """Read the options, copy, and write the manifest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clones", type=Path, help="the folder of clones")
    parser.add_argument("out", type=Path, help="the folder of the corpus")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="further lists, .jsonl")
    parser.add_argument("--measures", type=Path, help="what measure.py wrote")
    parser.add_argument("--manifest", default="manifest.jsonl", help="its name in OUT")
    options = parser.parse_args()
    out = options.out.resolve()
    held_out: HeldOut = json.loads(HELD_OUT.read_text(encoding="utf-8"))
    rows = copied(options.clones, out, held_out)
    for manifest in options.also:
        rows += further(manifest.resolve(), out, held_out)
    measures = {}
    if options.measures is not None and options.measures.exists():
        lines = options.measures.read_text(encoding="utf-8").splitlines()
        measures = {row["file"]: row for row in map(json.loads, lines)}
    kept, rejected = judged(timed(fetched(merged(rows), out), out), measures)
    refuse_shared(kept)
    place = out / options.manifest
    _write(place, kept)
    _write(place.with_name(f"{place.stem}_rejected.jsonl"), rejected)
    print(table(kept))
    print(f"{place}: {len(kept)} files; {len(rejected)} rejected for their noise")


if __name__ == "__main__":
    main()
