"""How well `--confidence` foretells the error, and the line that it is read from.

    python benchmarks/audio/confidence.py --speech DIR --noise DIR [--manifest FILE]

Mixtures of five seconds as in benchmarks/audio/denoise.py, at each of --snrs. Half of the speech
items fit the straight line of `denoiser.confidence`, the other half judge it, second by second,
against the true ratio of speech to error of the output. Seconds whose clean speech lies 30 dB
under the loudest of the recording do not count. Prints the lines, the correlation of each forecast
with the truth over the seconds (Pearson and rank), its root mean square error, and how the mark
finds the seconds that are truly under its threshold: the share found, and the share of marks that
are right. In brackets the 95 % interval of the Pearson correlation, a bootstrap over mixtures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mixtures import SECONDS, Mixture, build
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from diff_audio.denoiser.confidence import (
    DOUBTFUL_DB,
    PAUSE_DB,
    Second,
    Tracks,
    expected_sdr,
    seconds,
)
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import Settings
from diff_audio.metrics import RATE

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A second: the mixture's number, half, kind and level of noise, both ratios and the true one,
    dB.
    """

    mixture: int
    snr: float
    fits: bool
    kind: str
    removed: float
    spread: float
    truth: float


def main() -> None:
    """Parses the options, denoises, prints the tables."""
    options = _options()
    torch.set_num_threads(options.threads)
    model = Denoiser.from_pretrained(options.weights, device="cpu")
    for name, settings in {
        "1 pass, energy removed alone": Settings(),
        f"{options.samples} samples of {options.steps} passes": Settings(
            steps=options.steps, samples=options.samples
        ),
    }.items():
        rows = list(_rows(model, settings, options))
        print(f"\n## {name}: {len(rows)} seconds of speech\n")
        print("\n".join(_report(rows, sampled=settings.samples > 1)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--items", type=int, default=8)
    parser.add_argument("--snrs", type=float, nargs="+", default=[-5.0, 5.0, 15.0])
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _rows(model: Denoiser, settings: Settings, options: argparse.Namespace) -> Iterator[Row]:
    count = 0
    for snr in options.snrs:
        for index, mixture in enumerate(build(options, snr)):
            fits = index // 3 % 2 == 0  # three kinds of noise an item
            for truth, second in _seconds(model, settings, mixture):
                spread = second.spread_db or 0.0
                removed = second.removed_db or 0.0
                yield Row(count, snr, fits, mixture.kind, removed, spread, truth)
            count += 1


def _seconds(
    model: Denoiser, settings: Settings, mixture: Mixture
) -> Iterator[tuple[float, Second]]:
    """The true ratio, dB, and what is said of each second of speech."""
    wave, tracks = mixture.noisy[None], Tracks()
    gain = model.measure([wave], wave.shape, RATE)
    out: list[Array] = []
    for part in model.run([wave], wave.shape, RATE, gain, settings):
        tracks.add(part)
        out.append(part.after)
    error = mixture.clean - np.concatenate(out, axis=1)[0]
    clean, wrong = (
        (values.reshape(SECONDS, RATE) ** 2).mean(axis=1) for values in (mixture.clean, error)
    )
    for second, speech, noise in zip(seconds(tracks), clean, wrong, strict=True):
        if speech > clean.max() * 10 ** (-PAUSE_DB / 10) and second.removed_db is not None:
            yield float(10 * np.log10(speech / noise)), second


def _report(rows: list[Row], *, sampled: bool) -> Iterator[str]:
    fitted, judged = ([r for r in rows if r.fits is fits] for fits in (True, False))
    names = ["removed", "spread"] if sampled else ["removed"]
    for chosen in [names] if len(names) == 1 else [["removed"], ["spread"], names]:
        line = _fit(fitted, chosen)
        slopes = " ".join(f"{b:+.3f} {n}" for b, n in zip(line[1:], chosen, strict=True))
        yield f"line through {' and '.join(chosen)}: {line[0]:+.2f} {slopes}"
        found = _design(judged, chosen) @ line
        yield f"  {_judge(judged, found)}"
        for kind in dict.fromkeys(row.kind for row in judged):
            which = np.array([row.kind == kind for row in judged])
            some = [row for row in judged if row.kind == kind]
            yield f"  {kind}: {_judge(some, found[which])}"
    shipped = np.array([expected_sdr(r.removed, r.spread if sampled else None) for r in judged])
    yield f"as shipped: {_judge(judged, shipped)}"
    for snr in dict.fromkeys(row.snr for row in judged):
        some = np.array([row.snr == snr for row in judged])
        rows = [row for row in judged if row.snr == snr]
        yield f"  {snr:g} dB: {_judge(rows, shipped[some])}"


def _design(rows: list[Row], names: list[str]) -> Array:
    return np.array([[1.0, *(getattr(row, name) for name in names)] for row in rows])


def _fit(rows: list[Row], names: list[str]) -> Array:
    truth = np.array([row.truth for row in rows])
    return np.linalg.lstsq(_design(rows, names), truth)[0]


def _judge(rows: list[Row], found: Array) -> str:
    truth = np.array([row.truth for row in rows])
    low, high = _interval(np.array([row.mixture for row in rows]), found, truth)
    bad, marked = truth < DOUBTFUL_DB, found < DOUBTFUL_DB
    both = int(np.sum(bad & marked))
    return (
        f"r {pearsonr(found, truth)[0]:.2f} [{low:.2f}, {high:.2f}], "
        f"rank {spearmanr(found, truth)[0]:.2f}, RMSE {np.sqrt(np.mean((found - truth) ** 2)):.1f}"
        f" dB; of {int(bad.sum())} of {len(rows)} seconds under {DOUBTFUL_DB:g} dB "
        f"{100 * both / max(1, bad.sum()):.0f} % are marked, "
        f"{100 * both / max(1, marked.sum()):.0f} % of {int(marked.sum())} marks are right"
    )


def _interval(mixtures: NDArray[np.int64], found: Array, truth: Array) -> tuple[float, float]:
    rng, names = np.random.default_rng(0), np.unique(mixtures)
    places = {name: np.flatnonzero(mixtures == name) for name in names}
    values: list[float] = []
    for _ in range(500):
        drawn = np.concatenate([places[name] for name in rng.choice(names, len(names))])
        values.append(float(pearsonr(found[drawn], truth[drawn])[0]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
