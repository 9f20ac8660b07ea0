"""Our vocoder beside Griffin-Lim on held-out recordings, in one run.

    python benchmarks/audio/vocode.py --speech DIR [--manifest FILE]

Takes recordings of the split "val" (a voice that training knows, saying texts that it does not,
and speakers that it does not know; `Corpus` holds some out where the manifest says nothing), makes
each anew from its own mel spectrogram, and prints PESQ-WB, ESTOI, the multi-resolution STFT
distance and the mean absolute difference of the log-mel spectrograms with 95 % intervals, then CPU
seconds for a second of sound on one thread. Griffin-Lim is librosa's `mel_to_audio`, 32
iterations. With --gaps, one gap a second is cut into the recordings and filled.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.data.corpus import Clip, Corpus
from diff_audio.metrics import RATE, estoi, pesq_wb
from diff_audio.sound.resample import resample
from diff_audio.spectra.mel import Mel
from diff_audio.vocoder import Settings, Vocoder
from diff_audio.vocoder.gap import fill
from diff_core.evaluate import summarise

NAMES = ("PESQ-WB", "ESTOI %", "MR-STFT", "mel-L1")
WINDOWS = (512, 1024, 2048)  # of the multi-resolution distance, moved by a quarter
SHORTEST, LONGEST = 1.5, 5.0  # seconds

Wave = NDArray[np.float32]
Method = Callable[[Wave], Wave]


def main() -> None:
    """Parses the options, makes every recording by every method, prints the tables."""
    options = _options()
    torch.set_num_threads(1)
    vocoder = Vocoder.from_pretrained(options.weights, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        cache = options.cache or Path(folder)
        corpus = Corpus.open(
            options.speech, None, cache, options.manifest, rate=vocoder.mel.sample_rate
        )
        sets = _chosen(corpus, options.items)
        waves = {name: [_read(corpus, vocoder.mel, clip) for clip in sets[name]] for name in sets}
    for name, found in waves.items():
        seconds = sum(map(len, found)) / vocoder.mel.sample_rate
        print(f"{name}: {len(found)} recordings, {seconds:.0f} s")
    methods = _methods(vocoder, options.steps, options.rounds)
    speeds: dict[str, float] = {}
    for name, found in waves.items():
        print(f"\n{name}\n| | {' | '.join(NAMES)} |\n|{'---|' * (len(NAMES) + 1)}")
        for label, method in methods.items():
            began, made = time.process_time(), [method(wave) for wave in found]
            took = time.process_time() - began
            speeds[label] = speeds.get(label, 0.0) + took
            rows = [_scores(vocoder.mel, w, m) for w, m in zip(found, made, strict=True)]
            print(f"| {label} | " + " | ".join(_cells(np.array(rows))) + " |", flush=True)
    seconds = sum(len(wave) for found in waves.values() for wave in found)
    print("\nCPU seconds for a second of sound, one thread")
    for label, took in speeds.items():
        print(f"| {label} | {took / seconds * vocoder.mel.sample_rate:.3f} |")
    for gap in options.gaps:
        print("\n".join(_gaps(vocoder, [w for found in waves.values() for w in found], gap)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Our vocoder beside Griffin-Lim.")
    parser.add_argument("--speech", type=Path, required=True, help="folder of speech")
    parser.add_argument("--manifest", type=Path, help="JSON lines with file, speaker, split")
    parser.add_argument("--items", type=int, default=20, help="recordings of each kind (20)")
    parser.add_argument("--steps", type=int, nargs="*", default=[1, 2, 4, 8], help="passes")
    parser.add_argument("--rounds", type=int, nargs="*", default=[32, 64], help="of one pass")
    parser.add_argument("--gaps", type=float, nargs="*", default=[], help="lengths, ms")
    parser.add_argument("--weights", type=Path, help="another checkpoint than the package's")
    parser.add_argument("--cache", type=Path, help="folder for the decoded recordings")
    return parser.parse_args()


def _chosen(corpus: Corpus, items: int) -> dict[str, list[Clip]]:
    """Held-out clips of speakers that training knows, evenly spaced, and of others, in turn."""
    trained = {clip.speaker for clip in corpus.select("speech", "train")}
    known: list[Clip] = []
    unseen: dict[str, dict[str, list[Clip]]] = {}  # by set and speaker
    for clip in corpus.select("speech", "val"):
        if clip.length <= SHORTEST * corpus.rate:
            continue
        if clip.speaker in trained:
            known.append(clip)
        else:
            unseen.setdefault(clip.group, {}).setdefault(clip.speaker, []).append(clip)
    spread = known[:: max(1, len(known) // items)][:items]
    turns = _in_turn([_in_turn(list(speakers.values())) for speakers in unseen.values()])[:items]
    return {"known voice, unseen texts": spread, "unseen speakers": turns}


def _in_turn(rows: list[list[Clip]]) -> list[Clip]:
    """The first of each row, then the second of each, and so on."""
    return [clip for column in zip_longest(*rows) for clip in column if clip is not None]


def _read(corpus: Corpus, mel: Mel, clip: Clip) -> Wave:
    wave = corpus.read(clip, 0, int(LONGEST * corpus.rate))
    return wave[: len(wave) // mel.hop * mel.hop]


def _methods(vocoder: Vocoder, steps: list[int], rounds: list[int]) -> dict[str, Method]:
    mel = vocoder.mel

    def griffin_lim(wave: Wave) -> Wave:
        made = librosa.feature.inverse.mel_to_audio(
            mel(torch.from_numpy(wave)).exp().numpy(),
            sr=mel.sample_rate,
            n_fft=mel.n_fft,
            hop_length=mel.hop,
            fmin=mel.fmin,
            fmax=mel.fmax,
            power=1.0,
            n_iter=32,
            length=len(wave),
        )
        return made.astype(np.float32)

    def ours(settings: Settings) -> Method:
        return lambda wave: vocoder(mel(torch.from_numpy(wave)), settings)[0].numpy()

    found: dict[str, Method] = {"Griffin-Lim, 32 iterations (librosa)": griffin_lim}
    for count in rounds:
        found[f"ours, 1 pass, {count} rounds"] = ours(Settings(1, count))
    for count in steps:
        if count > 1:
            found[f"ours, {count} passes"] = ours(Settings(count))
    return found


def _scores(mel: Mel, true: Wave, made: Wave) -> tuple[float, ...]:
    reference, estimate = (torch.from_numpy(wave) for wave in (true, made))
    low = [resample(wave, mel.sample_rate, RATE) for wave in (reference, estimate)]
    heard = [wave.numpy() for wave in low]
    return (
        pesq_wb(heard[0], heard[1]),
        100 * estoi(heard[0], heard[1]),
        _resolutions(low[0], low[1]),
        float((mel(reference) - mel(estimate)).abs().mean()),
    )


def _resolutions(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    """Spectral convergence plus mean |ln|X| - ln|Y||, mean over windows, at 16 kHz.

    "Parallel WaveGAN" (Yamamoto, Song and Kim, 2020), equations 4 to 6, with magnitudes kept above
    -100 dB of full scale's.
    """
    total = 0.0
    for size in WINDOWS:
        x, y = (
            torch.stft(w, size, size // 4, window=torch.hann_window(size), return_complex=True)
            .abs()
            .clamp(min=size * 2.5e-6)
            for w in (reference, estimate)
        )
        total += float((x - y).norm() / x.norm() + (x.log() - y.log()).abs().mean())
    return total / len(WINDOWS)


def _gaps(vocoder: Vocoder, waves: list[Wave], milliseconds: float) -> list[str]:
    """A table: one gap a second, silent, in a straight line, and filled."""
    rate = vocoder.mel.sample_rate
    width = round(milliseconds * rate / 1000)
    found: dict[str, list[tuple[float, ...]]] = {}
    for wave in waves:
        starts = range(rate // 2, len(wave) - rate // 2, rate)
        made = {"silence": wave.copy(), "straight line": wave.copy()}
        for start in starts:
            ends = wave[start - 1], wave[start + width]
            made["silence"][start : start + width] = 0
            made["straight line"][start : start + width] = np.linspace(*ends, width)
        for steps in (1, 4):
            filled = torch.from_numpy(made["silence"])[None].double()
            for start in starts:
                filled = fill(vocoder, filled, rate, start, start + width, Settings(steps))
            made[f"filled, {steps} pass{'es' * (steps > 1)}"] = (
                filled[0].numpy().astype(np.float32)
            )
        for label, other in made.items():
            found.setdefault(label, []).append(_scores(vocoder.mel, wave, other))
    head = f"\ngaps of {milliseconds:g} ms, one a second\n| | {' | '.join(NAMES)} |"
    rows = [f"| {label} | " + " | ".join(_cells(np.array(r))) + " |" for label, r in found.items()]
    return [head, f"|{'---|' * (len(NAMES) + 1)}", *rows]


def _cells(rows: NDArray[np.float64]) -> list[str]:
    cells: list[str] = []
    for column in rows.T:
        found = summarise(column.tolist())
        cells.append(f"{found.mean:.3g} ± {found.half:.2g}")
    return cells


if __name__ == "__main__":
    main()
