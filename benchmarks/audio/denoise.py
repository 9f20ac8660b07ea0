"""Our denoiser beside others on held-out speakers and noises, in one run.

    python benchmarks/audio/denoise.py --speech DIR --noise DIR [--manifest FILE]

Builds mixtures of five seconds at 16 kHz: every speech item three times, with recorded noise,
white noise and the babble of six other speakers, at each --snr over the item. Prints SI-SDR,
ESTOI, PESQ, LSD and, on recorded noise, DNSMOS (see diff_audio.metrics) of each method with 95 %
intervals, then by kind of noise, or one table of means for several --snr; then CPU seconds for a
second of sound, and with --memory the peak for a long file. Every output is first moved by the
whole number of samples within 150 ms that fits best. A score or a peer whose library is missing is
named and left out.

--ours leaves the peers out. --levels prints how the scores depend on the level of the input,
--stereo how far linked and separate channels move a sound. --samples FOLDER writes sounds and
pictures, before and after, for the documentation.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from denoise_peers import Method, peers
from mixtures import KINDS, SECONDS, Mixture, build
from numpy.typing import NDArray

from diff_audio import metrics
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import QUALITIES, Settings

RATE = metrics.RATE
WANTED = ("si_sdr", "estoi", "pesq", "lsd", "dnsmos")
NAMES = tuple(name for name in WANTED if name in metrics.available())
Scores = dict[str, list[dict[str, float]]]  # of every mixture, by method
HEADS = {
    "si_sdr": "SI-SDR, dB",
    "estoi": "ESTOI, %",
    "pesq": "PESQ",
    "lsd": "LSD",
    "dnsmos": "DNSMOS, recorded noise",
}

Wave = NDArray[np.float64]


def main() -> None:
    """Parses the options, builds the sets, prints the tables."""
    options = _options()
    torch.set_num_threads(options.threads)
    if options.samples:
        from denoise_samples import write_samples

        return write_samples(options.samples, options)
    if options.levels or options.stereo:
        import denoise_checks

        model = Denoiser.from_pretrained(options.weights, device="cpu")
        check = denoise_checks.levels if options.levels else denoise_checks.stereo
        print("\n".join(check(model, list(build(options, options.snr[0])))))
        return None
    if missing := set(WANTED) - set(NAMES):
        print(f"left out, for want of a library: {', '.join(sorted(missing))}\n")
    found = methods(options)
    lines = [",".join(("method", "snr", "item", "kind", *NAMES))]
    mixtures: list[Mixture] = []
    by_snr: dict[float, Scores] = {}
    for snr in options.snr:
        mixtures = list(build(options, snr))
        scores = {name: [_score(method, m) for m in mixtures] for name, method in found.items()}
        lines += _rows(snr, scores, mixtures)
        by_snr[snr] = scores
    levels = ", ".join(f"{snr:g}" for snr in options.snr)
    print(f"{len(mixtures)} mixtures of {SECONDS} s at {levels} dB, seed {options.seed}\n")
    if len(by_snr) > 1:
        print("\n".join(_by_snr(by_snr)), end="\n\n")
    else:
        scores = by_snr[options.snr[0]]
        print("\n".join(_table(scores)), end="\n\n")
        print("\n".join(_by_kind(scores, mixtures)), end="\n\n", flush=True)
    if not options.no_speed:
        print("\n".join(_speed(found, mixtures)))
    if options.csv:
        options.csv.write_text("\n".join(lines) + "\n")
    if options.memory:
        print("\n" + _memory(options.memory, options.weights))
    return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True, help="folder of clean speech")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise")
    parser.add_argument("--manifest", type=Path, help="JSON lines with file, speaker, split")
    parser.add_argument("--split", default="val", help="split of the manifest (val)")
    parser.add_argument("--items", type=int, default=16, help="speech items; three mixtures each")
    parser.add_argument(
        "--snr", type=float, nargs="+", default=[5.0], help="signal-to-noise ratios, dB"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="another checkpoint than the package's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path, help="write every score here")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    parser.add_argument("--no-speed", action="store_true", help="leave the CPU seconds out")
    parser.add_argument("--levels", action="store_true", help="input from 0 to -50 dB instead")
    parser.add_argument("--stereo", action="store_true", help="linked channels instead")
    parser.add_argument("--samples", type=Path, metavar="FOLDER", help="write sounds instead")
    parser.add_argument("--memory", type=float, metavar="MINUTES", help="peak memory of this long")
    return parser.parse_args()


def methods(options: argparse.Namespace) -> dict[str, Method]:
    """Every method by the name under which it is printed, with its version."""
    model = Denoiser.from_pretrained(options.weights, device="cpu")

    def ours(settings: Settings) -> Method:
        return lambda wave: model(wave, RATE, settings)

    found: dict[str, Method] = {"noisy": lambda wave: wave}
    for quality in QUALITIES:
        settings = Settings.of(quality)
        name = f"diff_audio, {quality} ({settings.calls} call{'s' * (settings.calls > 1)})"
        found[f"**{name}**" if quality == "default" else name] = ours(settings)
    found["diff_audio, 4 passes"] = ours(Settings(steps=4))
    return found if options.ours else found | dict(peers())


def _score(method: Method, mixture: Mixture) -> dict[str, float]:
    estimate = np.nan_to_num(np.asarray(method(mixture.noisy), np.float64))  # noisereduce: NaN
    moved, _ = metrics.align(mixture.clean, estimate)
    names = [name for name in NAMES if name != "dnsmos" or mixture.kind == "recorded"]
    return metrics.worst_of_silence(
        mixture.clean, moved, metrics.score(mixture.clean, moved, names)
    )


def _table(scores: Scores) -> Iterator[str]:
    yield "| method | n | " + " | ".join(HEADS[name] for name in NAMES) + " |"
    yield "|---|---|" + "---|" * len(NAMES)
    for method, rows in scores.items():
        cells: list[str] = []
        for name in NAMES:
            found = metrics.mean_score(name, [row[name] for row in rows if name in row])
            cells.append(_cell(name, found.mean) + " ± " + _cell(name, found.half))
        yield f"| {method} | {len(rows)} | " + " | ".join(cells) + " |"


def _by_kind(scores: Scores, mixtures: list[Mixture]) -> Iterator[str]:
    names = [name for name in NAMES if name != "dnsmos"]
    heads = " / ".join(HEADS[name].split(",")[0] for name in names)
    yield f"| {heads} | " + " | ".join(KINDS) + " |"
    yield "|---|" + "---|" * len(KINDS)
    for method, rows in scores.items():
        cells: list[str] = []
        for kind in KINDS:
            chosen = [row for row, m in zip(rows, mixtures, strict=True) if m.kind == kind]
            means = (metrics.mean_score(n, [row[n] for row in chosen]).mean for n in names)
            cells.append(" / ".join(_cell(n, m) for n, m in zip(names, means, strict=True)))
        yield f"| {method} | " + " | ".join(cells) + " |"


def _by_snr(by_snr: dict[float, Scores]) -> Iterator[str]:
    names = [name for name in NAMES if name != "lsd"]
    heads = " / ".join(HEADS[name].split(",")[0] for name in names)
    yield f"| {heads} | " + " | ".join(f"{snr:g} dB" for snr in by_snr) + " |"
    yield "|---|" + "---|" * len(by_snr)
    for method in next(iter(by_snr.values())):
        cells: list[str] = []
        for scores in by_snr.values():
            rows = scores[method]
            means = (metrics.mean_score(n, [r[n] for r in rows if n in r]).mean for n in names)
            cells.append(" / ".join(_cell(n, m) for n, m in zip(names, means, strict=True)))
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
    base = next((cost for name, cost in costs.items() if name.startswith("noisereduce")), np.nan)
    yield f"| CPU, {torch.get_num_threads()} thread | CPU s per s of sound | noisereduce = 1 |"
    yield "|---|---|---|"
    for name, cost in costs.items():
        if name != "noisy":
            yield f"| {name} | {cost:.4f} | {cost / base:.2f} |"


def _rows(snr: float, scores: Scores, mixtures: list[Mixture]) -> Iterator[str]:
    for method, rows in scores.items():
        for index, (row, mixture) in enumerate(zip(rows, mixtures, strict=True)):
            values = ",".join(f"{row[name]:.6g}" if name in row else "" for name in NAMES)
            yield f'"{method}",{snr:g},{index},{mixture.kind},{values}'


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
