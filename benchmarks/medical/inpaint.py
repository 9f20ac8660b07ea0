"""Holes filled: the enhancer's prior beside harmonic filling, its own start, in one run.

    python benchmarks/medical/inpaint.py --data DIR [--manifest DIR/manifest.jsonl]
    python benchmarks/medical/inpaint.py --volume scan.nii.gz
    python benchmarks/medical/inpaint.py --brains PREPARED --brain-weights brain/

Protocol: the middle --crop x --crop x --depth voxels of a validation MR scan, divided by the
scan's maximum, are the truth. Holes: every eighth slice along the first axis, every eighth pair of
slices, and 40 cubes of 6 voxels whose places come from --seed; what stands in them is not looked
at. PSNR: data range 1, over the voxels of the holes alone; mean over scans. CPU-s: process time on
one thread, of the whole method.

Brains: people of the validation split of a folder of `diff_medical.train brain-prepare`, white
matter 1, on the grid of the generator. Holes: balls of 12 and of 6 mm across whose centres are
voxels of brain, drawn by --seed. The scan without them is labelled by the model's own mean head;
the generator fills each --draws times, and one draw stands beside their mean, and beside that
mean with a share of harmonic filling. Differences to harmonic filling: mean over people and the
95 % interval of Student's t.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scan_files import scan_options
from super_resolution import Case, cases

Array = NDArray[np.float32]
Hole = NDArray[np.bool_]
EVERY = 8  # slices between lost ones
CUBES, SIDE = 40, 6
ACROSS, BLEND = (12.0, 6.0), 0.7  # mm; of the mean of the draws
PACKAGES = ("diff-medical", "torch", "scipy", "numpy")


def holes(shape: tuple[int, ...], seed: int) -> dict[str, Hole]:
    """Name -> voxels to be filled."""
    one, two, cubes = (np.zeros(shape, bool) for _ in range(3))
    one[EVERY // 2 :: EVERY] = True
    two[EVERY // 2 :: EVERY] = two[EVERY // 2 + 1 :: EVERY] = True
    rng = np.random.default_rng(seed)
    for corner in rng.integers(0, np.maximum(np.array(shape) - SIDE, 1), (CUBES, 3)):
        cubes[tuple(slice(c, c + SIDE) for c in corner)] = True
    return {"one slice in 8": one, "two slices in 8": two, f"{CUBES} cubes of {SIDE}": cubes}


def compare(options: argparse.Namespace) -> None:
    """Prints one table: a row for each kind of hole and method, the mean over the volumes."""
    import torch

    from diff_medical import Enhancer, Settings
    from diff_medical.restore.inpaint import harmonic, inpaint

    torch.set_num_threads(1)
    enhancer = Enhancer.from_pretrained(options.weights, device="cpu")

    def ours(case: Case, hole: Hole) -> Array:
        settings = Settings(modality="mr", noise="gaussian")
        return inpaint(enhancer, case.truth, case.spacing, hole, settings=settings).volume

    methods: dict[str, Callable[[Case, Hole], Array]] = {
        "harmonic": lambda case, hole: harmonic(case.truth, hole, case.spacing),
        "ours": ours,
    }
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    names: list[str] = []
    for case in cases(options):
        names.append(f"{case.name} {' x '.join(map(str, case.truth.shape))}")
        for kind, hole in holes(case.truth.shape, options.seed).items():
            for name, method in methods.items():
                begun = time.process_time()
                made = method(case, hole)
                took = time.process_time() - begun
                error = float(np.mean((made[hole] - case.truth[hole]) ** 2))
                found.setdefault((kind, name), []).append((-10 * np.log10(error), took))
    if not names:
        raise SystemExit("no volumes: give --data or --volume")
    print(f"{'; '.join(names)}\n")
    print("| hole | method | PSNR dB in it, scan by scan | mean | CPU-s |\n|---|---|---|---|---|")
    for (kind, name), rows in found.items():
        each = ", ".join(f"{psnr:.2f}" for psnr, _ in rows)
        psnr, took = np.mean(rows, axis=0)
        print(f"| {kind} | {name} | {each} | {psnr:.2f} | {took:.1f} |")
    print("\n" + ", ".join(f"{p} {version(p)}" for p in PACKAGES))


def balls(labels: NDArray[np.uint8], across: float, count: int, seed: int) -> Hole:
    """Balls of a number of voxels across, that do not touch, with centres in the brain."""
    rng, places = np.random.default_rng(seed), np.argwhere(labels > 0)
    at = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), -1)
    hole, centres = np.zeros(labels.shape, bool), []
    while len(centres) < count:
        centre = places[rng.integers(len(places))]
        if all(np.linalg.norm(centre - other) > 2 * across for other in centres):
            centres.append(centre)
            hole |= ((at - centre) ** 2).sum(-1) <= (across / 2) ** 2
    return hole


def compare_brains(options: argparse.Namespace) -> None:
    """Prints a table for brains: PSNR in the holes of each method, and its gain."""
    import torch

    from diff_core.evaluate import mean_interval
    from diff_medical.brain.filling import Gap, fill
    from diff_medical.brain.model import BrainGenerator
    from diff_medical.brain.people import read_grid, read_people
    from diff_medical.brain.preparation.mean_head import mean_head
    from diff_medical.brain.preparation.tissue import label
    from diff_medical.jobs.fill import guessed
    from diff_medical.restore.inpaint import harmonic

    torch.set_num_threads(1)
    grid = read_grid(options.brains)
    people = read_people(options.brains, grid, "val")
    generator = BrainGenerator.from_pretrained(options.brain_weights, device="cpu")
    atlas = mean_head(generator.stage("lobes")).atlas
    voxel = (grid.voxel,) * 3
    found: dict[tuple[float, str], list[float]] = {}
    for who in range(min(options.people, len(people))):
        truth = people.images[who].float().numpy()
        for across in ACROSS:
            hole = balls(people.labels[who].numpy(), across / grid.voxel, options.balls,
                         options.seed + who)  # fmt: skip
            smooth = harmonic(np.where(hole, 0, truth), hole, voxel)
            labels = label(smooth, atlas)
            begun, gap = time.process_time(), Gap(smooth, labels, hole, guessed(labels, hole))
            draws = [fill(generator, gap, seed)[0] for seed in range(options.draws)]
            took = (time.process_time() - begun) / options.draws
            mean = np.mean(draws, axis=0)
            made = {
                "harmonic": smooth,
                "one draw": draws[0],
                f"mean of {options.draws} draws": mean,
                f"{BLEND} of it, {1 - BLEND:.1f} harmonic": BLEND * mean + (1 - BLEND) * smooth,
            }  # fmt: skip
            for name, image in made.items():
                error = float(np.mean((image[hole] - truth[hole]) ** 2))
                found.setdefault((across, name), []).append(-10 * np.log10(error))
            said = ", ".join(f"{name} {found[across, name][-1]:.2f}" for name in made)
            print(f"# {people.names[who]}, {across:g} mm: {said}; {took:.1f} CPU-s a draw",
                  flush=True)  # fmt: skip
    print("| balls | method | PSNR dB in them, by person | mean | gain over harmonic |")
    print("|---|---|---|---|---|")
    for (across, name), rows in found.items():
        gain = mean_interval([a - b for a, b in zip(rows, found[across, "harmonic"], strict=True)])
        each = ", ".join(f"{psnr:.1f}" for psnr in rows)
        said = f"{gain.mean:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"
        print(f"| {across:g} mm | {name} | {each} | {np.mean(rows):.2f} | {said} |")


def main() -> None:
    """Runs what the options ask for."""
    parser = scan_options(__doc__)
    parser.add_argument("--crop", type=int, default=96, help="voxels kept along X and Y")
    parser.add_argument("--depth", type=int, default=16, help="voxels kept along Z")
    parser.add_argument("--seed", type=int, default=0, help="of the places of the cubes")
    parser.add_argument("--brains", type=Path, help="prepared people")
    parser.add_argument("--brain-weights", type=Path, help="the generator of brains")
    parser.add_argument("--people", type=int, default=8, help="most of them")
    parser.add_argument("--balls", type=int, default=4, help="of each size and person")
    parser.add_argument("--draws", type=int, default=4, help="of each hole")
    options = parser.parse_args()
    (compare_brains if options.brains else compare)(options)


if __name__ == "__main__":
    main()
