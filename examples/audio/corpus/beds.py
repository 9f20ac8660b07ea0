"""Beds of music, rendered from scores in the public domain, to lie under or over speech.

    apt-get install fluidsynth fluid-soundfont-gm;  pip install music21 soundfile
    python beds.py -o OUT/noise/music [--minutes 60] [--font FluidR3_GM.sf2] [--seconds 60]

Scores come with music21 (M. S. Cuthbert and C. Ariza, 2010). Of its corpus only composers are read
who died before 1955, and tunes printed before 1904; a file that speaks of a copyright is left out
unless it gives itself to the public domain or CC BY, and so are collections whose encoding is
restricted (Palestrina, the Bach chorales, Essen, and what is under CC BY-SA or the GPL). The sound
font FluidR3 GM is by F. Wen and T. Moore (MIT). Each bed is one score, or part of one, with
instruments, tempo, key and loudness drawn from its number; a Vorbis file of 48 kHz, two channels,
and a line in `beds.jsonl`. What has a line is not rendered again.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 48_000
FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")

COMPOSERS = {
    "beethoven": "L. van Beethoven (died 1827)",
    "corelli": "A. Corelli (died 1713)",
    "cpebach": "C. P. E. Bach (died 1788)",
    "handel": "G. F. Handel (died 1759)",
    "haydn": "J. Haydn (died 1809)",
    "johnson_j_r": "J. R. Johnson (died 1954)",
    "joplin": "S. Joplin (died 1917)",
    "liliuokalani": "Liliuokalani (died 1917)",
    "lusitano": "V. Lusitano (died after 1561)",
    "monteverdi": "C. Monteverdi (died 1643)",
    "mozart": "W. A. Mozart (died 1791)",
    "schumann_robert": "R. Schumann (died 1856)",
    "verdi": "G. Verdi (died 1901)",
    "weber": "C. M. von Weber (died 1826)",
    "airdsAirs": "traditional, Aird's Airs (1778)",
    "oneills1850": "traditional, O'Neill's Music of Ireland (1903)",
    "ryansMammoth": "traditional, Ryan's Mammoth Collection (1883)",
}
"""Folder of music21's corpus -> who wrote what is in it."""

FREE = re.compile(r"CC0|public domain|CC-BY\)|CC BY(?![- ](?:NC|SA|ND))", re.IGNORECASE)
BOUND = re.compile(
    r"copyright|©|\(c\) ?\d{4}|rights reserved|CC.BY.(?:NC|SA|ND)|GNU", re.IGNORECASE
)

ENSEMBLES: tuple[Sequence[int], ...] = (
    (0,), (0, 48), (4, 32), (6,), (11, 12), (16, 32), (19,), (21,), (24, 32), (25, 33), (26,
    33, 4), (40, 40, 41, 42), (46, 73), (48, 49), (52, 48), (56, 60, 57), (61, 33), (65, 66,
    33, 0), (68, 70), (71, 42), (73, 24), (80, 38), (81, 39, 89), (88, 90), (104, 32), (105,
    32, 40), (110, 21), (114,),
)  # fmt: skip
"""Programs of General MIDI from 0, given to the parts in turn."""


def notices(path: Path) -> str:
    """Return what a score says of itself: the start of its text, unpacked if it is packed."""
    raw = path.read_bytes()
    if path.suffix == ".mxl":
        with zipfile.ZipFile(path) as packed:
            names = [n for n in packed.namelist() if "META-INF" not in n and n.endswith("xml")]
            raw = packed.read(names[0]) if names else b""
    return raw[:20_000].decode("utf-8", errors="replace")


def is_free(text: str) -> bool:
    """Return whether a score may be used: its notices name no copyright, or a free licence."""
    return BOUND.search(text) is None or (
        FREE.search(text) is not None and not re.search(r"BY.(?:NC|SA|ND)|GNU", text)
    )


def licence_of(text: str) -> str:
    """Return the licence of a score that may be used, from its notices."""
    by = re.search(r"CC-BY\)|CC BY", text, re.IGNORECASE)
    return "CC-BY" if by else "CC0-1.0" if "CC0" in text else "public domain"


