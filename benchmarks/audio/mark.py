"""The inaudible mark in synthetic speech: what it outlives, what it costs, and false alarms.

    python benchmarks/audio/mark.py --speech DIR --manifest FILE [--items N] [--keys N]

Marks sentences, does to them what happens to sound, and searches them: found, of all, and the
median score z. Prints PESQ between the marked and the unmarked sentences (4.64 is the highest that
PESQ gives). Then searches the unmarked sentences with as many keys: the largest score of each
search, beside the bound of `diff_audio.sound.mark`.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from mixtures import files_of
from numpy.random import default_rng
from numpy.typing import NDArray
from scenes import head, mono

from diff_audio.metrics.scores import pesq_wb
from diff_audio.sound import mark
from diff_audio.sound.mark import ALARM, KINDS, find, marked
from diff_audio.sound.resample import resample

RATE = 22_050
LENGTHS = (3.0, 6.0, 10.0)  # s

Wave = NDArray[np.float64]
Attack = Callable[[Wave, Wave], tuple[Wave, int]]
"""attack(marked, other speech) -> sound and its rate."""


def main() -> None:
    """Parses the options and prints the tables."""
    options = _options()
    torch.set_num_threads(1)
    paths = [path for paths in files_of(options.speech, options).values() for path in paths]
    chosen = default_rng(options.seed).permutation(len(paths))
    long = int(max(LENGTHS) * RATE)
    waves: list[Wave] = []
    for index in chosen:
        wave = mono(paths[index], RATE)
        if len(wave) >= long:
            waves.append(wave[:long])
        if len(waves) == options.items:
            break
    made = [marked(wave, RATE, "say") for wave in waves]
    print(f"{len(waves)} sentences, seed {options.seed}\n")
    pesq = [pesq_wb(_to(a, 16_000), _to(b, 16_000)) for a, b in zip(waves, made, strict=True)]
    print(f"PESQ between marked and unmarked: mean {np.mean(pesq):.2f}, least {min(pesq):.2f}\n")
    for line in head("Found, and median z", "what happened", *(f"{s:g} s" for s in LENGTHS)):
        print(line)
    for name, attack in ATTACKS.items():
        cells: list[str] = []
        for seconds in LENGTHS:
            size = int(seconds * RATE)
            pairs = [(made[k][:size], waves[k - 1][:size]) for k in range(len(made))]
            found = [find(*attack(*pair)) for pair in pairs]
            right = [some for some in found if some and some[0].kind == "say"]
            scores = [some[0].score for some in right]
            middle = f", {np.median(scores):.1f}" if scores else ""
            cells.append(f"{len(right)}/{len(found)}{middle}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    _alarms(waves, options.keys)


def _alarms(waves: list[Wave], keys: int) -> None:
    """The largest scores of searches without a mark."""
    largest: list[float] = []
    for wave in waves:
        tiles = mark._tiles(torch.from_numpy(wave).float())
        for number in range(keys):
            phases = [mark._score(phase, "say", f"key {number}") for phase in tiles]
            largest.append(max(phases))
    tried = len(KINDS) * 4 * mark._PERIOD  # of a search of up to 12 s
    threshold = math.sqrt(2 * math.log(tried / ALARM))
    print(f"\n{len(largest)} searches without a mark: largest z {max(largest):.2f}, ", end="")
    print(f"median {np.median(largest):.2f}; an alarm needs {threshold:.2f}\n")
    for line in head("Searches over a score, %", "z", "measured", "bound"):
        print(line)
    for level in (3.5, 4.0, 4.5, 5.0, 5.5):
        share = 100 * np.mean(np.array(largest) > level)
        bound = min(100.0, 100 * 4 * mark._PERIOD * math.exp(-(level**2) / 2))
        print(f"| {level} | {share:.3f} | {bound:.3f} |")


def _to(wave: Wave, rate: int, source: int = RATE) -> Wave:
    return resample(torch.from_numpy(wave), source, rate).numpy()


def _mp3(level: float) -> Attack:
    def attack(wave: Wave, other: Wave) -> tuple[Wave, int]:
        buffer = io.BytesIO()
        given = {"bitrate_mode": "CONSTANT", "compression_level": level}
        soundfile.write(buffer, 0.9 * wave / np.abs(wave).max(), RATE, format="MP3", **given)
        buffer.seek(0)
        return soundfile.read(buffer)[0], RATE

    return attack


def _mixed(wave: Wave, other: Wave) -> tuple[Wave, int]:
    return wave / np.std(wave) + other / np.std(other), RATE


def _telephone(wave: Wave, other: Wave) -> tuple[Wave, int]:
    return _to(wave, 8000), 8000


def _faster(wave: Wave, other: Wave) -> tuple[Wave, int]:
    return wave, round(1.02 * RATE)


ATTACKS: dict[str, Attack] = {
    "nothing": lambda wave, other: (wave, RATE),
    "MP3, 128 kb/s": _mp3(0.2),
    "MP3, 32 kb/s": _mp3(0.8),
    "resampled to 16 kHz": lambda wave, other: (_to(wave, 16_000), 16_000),
    "resampled to 8 kHz": _telephone,
    "cut at 1.234 s": lambda wave, other: (wave[int(1.234 * RATE) :], RATE),
    "other speech at 0 dB": _mixed,
    "MP3 of it, 128 kb/s": lambda wave, other: _mp3(0.2)(_mixed(wave, other)[0], other),
    "played 2 % faster": _faster,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True, help="folder of clean speech")
    parser.add_argument("--manifest", type=Path, help="JSON lines with file, speaker, split")
    parser.add_argument("--split", default="val", help="split of the manifest (val)")
    parser.add_argument("--items", type=int, default=24, help="sentences of 10 s (24)")
    parser.add_argument("--keys", type=int, default=100, help="keys for false alarms (100)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
