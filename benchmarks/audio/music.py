"""Why `denoise` has no option that keeps music: a detector of music, measured.

    python benchmarks/audio/music.py --noise DIR --speech DIR --manifest FILE --music DIR

To keep music that goes with speech, the denoiser would have to tell from what it removes whether
that is music or noise. The usual sign of music without a trained network is steady tones: the
share of a spectrum that a median over time keeps, against one over frequency (D. FitzGerald,
"Harmonic/Percussive Separation Using Median Filtering", 2010). Prints the area under the curve of
detection of music (0.5: blind, 1: certain) against recorded noise, the babble of several speakers,
and hums and whines, in pieces of 3 s, and how many of those pass where nine tenths of the music
do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mixtures import files_of
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scenes import head, mono
from scipy.ndimage import median_filter
from scipy.signal import stft

from diff_audio.data.made_noise import made_noise
from diff_audio.metrics import RATE

LENGTH = 3 * RATE
RECALL = 0.9

Wave = NDArray[np.float64]


def main() -> None:
    """Parses the options and prints the table."""
    options = _options()
    rng = default_rng(options.seed)
    noises = [path for paths in files_of(options.noise, options).values() for path in paths]
    noises = [path for path in noises if options.music not in path.parents]
    voices = [path for paths in files_of(options.speech, options).values() for path in paths]
    kinds: dict[str, Callable[[Generator], Wave]] = {
        "recorded noise": lambda rng: _piece(rng, noises),
        "babble of 4": lambda rng: np.sum([_piece(rng, voices) for _ in range(4)], axis=0),
        "one voice": lambda rng: _piece(rng, voices),
        "hum and whine": lambda rng: made_noise(
            rng, "hum" if rng.random() < 0.5 else "whine", LENGTH, RATE
        ).astype(np.float64),
    }
    beds = [path for path in sorted(options.music.rglob("*")) if path.suffix in (".ogg", ".flac")]
    music = np.array([steady(_piece(rng, beds)) for _ in range(options.items)])
    level = float(np.quantile(music, 1 - RECALL))
    print(f"{options.items} pieces of each kind; music: {len(beds)} recordings\n")
    for line in head("Steady tones as a sign of music", "against", "AUC", "pass, %"):
        print(line)
    for name, draw in kinds.items():
        other = np.array([steady(draw(rng)) for _ in range(options.items)])
        area = float((music[:, None] > other).mean() + 0.5 * (music[:, None] == other).mean())
        print(f"| {name} | {area:.2f} | {100 * np.mean(other >= level):.0f} |", flush=True)


def steady(wave: Wave) -> float:
    """The share of the power that steady tones have, 0 to 1."""
    _, _, spectrum = stft(wave, RATE, nperseg=1024, noverlap=512)
    power = np.abs(spectrum[:256]) ** 2
    tones = median_filter(power, (1, 17)) ** 2
    clicks = median_filter(power, (17, 1)) ** 2
    return float((power * tones / (tones + clicks + 1e-20)).sum() / (power.sum() + 1e-20))


def _piece(rng: Generator, paths: list[Path]) -> Wave:
    wave = mono(paths[rng.integers(len(paths))], RATE)
    wave = np.resize(np.roll(wave, int(rng.integers(len(wave)))), LENGTH)
    return wave / (1e-9 + np.sqrt(np.mean(wave**2)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise")
    parser.add_argument("--speech", type=Path, required=True, help="folder of clean speech")
    parser.add_argument("--music", type=Path, required=True, help="folder of music")
    parser.add_argument("--manifest", type=Path, help="JSON lines with file, speaker, split")
    parser.add_argument("--split", default="val", help="split of the manifest (val)")
    parser.add_argument("--items", type=int, default=40, help="pieces of each kind (40)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
