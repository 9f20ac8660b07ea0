"""The denoiser in rooms, with a quiet guest, and on hiss above 4 kHz, beside others in one run.

    python benchmarks/audio/real.py --speech DIR --noise DIR --manifest FILE [--rooms DIR]

Words: sentences of held-out speakers with their texts, in conditions that cost words, heard by
Whisper tiny.en before and after each method (`diff_audio.metrics.words`). Prints word error rates
in percent, and beside each the 95 % interval of its change against the input, by bootstrap over
sentences. Rooms are simulated, and recorded if --rooms has impulse responses: WAV files that begin
with the name of a room before their last underscore. The noise of a noisy room is recorded too.

Guests: a second speaker 10 to 40 dB under the first, in noise 20 dB under the guest. Prints the
SI-SDR of the guest's seconds before and after.

Bands: speech at 48 kHz in hiss that begins at 4 or 9 kHz, or with a whine of 15.6 kHz. Prints by
how many dB that falls in the pauses.

Upper band: recordings of --wide, at 44.1 kHz or more, in white noise at 10 dB and as they are.
Prints the SI-SDR from 8 to 16 kHz before and after.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from denoise_peers import Method, peers
from mixtures import files_of
from numpy.random import default_rng
from numpy.typing import NDArray
from scenes import Sentence, at_ratio, data_options, head, mono, noise_of, rooms_of, sentences_of
from scipy.signal import butter, fftconvolve, sosfiltfilt

from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import Settings
from diff_audio.metrics import RATE, si_sdr
from diff_audio.metrics.words import Recogniser, WordErrors, word_errors
from diff_audio.sound.resample import resample
from diff_core.evaluate import mean_interval

QUIET = (10, 20, 30, 40)  # dB, of a guest under the host
DRAWS = 2000  # of the bootstrap
HISS = (4000, 9000)  # Hz, where the hiss begins
WIDE, WHINE = 48_000, 15_625.0  # Hz: the line frequency of television
TABLES = ("words", "guests", "bands", "upper")
UPPER = (8200.0, 15_900.0)  # Hz
PAUSE = slice(-int(1.5 * WIDE), -WIDE // 4)

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Condition:
    """What is done to a sentence: the room by name, "" for none, and the ratio to noise, dB."""

    room: str
    snr: float | None

    def __str__(self) -> str:
        room = self.room or "dry"
        return room if self.snr is None else f"{room}, {self.snr:g} dB"


def main() -> None:
    """Parses the options and prints the tables."""
    options = _options()
    torch.set_num_threads(1)
    sentences = sentences_of(options)
    noises = [path for paths in files_of(options.noise, options).values() for path in paths]
    model = Denoiser.from_pretrained(options.weights, device="cpu")
    methods: dict[str, Method] = {"input": lambda wave: wave}
    methods["**diff_audio**"] = lambda wave: model(wave, RATE)
    methods["diff_audio --room 0"] = lambda wave: model(wave, RATE, Settings(room=0.0))
    if not options.ours:
        methods |= dict(peers())
    tables = {
        "words": lambda: _words(methods, sentences, noises, options),
        "guests": lambda: _guests(methods, sentences, noises, options),
        "bands": lambda: _bands(model, sentences, options),
        "upper": lambda: _upper(model, options),
    }
    for name in options.only:
        for line in tables[name]():
            print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data_options(parser, 40)
    parser.add_argument("--weights", type=Path, help="another checkpoint than the package's")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    parser.add_argument("--wide", type=Path, help="folder of clean speech for the upper band")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, help="tables (all)")
    return parser.parse_args()


def _words(
    methods: dict[str, Method],
    sentences: list[Sentence],
    noises: list[Path],
    options: argparse.Namespace,
) -> Iterator[str]:
    hear, rooms = Recogniser(), rooms_of(options)
    conditions = [Condition("", snr) for snr in (None, 5, 0)]
    conditions += [Condition(name, snr) for snr in (None, 15) for name in rooms]
    title = f"Words wrong, %, of {len(sentences)} sentences, seed {options.seed}"
    yield from head(title, "condition", *methods)
    for condition in conditions:
        counts: dict[str, list[WordErrors]] = {name: [] for name in methods}
        for index, sentence in enumerate(sentences):
            rng = default_rng((options.seed, 1, index))
            wave = sentence.wave
            if condition.room:
                wave = fftconvolve(wave, rooms[condition.room](rng))
                wave /= 1.5 * np.abs(wave).max()
            noise = noise_of(rng, noises, len(wave))
            if condition.snr is not None:
                wave = wave + at_ratio(noise, wave, condition.snr)
            for name, method in methods.items():
                counts[name].append(
                    word_errors(sentence.text, hear(np.nan_to_num(method(wave)), sentence.text))
                )
        cells = [_cell(counts["input"], counts[name], name == "input") for name in methods]
        yield f"| {condition} | " + " | ".join(cells) + " |"
    yield ""


def _cell(before: list[WordErrors], after: list[WordErrors], alone: bool) -> str:
    words = np.array([count.words for count in after])
    wrong = np.array([count.wrong for count in after])
    change = wrong - np.array([count.wrong for count in before])
    rate = f"{100 * wrong.sum() / words.sum():.1f}"
    if alone:
        return rate
    chosen = default_rng(0).integers(len(words), size=(DRAWS, len(words)))
    drawn = 100 * change[chosen].sum(1) / words[chosen].sum(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return f"{rate} ({low:+.1f} to {high:+.1f})"


def _guests(
    methods: dict[str, Method],
    sentences: list[Sentence],
    noises: list[Path],
    options: argparse.Namespace,
) -> Iterator[str]:
    title = "SI-SDR, dB, of a guest's seconds, in noise 20 dB under the guest"
    yield from head(title, "guest under the host", *methods)
    pause = np.zeros(RATE // 2)
    for under in QUIET:
        scores: dict[str, list[float]] = {name: [] for name in methods}
        for index, host in enumerate(sentences):
            rng = default_rng((options.seed, 2, index))
            others = [item for item in sentences if item.speaker != host.speaker]
            guest = others[rng.integers(len(others))].wave
            guest = at_ratio(guest, host.wave * np.sqrt(len(guest) / len(host.wave)), under)
            clean = np.concatenate([host.wave, pause, guest, pause, host.wave])
            noise = noise_of(rng, noises, len(clean))
            noise *= np.sqrt(np.mean(guest**2) / np.mean(noise**2)) / 10
            start = len(host.wave) + len(pause)
            for name, method in methods.items():
                done = np.nan_to_num(method(clean + noise))[start : start + len(guest)]
                scores[name].append(si_sdr(guest, done))
        yield f"| {under} dB | " + " | ".join(map(_mean, scores.values())) + " |"
    yield ""


def _bands(
    model: Denoiser, sentences: list[Sentence], options: argparse.Namespace
) -> Iterator[str]:
    """Eight sentences, each with two seconds of pause; the noise is 20 dB under the speech."""
    falls: dict[str, list[float]] = {f"hiss above {low / 1000:g} kHz": [] for low in HISS}
    falls[f"whine of {WHINE / 1000:g} kHz"] = []
    for index, sentence in enumerate(sentences[:8]):
        rng = default_rng((options.seed, 3, index))
        wave = resample(torch.from_numpy(sentence.wave), RATE, WIDE).numpy()
        wave = np.concatenate([wave, np.zeros(2 * WIDE)])
        white = rng.standard_normal(len(wave))
        noises = [_above(white, low) for low in HISS]
        noises.append(np.sin(2 * np.pi * WHINE / WIDE * np.arange(len(wave))))
        for name, low, noise in zip(falls, (*HISS, WHINE - 2000), noises, strict=True):
            noise *= np.sqrt(np.mean(sentence.wave**2) / np.mean(noise**2)) / 10
            done = _above(model(wave + noise, WIDE), low)
            before, after = (np.mean(part[PAUSE] ** 2) for part in (_above(noise, low), done))
            falls[name].append(float(10 * np.log10(before / (after + 1e-20))))
    yield from head("Fall of the noise in pauses at 48 kHz, dB", *falls)
    yield "| " + " | ".join(map(_mean, falls.values())) + " |"
    yield ""


def _upper(model: Denoiser, options: argparse.Namespace) -> Iterator[str]:
    """Eight recordings of at most six seconds."""
    if options.wide is None:
        return
    paths = [path for path in sorted(options.wide.rglob("*")) if path.suffix in (".wav", ".flac")]
    chosen = default_rng((options.seed, 4)).permutation(len(paths))[:8]
    scores: dict[str, tuple[list[float], list[float]]] = {
        "white noise, 10 dB": ([], []), "none": ([], [])
    }  # fmt: skip
    for index in chosen:
        wave = mono(paths[index], WIDE)[: 6 * WIDE]
        noise = at_ratio(
            default_rng((options.seed, 5, index)).standard_normal(len(wave)), wave, 10.0
        )
        for name, heard in zip(scores, (wave + noise, wave), strict=True):
            for found, part in zip(scores[name], (heard, model(heard, WIDE)), strict=True):
                found.append(si_sdr(_within(wave), _within(part)))
    yield from head("SI-SDR from 8 to 16 kHz, dB", "noise", "before", "after", "gain")
    for name, (before, after) in scores.items():
        gains = [b - a for a, b in zip(before, after, strict=True)]
        known = np.isfinite(gains).all()
        cells = (_mean(before), _mean(after), _mean(gains)) if known else ("", _mean(after), "")
        yield f"| {name} | " + " | ".join(cells) + " |"


def _mean(values: Sequence[float]) -> str:
    found = mean_interval(values)
    return f"{found.mean:.1f} ± {found.half:.1f}"


def _within(wave: Wave) -> Wave:
    """Return what a wave (T,) at 48 kHz holds from 8 to 16 kHz."""
    return sosfiltfilt(butter(8, UPPER, "bandpass", fs=WIDE, output="sos"), wave)


def _above(wave: Wave, low: float) -> Wave:
    """Return what a wave (T,) at 48 kHz holds above `low` Hz."""
    return sosfiltfilt(butter(8, low, "highpass", fs=WIDE, output="sos"), wave)


if __name__ == "__main__":
    main()
