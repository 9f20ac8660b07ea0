"""The sentences, noises and rooms of the benchmarks on what people record."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mixtures import files_of
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from diff_audio.data.rooms import RoomBank, Rooms
from diff_audio.metrics import RATE
from diff_audio.sound.read import read
from diff_audio.sound.resample import resample

__all__ = [
    "Sentence", "at_ratio", "data_options", "head", "mono", "noise_of", "rooms_of", "sentences_of",
]  # fmt: skip

DECAYS = (0.25, 0.5, 0.8)  # s, of the simulated rooms
DISTANCE = {0.25: 1.0, 0.5: 1.5, 0.8: 2.0}  # m, from the speaker to the microphone
LENGTH = (4 * RATE, 9 * RATE)  # of a sentence

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Sentence:
    """A sentence (T,) at 16 kHz, what it says and who says it."""

    wave: Wave
    text: str
    speaker: str


def data_options(parser: argparse.ArgumentParser, items: int) -> None:
    """Add the options that name the data."""
    parser.add_argument("--speech", type=Path, required=True, help="folder of clean speech")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise")
    parser.add_argument(
        "--manifest", type=Path, required=True, help="JSON lines with file, speaker, split, text"
    )
    parser.add_argument("--split", default="val", help="split of the manifest (val)")
    parser.add_argument("--set", default="", help="only this set of the manifest")
    parser.add_argument("--rooms", type=Path, help="folder of recorded impulse responses")
    parser.add_argument("--items", type=int, default=items, help=f"sentences ({items})")
    parser.add_argument("--seed", type=int, default=0)


def sentences_of(options: argparse.Namespace) -> list[Sentence]:
    """Sentences with a text; the speakers take turns."""
    root, texts = options.manifest.parent, {}
    for line in options.manifest.read_text().splitlines():
        row = json.loads(line)
        if row.get("text") and row.get("set", "").startswith(options.set):
            texts[(root / row["file"]).resolve()] = row["text"]
    rng = default_rng((options.seed, 0))
    files = {
        name: rng.permutation(paths) for name, paths in files_of(options.speech, options).items()
    }
    found: list[Sentence] = []
    for turn in range(max(map(len, files.values()))):
        for name in sorted(files):
            path = files[name][turn] if turn < len(files[name]) else None
            if path is None or path.resolve() not in texts:
                continue
            wave = mono(path, RATE)
            if LENGTH[0] <= len(wave) <= LENGTH[1]:
                found.append(Sentence(wave, texts[path.resolve()], name))
            if len(found) == options.items:
                return found
    raise SystemExit(f"{options.manifest}: {len(found)} sentences with a text of 4 to 9 s")


def mono(path: Path, rate: int) -> Wave:
    """A file's channels mixed, (T,), at `rate` Hz."""
    samples, own = read(path)
    return resample(torch.from_numpy(samples.mean(axis=0)), own, rate).numpy().astype(np.float64)


def noise_of(rng: Generator, noises: Sequence[Path], length: int) -> Wave:
    """A piece (length,) of one of the noises, repeated where that is shorter."""
    wave = mono(noises[rng.integers(len(noises))], RATE)
    return np.resize(np.roll(wave, int(rng.integers(len(wave)))), length)


def at_ratio(noise: Wave, wave: Wave, snr: float) -> Wave:
    """Return the noise at `snr` dB under the wave."""
    return noise * np.linalg.norm(wave) / np.linalg.norm(noise) * 10 ** (-snr / 20)


def rooms_of(options: argparse.Namespace) -> dict[str, Callable[[Generator], Wave]]:
    """How to draw an impulse response of each room, by the room's name."""
    found: dict[str, Callable[[Generator], Wave]] = {}
    for decay in DECAYS:
        rooms = Rooms(10, 0, decay=(decay, decay), distance=(DISTANCE[decay],) * 2, seed=10_000)
        bank = RoomBank.simulate(rooms, RATE)
        found[f"room {decay} s"] = lambda rng, bank=bank: bank.draw(rng).speech
    recorded: dict[str, list[Path]] = {}
    for path in sorted(options.rooms.rglob("*.wav")) if options.rooms else ():
        recorded.setdefault(path.stem.rpartition("_")[0], []).append(path)
    for name, paths in recorded.items():
        found[name] = lambda rng, paths=paths: mono(paths[rng.integers(len(paths))], RATE)
    return found


def head(title: str, *columns: str) -> Iterator[str]:
    """The title and head of a table."""
    yield f"{title}\n"
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
