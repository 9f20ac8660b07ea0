"""What the recordings of a corpus are like: length, band, and DNSMOS of speech.

    pip install numpy scipy soundfile onnxruntime speechmos
    python measure.py OUT/manifest.jsonl -o OUT/measures.jsonl [--score] [--only SET ...]
        [--speakers 3] [--minutes 25]

A line a file: `file`, `seconds`, `rate`, `edge_hz`, `high_db`, `full_band`; with --score of
speech also `sig`, `bak`, `ovrl` (DNSMOS P.835, C. Reddy et al., 2022), of the loudest 9 s. Lines
are added as files are measured, so a run that was stopped goes on; a file with a line is not
measured again unless it lacks a score that is asked for. Files come in an order that hears every
speaker of every set before a second file of one; --speakers bounds the files scored of a speaker
of a set of several.

edge_hz:   the upper edge of the highest band of 500 Hz whose level, while it is loud, is within
           70 dB of the loudest band's
high_db:   level above 9 kHz over level of all, while it is loud; -200 where there is none
full_band: a rate of 32 kHz or more, an edge at 14 kHz or above, more than -60 dB above 9 kHz
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly, stft

Row = dict[str, Any]
Wave = NDArray[np.float64]

FRAME = 0.03  # s
BAND = 500  # Hz
DEEP = 70  # dB below the loudest band: what codecs and resamplers leave is below
HIGH, LOUD = 9_000, 0.5  # Hz; the share of frames, by energy, that count as loud
RATE, SCORED = 16_000, 144_160  # of DNSMOS: Hz, samples


def band(wave: Wave, rate: int) -> dict[str, float | bool]:
    """Return `edge_hz`, `high_db` and `full_band` of a wave (T,), by its louder half of frames.

    Silence has an edge of 0.
    """
    length = int(FRAME * rate)
    if len(wave) < 2 * length or not np.abs(wave).max() > 0:
        return {"edge_hz": 0, "high_db": -200.0, "full_band": False}
    frequencies, _, spectrum = stft(wave, rate, "hann", length, boundary=None, padded=False)
    power = np.abs(spectrum) ** 2  # (F, T)
    energy = power.sum(0)
    loud = power[:, energy >= np.quantile(energy, LOUD)].mean(1)
    edges = np.arange(0, rate / 2 + BAND, BAND)
    place = np.digitize(frequencies, edges) - 1
    levels = np.array(
        [loud[place == n].mean() if (place == n).any() else 0 for n in range(len(edges))]
    )
    over = np.nonzero(levels > levels.max() * 10 ** (-DEEP / 10))[0]
    edge = float(min(edges[over[-1]] + BAND, rate / 2))
    share = loud[frequencies > HIGH].sum() / loud.sum()
    high = float(max(10 * np.log10(share + 1e-20), -200))
    full = rate >= 32_000 and edge >= 14_000 and high > -60
    return {"edge_hz": round(edge), "high_db": round(high, 1), "full_band": bool(full)}


def loudest(wave: Wave, length: int) -> Wave:
    """Return the `length` samples of a wave with the most energy; a shorter wave is repeated."""
    if len(wave) < length:
        return np.resize(wave, length)
    total = np.concatenate([[0.0], np.cumsum(wave**2)])
    starts = np.arange(0, len(wave) - length + 1, max(length // 100, 1))
    start = starts[np.argmax(total[starts + length] - total[starts])]
    return wave[start : start + length]


class Dnsmos:
    """The network of speechmos for P.835, on one thread."""

    def __init__(self) -> None:
        import onnxruntime
        from speechmos import dnsmos

        folder = Path(dnsmos.__file__).with_name("dnsmos_models")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        network = str(folder / "sig_bak_ovr.onnx")
        self._run = onnxruntime.InferenceSession(
            network, options, providers=["CPUExecutionProvider"]
        ).run
        self._fit = dnsmos.DNSMOS.get_polyfit_val

    def __call__(self, wave: Wave, rate: int) -> dict[str, float]:
        """Return `sig`, `bak`, `ovrl` of a wave (T,)."""
        divisor = int(np.gcd(rate, RATE))
        at_16k = resample_poly(wave, RATE // divisor, rate // divisor)
        part = np.clip(loudest(at_16k, SCORED), -1, 1)
        raw = self._run(None, {"input_1": part[None].astype(np.float32)})[0][0]
        fitted = self._fit(None, *raw, is_personalized_MOS=False)
        return {k: round(float(v), 3) for k, v in zip(("sig", "bak", "ovrl"), fitted, strict=True)}


def in_turn(rows: Sequence[Row], per_speaker: int) -> Iterator[tuple[Row, bool]]:
    """Yield (row, whether to score it), every speaker's first file before any second one.

    Which is first is a matter of the file's name alone. per_speaker: files scored of each speaker,
    in sets that have several
    """
    speakers: dict[str, set[str]] = defaultdict(set)
    queues: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).digest()):
        speakers[row["set"]].add(row["speaker"])
        queues[row["set"], row["speaker"]].append(row)
    for turn in range(max(map(len, queues.values()), default=0)):
        for (set_, _), queue in sorted(queues.items()):
            if turn < len(queue):
                row = queue[turn]
                scored = turn < per_speaker or len(speakers[set_]) == 1
                yield row, scored and row["kind"] == "speech"


def read(path: Path) -> tuple[Wave, int]:
    """Return the sound of a file as (T,), its channels averaged, and its rate."""
    wave, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return wave.mean(1), rate


def measure(
    rows: Sequence[Row], root: Path, out: Path, *, score: bool, per_speaker: int, seconds: float
) -> None:
    """Measure files until all are or `seconds` of CPU are spent. A file that is bad is named."""
    done = {}
    if out.exists():
        for line in out.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            done[row["file"]] = row
    network = Dnsmos() if score else None
    begun, count = time.process_time(), 0
    with out.open("a", encoding="utf-8") as lines:
        for row, scored in in_turn(rows, per_speaker):
            found = done.get(row["file"])
            needs_score = network is not None and scored and "bak" not in (found or {})
            if found is not None and not needs_score:
                continue
            if time.process_time() - begun > seconds:
                break
            try:
                wave, rate = read(root / row["file"])
            except (OSError, RuntimeError) as error:
                print(f"{row['file']}: {error}", flush=True)
                continue
            length = {"seconds": round(len(wave) / rate, 3), "rate": rate}
            made = found or {"file": row["file"], **length, **band(wave, rate)}
            if needs_score and network is not None and len(wave):
                made = made | network(wave, rate)
            lines.write(json.dumps(made) + "\n")
            lines.flush()
            count += 1
    print(f"{out}: {count} files measured in {time.process_time() - begun:.0f} CPU s")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="the list to write, .jsonl")
    parser.add_argument("--score", action="store_true", help="DNSMOS of speech too")
    parser.add_argument("--only", nargs="*", help="sets (default: all)")
    parser.add_argument("--speakers", type=int, default=3, help="files scored of each speaker")
    parser.add_argument("--minutes", type=float, default=1e9, help="of CPU time, at most")
    options = parser.parse_args()
    lines = options.manifest.read_text(encoding="utf-8").splitlines()
    rows = [
        row for row in map(json.loads, lines) if not options.only or row["set"] in options.only
    ]
    measure(rows, options.manifest.parent, options.out, score=options.score,
            per_speaker=options.speakers, seconds=60 * options.minutes)  # fmt: skip


if __name__ == "__main__":
    main()
