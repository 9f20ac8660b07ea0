"""How fast training data is made: sound mixed, and patches cut.

    python benchmarks/loaders.py [--workers 2] [--seconds 20]
    python benchmarks/loaders.py --speech DIR --noise DIR [--manifest FILE] --scans DIR

Without folders the data is made up: six minutes of hums and noise, and four volumes of 160^3. The
files are decoded into the memory-mapped cache first, and the time for that is printed too.
"A core" is a second of processor time in one process; "workers" is a second on the clock, with as
many processes as --workers, so it depends on what else the machine does. Goals on two cores: 20
times real time, 15 patches of 64^3 a second.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers are processes, a thread each

import numpy as np  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

RATE = 16_000


def main() -> None:
    """Parses the options, prints a line for each kind of data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("speech", "noise", "manifest", "scans"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each line, about")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} from elsewhere, {options.workers} workers\n")
    with tempfile.TemporaryDirectory() as folder:
        audio(options, Path(folder))
        medical(options, Path(folder))


def audio(options: argparse.Namespace, folder: Path) -> None:
    """Items of two seconds, as the recipe has them and with all that may be added."""
    from diff_audio.data.corpus import Corpus
    from diff_audio.data.mixer import Mixer
    from diff_audio.data.mixing import Mixing
    from diff_audio.data.rooms import Rooms

    speech, noise = options.speech, options.noise
    if speech is None:
        speech, noise = folder / "speech", folder / "noise"
        make_sounds(speech, noise)
    with timed() as took:
        corpus = Corpus.open(speech, noise, folder / "audio", options.manifest)
    hours = sum(corpus.hours(kind, "train") for kind in ("speech", "noise"))
    print(f"decoded {hours:.2f} h in {took():.1f} s ({3600 * hours / took():.0f} x real time)")
    recipe = Mixing()
    more = replace(
        recipe, noises=3, simulated=0.3, rooms=Rooms(count=20), room=0.0, clip=0.1, codec=0.1
    )
    table("mixed sound, x real time")
    for name, mixing in (("the shipped recipe", recipe), ("with rooms, clipping, codecs", more)):
        measure(name, Mixer(corpus, mixing), 8, mixing.seconds, options)


def medical(options: argparse.Namespace, folder: Path) -> None:
    """Slabs as the recipe has them, cubes, and worse scans."""
    from diff_medical.data.degrade import Degradation
    from diff_medical.data.patches import Patches
    from diff_medical.data.studies import find_scans
    from diff_medical.data.volumes import build_corpus

    scans = options.scans
    if scans is None:
        scans = folder / "scans"
        make_scans(scans)
    rows = find_scans(scans)
    with timed() as took:
        volumes = build_corpus(rows, folder / "medical", warn=lambda line: None)
    voxels = sum(v.array.size for v in volumes) / 1e6
    print(f"\nread {len(rows)} scans, {voxels:.0f} million voxels with copies, in {took():.1f} s")
    cubes = Patches(volumes, slices=64, size=64)
    worse = Degradation("rician", bias=0.5, motion=0.1, blur=0.3)
    table("patches a second")
    measure("slabs of 5 x 80 x 80, the shipped recipe", Patches(volumes), 6, 1.0, options)
    measure("cubes of 64^3", cubes, 2, 1.0, options)
    measure("cubes of 64^3, Rician noise", replace(cubes, degradation=Degradation("rician")), 2,
            1.0, options)  # fmt: skip
    measure("slabs, noise, shading, motion, blur", replace(cubes, slices=5, size=80,
            degradation=worse), 6, 1.0, options)  # fmt: skip


def table(unit: str) -> None:
    """Prints the head of a table."""
    print(f"\n{unit:<44}{'a core':>10}{'workers':>10}")


def measure(
    name: str, samples: Any, batch: int, worth: float, options: argparse.Namespace
) -> None:
    """Prints how much of `samples` is made in a second; an item counts `worth`."""
    samples[0]
    count, begun, clock = 0, time.process_time(), time.monotonic()
    while time.monotonic() - clock < options.seconds / 2:
        count += 1
        samples[count]
    core = worth * count / (time.process_time() - begun)

    loader = DataLoader(samples, batch, sampler=range(10**9), num_workers=options.workers)
    batches = iter(loader)
    for _warm in range(3 * max(1, options.workers)):  # the workers have started, queues are full
        next(batches)
    count, clock = 0, time.monotonic()
    while time.monotonic() - clock < options.seconds / 2:
        count += len(next(batches)["slices" if "slices" in samples[0] else "clean"])
    together = worth * count / (time.monotonic() - clock)
    del batches
    print(f"{name:<44}{core:>10.0f}{together:>10.0f}", flush=True)


@contextmanager
def timed() -> Iterator[Any]:
    """Gives a function that tells the seconds since, until the end of the block."""
    begun = time.monotonic()
    end: list[float] = []
    yield lambda: (end[0] if end else time.monotonic()) - begun
    end.append(time.monotonic())


def make_sounds(speech: Path, noise: Path) -> None:
    """Four speakers and four noises of 45 s, FLAC."""
    import soundfile

    rng = np.random.default_rng(0)
    t = np.arange(45 * RATE) / RATE
    for k in range(4):
        phase = 2 * np.pi * np.cumsum(100 + 30 * k + 30 * np.sin(2 * np.pi * 0.7 * t)) / RATE
        hum = sum(np.sin(n * phase) / n for n in range(1, 20)) * (1 + np.sin(2 * np.pi * 3 * t))
        for folder, wave in ((speech / f"speaker{k}", 0.1 * hum), (noise, None)):
            folder.mkdir(parents=True, exist_ok=True)
            made = 0.1 * rng.standard_normal(len(t)) if wave is None else wave
            soundfile.write(folder / f"{k}.flac", made, RATE)


def make_scans(folder: Path) -> None:
    """Three MR volumes and a CT of 160^3, uncompressed."""
    import nibabel as nib

    folder.mkdir()
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 160)] * 3, indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.8
    for k in range(4):
        tissue = 500 + 200 * np.sin(6 * x + k) * np.cos(5 * y + k) * np.cos(7 * z)
        values = np.where(inside, tissue if k else 40.0, 0.0 if k else -1000.0)
        noisy = values + 8 * rng.standard_normal(values.shape)
        nib.Nifti1Image(noisy.astype(np.int16), np.eye(4)).to_filename(folder / f"{k}.nii")


if __name__ == "__main__":
    main()
