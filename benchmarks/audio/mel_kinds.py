"""Fits the statistics by which foreign mel spectrograms are recognised, and prints how many are.

python benchmarks/audio/mel_kinds.py --speech DIR [--manifest FILE] [--write]

Ten seconds of each recording, some with noise and all at a random level, are made into a mel of
each kind by librosa. The table is the share of recordings that are taken for a foreign kind: half
of the speakers are judged by the discriminant that the other half fits, by turns. The file that is
written is fitted to all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from diff_audio.data.layouts import Row, recognise
from diff_audio.data.manifest import listed, read_rows
from diff_audio.sound.read import read
from diff_audio.sound.resample import resample
from diff_audio.spectra.mel_kinds import FILE, KINDS, OURS, Discriminant, features
from diff_core.data import assign

Array = NDArray[np.float64]

Norm = Literal["slaney"] | None

# rate, window, hop, lowest and highest frequency, HTK's scale, norm, power, base of the logarithm
DEFINITIONS: dict[str, tuple[int, int, int, int, int, bool, Norm, int, float]] = {
    "ours": (22_050, 1024, 256, 0, 8000, False, "slaney", 1, np.e),
    "half the rate": (22_050, 1024, 256, 0, 11_025, False, "slaney", 1, np.e),
    "44.1 kHz": (44_100, 2048, 512, 0, 16_000, False, "slaney", 1, np.e),
    "log10": (22_050, 1024, 256, 80, 7600, False, "slaney", 1, 10.0),
    "HTK": (22_050, 1024, 256, 0, 8000, True, "slaney", 1, np.e),
    "HTK without norm": (22_050, 1024, 256, 0, 8000, True, None, 1, np.e),
    "power": (22_050, 1024, 256, 0, 8000, False, "slaney", 2, np.e),
    "7.6 kHz": (22_050, 1024, 256, 80, 7600, False, "slaney", 1, np.e),
    "24 kHz": (24_000, 1024, 256, 0, 12_000, False, "slaney", 1, np.e),
    "24 kHz, to 8 kHz": (24_000, 1024, 256, 0, 8000, False, "slaney", 1, np.e),
    "16 kHz, hop 160": (16_000, 400, 160, 0, 8000, False, "slaney", 1, np.e),
}
SHRINK = 0.1  # of the covariance towards its diagonal


def main() -> None:
    """Parse the options, fit, print the table, and write the file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--items", type=int, default=200, help="recordings on each side")
    parser.add_argument("--write", action="store_true", help="write the package's file")
    options = parser.parse_args()
    sides = _sides(options.speech, options.manifest, options.items)
    found = [{kind: np.array(x) for kind, x in _all(rows).items()} for rows in sides]
    print("| kind | recordings | taken for foreign |\n|---|--:|--:|")
    for kind in DEFINITIONS:
        taken = [
            _fit(found[1 - side]).kind(x) != OURS for side in (0, 1) for x in found[side][kind]
        ]
        print(f"| {KINDS[kind]} | {len(taken)} | {np.mean(taken):.1%} |")
    if options.write:
        write(_fit({kind: np.concatenate([one[kind] for one in found]) for kind in DEFINITIONS}))


def write(fitted: Discriminant) -> None:
    """Write the file of the package."""
    tensors = {
        name: np.asarray(getattr(fitted, name), np.float32)
        for name in ("weights", "bias", "means", "deviation")
    }
    save_file(tensors, FILE, {"names": json.dumps(fitted.names)})


def _sides(speech: Path, manifest: Path | None, items: int) -> tuple[list[Row], list[Row]]:
    """Return recordings of two halves of the speakers, spread evenly over the sets."""
    if manifest is None:
        rows = list(recognise(speech).rows)
    else:
        rows = listed(speech, "speech", read_rows(manifest))
    side = assign((row.speaker for row in rows), val=0.5)
    chosen: tuple[list[Row], list[Row]] = ([], [])
    for index, split in enumerate(("train", "val")):
        sets: dict[str, list[Row]] = {}
        for row in rows:
            if side[row.speaker] == split:
                sets.setdefault(row.group, []).append(row)
        for some in sets.values():
            order = np.random.default_rng(index).permutation(len(some))
            chosen[index].extend(some[i] for i in order[: -(-items // len(sets))])
    return chosen


def _all(rows: list[Row]) -> dict[str, list[Array]]:
    found: dict[str, list[Array]] = {kind: [] for kind in DEFINITIONS}
    for number, row in enumerate(rows):
        wave, rate = _piece(row, np.random.default_rng(number))
        made = dict(_features(wave, rate))
        if len(made) == len(DEFINITIONS):
            for kind, x in made.items():
                found[kind].append(x)
    return found


def _piece(row: Row, rng: np.random.Generator) -> tuple[NDArray[np.float32], int]:
    samples, rate = read(row.path)
    wave = samples.mean(0)
    start = int(rng.integers(max(1, len(wave) - 10 * rate)))
    wave = wave[start : start + 10 * rate] * 10 ** rng.uniform(-1.2, 0.3)
    if rng.random() < 0.4:
        noise = np.fft.rfft(rng.standard_normal(len(wave)))
        noise /= (np.arange(len(noise)) + 30.0) ** rng.uniform(0, 1)
        noise = np.fft.irfft(noise, len(wave))
        wave = wave + noise * (wave.std() / noise.std() * 10 ** (-rng.uniform(10, 40) / 20))
    return wave.astype(np.float32), rate


def _features(wave: NDArray[np.float32], rate: int) -> Iterator[tuple[str, Array]]:
    for kind, (to, window, hop, low, high, htk, norm, power, base) in DEFINITIONS.items():
        there = resample(torch.from_numpy(wave), rate, to).numpy()
        spectrum = np.abs(librosa.stft(there, n_fft=window, hop_length=hop)) ** power
        bank = librosa.filters.mel(
            sr=to, n_fft=window, n_mels=80, fmin=low, fmax=high, htk=htk, norm=norm
        )
        floor = 1e-10 if base == 10.0 else 1e-5
        x = features(np.log(np.maximum(bank @ spectrum, floor)) / np.log(base))
        if x is not None:
            yield kind, x


def _fit(found: dict[str, Array]) -> Discriminant:
    means = np.stack([rows.mean(0) for rows in found.values()])
    within = np.concatenate([rows - rows.mean(0) for rows in found.values()])
    covariance = within.T @ within / len(within)
    diagonal = np.diag(np.diag(covariance))
    inverse = np.linalg.inv(
        (1 - SHRINK) * covariance + SHRINK * diagonal + 1e-3 * np.eye(len(diagonal))
    )
    weights = np.asarray(means @ inverse, np.float64)
    bias = -0.5 * (weights * means).sum(1)
    deviation = np.sqrt(np.diag(covariance))
    return Discriminant(tuple(found), weights, bias, means, deviation)


if __name__ == "__main__":
    main()
