"""Held-out speech in held-out noise, for the benchmarks of the denoiser."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.metrics import RATE
from diff_audio.sound.level import normalise
from diff_audio.sound.read import SUFFIXES, read
from diff_audio.sound.resample import resample

__all__ = ["KINDS", "SECONDS", "Mixture", "build", "crop", "files_of"]

SECONDS, VOICES = 5, 6
KINDS = ("recorded", "white", "babble")

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """Clean and noisy (T,) at 16 kHz, and the kind of noise."""

    kind: str
    clean: Wave
    noisy: Wave


def build(options: argparse.Namespace, snr: float) -> Iterator[Mixture]:
    """The test set at `snr` dB, a function of the files and the seed; speakers and sets take
    turns.
    """
    rng = np.random.default_rng(options.seed)
    speakers = files_of(options.speech, options)
    noises = [path for paths in files_of(options.noise, options).values() for path in paths]
    names = _in_turn(sorted(speakers))
    if len(names) <= VOICES:
        raise SystemExit(
            f"{options.speech}: babble needs over {VOICES} speakers, got {len(names)}"
        )
    for item in range(options.items):
        speaker = names[item % len(names)]
        clean = crop(rng, speakers[speaker])
        others = rng.choice([name for name in names if name != speaker], VOICES, replace=False)
        noise = {
            "recorded": crop(rng, noises),
            "white": rng.standard_normal(len(clean)),
            "babble": sum(_level(crop(rng, speakers[name])) for name in others),
        }
        for kind in KINDS:
            ratio = np.linalg.norm(clean) / np.linalg.norm(noise[kind])
            yield Mixture(kind, clean, clean + noise[kind] * ratio * 10 ** (-snr / 20))


def files_of(folder: Path, options: argparse.Namespace) -> dict[str, list[Path]]:
    """Sound files by `set/speaker`, of the split if there is a manifest, else by their folder."""
    found: dict[str, list[Path]] = {}
    if options.manifest:
        root = options.manifest.parent
        for line in options.manifest.read_text().splitlines():
            row = json.loads(line)
            path = root / row["file"]
            if row["split"] == options.split and folder.resolve() in path.resolve().parents:
                name = f"{row.get('set', '')}/{row.get('speaker') or path.stem}"
                found.setdefault(name, []).append(path)
    else:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                name = "/" + (path.parent.name if path.parent != folder else path.stem)
                found.setdefault(name, []).append(path)
    if not found:
        raise SystemExit(
            f"{folder}: no sound files{' in the manifest' if options.manifest else ''}"
        )
    return found


def _in_turn(names: list[str]) -> list[str]:
    """Speakers so that the sets alternate: the small set is not drowned by the large one."""
    sets: dict[str, list[str]] = {}
    for name in names:
        sets.setdefault(name.split("/")[0], []).append(name)
    longest = max(map(len, sets.values()))
    return [group[i] for i in range(longest) for group in sets.values() if i < len(group)]


def crop(rng: np.random.Generator, paths: list[Path]) -> Wave:
    """Five seconds from files of one source: joined, without digital silence, repeated."""
    wanted, parts, length = SECONDS * RATE, [], 0
    for index in rng.permutation(len(paths)):
        samples, rate = read(paths[index])
        wave = resample(torch.from_numpy(samples.mean(axis=0)), rate, RATE).numpy()
        frames = wave[: len(wave) // 320 * 320].reshape(-1, 320)
        parts.append(frames[np.abs(frames).max(axis=1) > 1e-4].ravel())
        length += len(parts[-1])
        if length >= wanted or len(parts) == 8:
            break
    joined = np.concatenate(parts)
    joined = np.tile(joined, -(-wanted // max(len(joined), 1)))
    start = rng.integers(0, len(joined) - wanted + 1)
    return joined[start : start + wanted]


def _level(wave: Wave) -> Wave:
    return normalise(torch.from_numpy(wave)[None])[0][0].numpy()