def scores(corpus: Path) -> list[tuple[Path, str]]:
    """Return (file, composer) of each score that may be used, shuffled once for all."""
    found = []
    for folder, who in COMPOSERS.items():
        paths = [
            p
            for p in sorted((corpus / folder).rglob("*"))
            if p.suffix in (".mxl", ".xml", ".musicxml", ".abc") and is_free(notices(p))
        ]
        random.Random(folder).shuffle(paths)
        found += [(rank, path, who) for rank, path in enumerate(paths)]
    # The composers in turn: a folder of a thousand tunes does not crowd out one of two.
    return [(path, who) for _, path, who in sorted(found, key=lambda f: (f[0], f[2]))]


def to_midi(path: Path, dice: random.Random, to: Path) -> None:
    """Write a score as MIDI, with instruments, tempo and key drawn."""
    from music21 import converter, instrument, stream, tempo

    read = converter.parse(path)
    if isinstance(read, stream.Opus):
        read = dice.choice(list(read.scores))
    score = read.transpose(dice.randint(-4, 4))
    ensemble = dice.choice(ENSEMBLES)
    parts = list(score.parts) or [score]
    for number, part in enumerate(parts):
        for old in list(part.recurse().getElementsByClass("Instrument")):
            part.remove(old, recurse=True)
        played = instrument.Instrument()
        played.midiProgram = ensemble[number % len(ensemble)]
        part.insert(0, played)
    for old in list(score.recurse().getElementsByClass("MetronomeMark")):
        score.remove(old, recurse=True)
    parts[0].insert(0, tempo.MetronomeMark(number=dice.randint(60, 150)))
    score.write("midi", to)


def render(midi: Path, font: Path, seconds: float, to: Path) -> float:
    """Write at most `seconds` of a MIDI file as sound with a peak of -3 dBFS; return its length.

    Raises ValueError if fluidsynth fails or nothing is heard.
    """
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "a.wav"
        command = ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", str(RATE), "-F", str(wave),
                   str(font), str(midi)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not wave.exists():
            raise ValueError(f"fluidsynth: {done.stderr.strip()[-200:] or done.returncode}")
        with soundfile.SoundFile(wave) as file:
            samples = file.read(int(seconds * RATE), dtype="float32", always_2d=True)
    heard = np.nonzero(np.abs(samples).max(1) > 1e-3)[0]
    if not len(heard):
        raise ValueError("nothing is heard")
    samples = samples[: heard[-1] + 1]
    fade = min(len(samples), RATE // 2)
    samples[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    samples *= 10 ** (-3 / 20) / np.abs(samples).max()
    partial = to.with_name(f".{to.name}")
    with soundfile.SoundFile(partial, "w", RATE, 2, "VORBIS", format="OGG") as file:
        for start in range(
            0, len(samples), RATE
        ):  # libsndfile overruns its stack on one long write
            file.write(samples[start : start + RATE])
    partial.replace(to)
    return len(samples) / RATE


def main() -> None:
    """Render beds until there are enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--minutes", type=float, default=60.0, help="of music in all")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a bed, at most")
    parser.add_argument("--font", type=Path, default=FONT, help="the sound font")
    options = parser.parse_args()
    import music21

    assert music21.__file__ is not None
    chosen = scores(Path(music21.__file__).with_name("corpus"))
    options.out.mkdir(parents=True, exist_ok=True)
    listed = options.out / "beds.jsonl"
    rows: list[dict[str, Any]] = []
    if listed.exists():
        rows = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    number = max((row["number"] for row in rows), default=-1)
    total = sum(row["seconds"] for row in rows)
    while total < 60 * options.minutes:
        number += 1
        path, who = chosen[number % len(chosen)]
        to = options.out / f"bed_{number:04d}.ogg"
        try:
            with tempfile.TemporaryDirectory() as folder:
                midi = Path(folder) / "a.mid"
                to_midi(path, random.Random(number), midi)
                seconds = render(midi, options.font, options.seconds, to)
        except Exception as error:  # music21 has no common class of errors
            print(f"bed {number}: {path.name}: {error}", flush=True)
            if number > 20 * len(chosen):
                break
            continue
        row = {"file": to.name, "kind": "noise", "set": "music", "speaker": path.stem,
               "split": "val" if number % len(chosen) % 20 == 19 else "train",
               "licence": licence_of(notices(path)), "sound": "music", "number": number,
               "seconds": round(seconds, 2),
               "source": f"{who}, {path.name} of music21; FluidR3 GM (MIT)"}  # fmt: skip
        with listed.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        total += seconds
    print(f"{listed}: {total / 60:.1f} minutes")


if __name__ == "__main__":
    main()
