"""Our denoiser beside others on held-out speakers and noises, in one run.

    python benchmarks/denoise.py --speech DIR --noise DIR [--manifest FILE]

Builds mixtures of five seconds at 16 kHz: every speech item three times, with recorded noise,
white noise and the babble of six other speakers, at one signal-to-noise ratio over the item.
Prints SI-SDR, ESTOI, PESQ and LSD (see diff_audio.metrics) of each method with 95 % intervals,
then by kind of noise, then CPU seconds for a second of sound, and with --memory the peak for a
long file. Every output is first moved by the whole number of samples within 150 ms that fits best.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio import metrics
from diff_audio.enhancer import Denoiser, Settings
from diff_audio.files import SUFFIXES, read
from diff_audio.level import normalise
from diff_audio.resample import resample

RATE = metrics.RATE
SECONDS, VOICES = 5, 6
KINDS = ("recorded", "white", "babble")
NAMES = ("si_sdr", "estoi", "pesq", "lsd")

Wave = NDArray[np.float64]
Method = Callable[[Wave], Wave]


@dataclass(frozen=True)
class Mixture:
    """Clean and noisy (T,) at 16 kHz, and the kind of noise."""

    kind: str
    clean: Wave
    noisy: Wave


def main() -> None:
    """Parses the options, builds the set, prints the tables."""
    options = _options()
    torch.set_num_threads(options.threads)
    mixtures = list(build(options))
    print(f"{len(mixtures)} mixtures of {SECONDS} s at {options.snr:g} dB, seed {options.seed}\n")
    found = methods(options)
    scores = {name: [_score(method, m) for m in mixtures] for name, method in found.items()}
    print("\n".join(_table(scores)), end="\n\n")
    print("\n".join(_by_kind(scores, mixtures)), end="\n\n")
    print("\n".join(_speed(found, mixtures)))
    if options.csv:
        _write(options.csv, scores, mixtures)
    if options.memory:
        print("\n" + _memory(options.memory, options.weights))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True, help="folder of clean speech")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise")
    parser.add_argument("--manifest", type=Path, help="JSON lines with file, speaker, split")
    parser.add_argument("--split", default="val", help="split of the manifest (val)")
    parser.add_argument("--items", type=int, default=16, help="speech items; three mixtures each")
    parser.add_argument("--snr", type=float, default=5.0, help="signal-to-noise ratio, dB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="another checkpoint than the package's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path, help="write every score here")
    parser.add_argument(
        "--memory", type=float, metavar="MINUTES", help="peak memory of this long"
    )
    return parser.parse_args()


def build(options: argparse.Namespace) -> Iterator[Mixture]:
    """The test set, a function of the files and the seed; speakers and sets take turns."""
    rng = np.random.default_rng(options.seed)
    speakers = _speakers(options.speech, options)
    noises = [path for paths in _speakers(options.noise, options).values() for path in paths]
    names = _in_turn(sorted(speakers))
    if len(names) <= VOICES:
        raise SystemExit(
            f"{options.speech}: babble needs over {VOICES} speakers, got {len(names)}"
        )
    for item in range(options.items):
        speaker = names[item % len(names)]
        clean = _crop(rng, speakers[speaker])
        others = rng.choice([name for name in names if name != speaker], VOICES, replace=False)
        noise = {
            "recorded": _crop(rng, noises),
            "white": rng.standard_normal(len(clean)),
            "babble": sum(_level(_crop(rng, speakers[name])) for name in others),
        }
        for kind in KINDS:
            ratio = np.linalg.norm(clean) / np.linalg.norm(noise[kind])
            yield Mixture(kind, clean, clean + noise[kind] * ratio * 10 ** (-options.snr / 20))


def _speakers(folder: Path, options: argparse.Namespace) -> dict[str, list[Path]]:
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


def _crop(rng: np.random.Generator, paths: list[Path]) -> Wave:
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


def methods(options: argparse.Namespace) -> dict[str, Method]:
    """Every method by the name under which it is printed, with its version."""
    import noisereduce
    import scipy.signal

    model = Denoiser.from_pretrained(options.weights, device="cpu")
    reduce = partial(noisereduce.reduce_noise, sr=RATE)
    peer = f"noisereduce {version('noisereduce')}"
    return {
        "noisy": lambda wave: wave,
        "**diff_audio, 1 pass**": lambda wave: model(wave, RATE),
        "diff_audio, 4 passes": lambda wave: model(wave, RATE, Settings(steps=4)),
        f"{peer}, non-stationary": lambda wave: reduce(y=wave),
        f"{peer}, stationary": lambda wave: reduce(y=wave, stationary=True),
        f"speexdsp-ns {version('speexdsp-ns')}": _speex,
        f"scipy {version('scipy')} wiener(29)": lambda wave: scipy.signal.wiener(wave, 29),
        f"scipy {version('scipy')} wiener(default)": scipy.signal.wiener,
    }


def _speex(wave: Wave) -> Wave:
    from speexdsp_ns import NoiseSuppression

    frame = 160  # 10 ms
    suppressor = NoiseSuppression.create(frame, RATE)
    padded = np.pad(wave, (0, -len(wave) % frame))
    whole = (np.clip(padded, -1, 1) * 32767).astype(np.int16).reshape(-1, frame)
    done = b"".join(suppressor.process(row.tobytes()) for row in whole)
    return np.frombuffer(done, np.int16)[: len(wave)] / 32767.0


def _score(method: Method, mixture: Mixture) -> dict[str, float]:
    estimate = np.nan_to_num(np.asarray(method(mixture.noisy), np.float64))  # noisereduce: NaN
    moved, _ = metrics.align(mixture.clean, estimate)
    return metrics.score(mixture.clean, moved, NAMES)


def _table(scores: dict[str, list[dict[str, float]]]) -> Iterator[str]:
    yield "| method | n | SI-SDR, dB | ESTOI, % | PESQ | LSD |"
    yield "|---|---|---|---|---|---|"
    for method, rows in scores.items():
        cells: list[str] = []
        for name in NAMES:
            mean, half, _ = metrics.mean_interval([row[name] for row in rows])
            cells.append(_cell(name, mean) + " ± " + _cell(name, half))
        yield f"| {method} | {len(rows)} | " + " | ".join(cells) + " |"


def _by_kind(scores: dict[str, list[dict[str, float]]], mixtures: list[Mixture]) -> Iterator[str]:
    yield "| SI-SDR / ESTOI / PESQ / LSD | " + " | ".join(KINDS) + " |"
    yield "|---|" + "---|" * len(KINDS)
    for method, rows in scores.items():
        cells: list[str] = []
        for kind in KINDS:
            chosen = [row for row, m in zip(rows, mixtures, strict=True) if m.kind == kind]
            means = (metrics.mean_interval([row[name] for row in chosen])[0] for name in NAMES)
            cells.append(" / ".join(_cell(n, m) for n, m in zip(NAMES, means, strict=True)))
        yield f"| {method} | " + " | ".join(cells) + " |"


def _cell(name: str, value: float) -> str:
    return f"{100 * value:.1f}" if name == "estoi" else f"{value:.2f}"


def _speed(found: dict[str, Method], mixtures: list[Mixture]) -> Iterator[str]:
    """CPU seconds of this process for a second of sound, the best of three on half a minute."""
    wave = np.concatenate([mixture.noisy for mixture in mixtures])[: 30 * RATE]
    costs: dict[str, float] = {}
    for name, method in found.items():
        runs: list[float] = []
        for _ in range(3):
            start = time.process_time()
            method(wave)
            runs.append(time.process_time() - start)
        costs[name] = min(runs) * RATE / len(wave)
    base = next(cost for name, cost in costs.items() if name.startswith("noisereduce"))
    yield f"| CPU, {torch.get_num_threads()} thread | CPU s per s of sound | noisereduce = 1 |"
    yield "|---|---|---|"
    for name, cost in costs.items():
        if name != "noisy":
            yield f"| {name} | {cost:.4f} | {cost / base:.2f} |"


def _write(path: Path, scores: dict[str, list[dict[str, float]]], mixtures: list[Mixture]) -> None:
    lines = [",".join(("method", "item", "kind", *NAMES))]
    for method, rows in scores.items():
        for index, (row, mixture) in enumerate(zip(rows, mixtures, strict=True)):
            values = ",".join(f"{row[name]:.6g}" for name in NAMES)
            lines.append(f'"{method}",{index},{mixture.kind},{values}')
    path.write_text("\n".join(lines) + "\n")


# Linux counts the starting process into ru_maxrss, but not into VmHWM.
PEAK = """
import pathlib, resource, sys, time
from diff_audio.denoise import main
start = time.process_time()
code = main(sys.argv[1:])
status = pathlib.Path("/proc/self/status")
if status.exists():
    peak = int(status.read_text().split("VmHWM:")[1].split()[0])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(peak, time.process_time() - start)
sys.exit(code)
"""


def _memory(minutes: float, weights: Path | None) -> str:
    """Peak memory and CPU time of the command on a 48 kHz stereo file of this length."""
    import soundfile

    minute = np.random.default_rng(0).normal(0, 3000, (60 * 48_000, 2)).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as file:
            for _ in range(round(minutes)):
                file.write(minute)
        command = [sys.executable, "-c", PEAK, str(path), "--quiet", "--device", "cpu"]
        command += [] if weights is None else ["--weights", str(weights)]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return (
        f"{round(minutes)} minutes of 48 kHz stereo: peak memory {int(out[0]) / 2**20:.2f} GiB, "
        f"{float(out[1]) / (60 * round(minutes)):.3f} CPU s per s"
    )


if __name__ == "__main__":
    main()
