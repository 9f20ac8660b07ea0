"""Holes filled: the enhancer's prior beside harmonic filling, its own start, in one run.

    python benchmarks/medical/inpaint.py --data DIR [--manifest DIR/manifest.jsonl]
    python benchmarks/medical/inpaint.py --volume scan.nii.gz

Protocol: the middle --crop x --crop x --depth voxels of a validation MR scan, divided by the
scan's maximum, are the truth. Holes: every eighth slice along the first axis, every eighth pair of
slices, and 40 cubes of 6 voxels whose places come from --seed; what stands in them is not looked
at. PSNR: data range 1, over the voxels of the holes alone; mean over scans. CPU-s: process time on
one thread, of the whole method.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scan_files import scan_options
from super_resolution import Case, cases

Array = NDArray[np.float32]
Hole = NDArray[np.bool_]
EVERY = 8  # slices between lost ones
CUBES, SIDE = 40, 6
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


def main() -> None:
    """Runs what the options ask for."""
    parser = scan_options(__doc__)
    parser.add_argument("--crop", type=int, default=96, help="voxels kept along X and Y")
    parser.add_argument("--depth", type=int, default=16, help="voxels kept along Z")
    parser.add_argument("--seed", type=int, default=0, help="of the places of the cubes")
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
