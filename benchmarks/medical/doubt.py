"""How often the truth lies within two standard deviations of the uncertainty at small lesions.

    python benchmarks/medical/doubt.py --volume scan.nii.gz [--volume other.nii.gz]

Balls 2, 3 and 4 voxels wide, brighter or darker by 1, 2 and 3 noise levels, are put into the
brighter half of the middle of a scan, at least 8 voxels apart (discs in one slice, where slices
are thick), before white Gaussian noise of 5 % of the scan's 99.5th percentile is added. The noise
level is given. "contrast": the share of the height of the lesions that is left, by difference from
the same noise without lesions.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scan_files import scan_options, scan_paths
from scipy.ndimage import gaussian_filter

from diff_medical import Enhancer, Settings

Array = NDArray[np.float32]
WIDTHS, HEIGHTS = (2, 3, 4), (1, 2, 3)
MOST = 72
APART = 8


def lesions(truth: Array, thick: bool, rng: np.random.Generator) -> tuple[Array, NDArray[np.int_]]:
    """Return what to add, in noise levels, and for each voxel ten times the width of its lesion
    plus its height, 0 outside.
    """
    added, kind = np.zeros_like(truth), np.zeros(truth.shape, np.int_)
    grid = np.indices(truth.shape).astype(np.float32)
    smooth = gaussian_filter(truth, (1.5, 1.5, 0) if thick else 1.5)
    places = np.argwhere(smooth > np.quantile(smooth, 0.55))
    rng.shuffle(places)
    kinds = [(w, h, s) for w in WIDTHS for h in HEIGHTS for s in (-1, 1)]
    chosen: list[NDArray[np.int_]] = []
    edge = np.array([5, 5, 2])
    for place in places:
        inside = (place >= edge).all() and (place < np.array(truth.shape) - edge - 1).all()
        if not inside or len(chosen) == MOST:
            continue
        if all(np.abs(place - other)[: 2 if thick else 3].max() > APART for other in chosen):
            width, height, sign = kinds[len(chosen) % len(kinds)]
            middle = place + (width - 1) / 2
            away = np.square(grid - middle[:, None, None, None])
            far = np.sqrt(away[0] + away[1] + (0 if thick else away[2]))
            ball = far <= width / 2 + 0.25
            if thick:
                ball &= grid[2] == place[2]
            added[ball], kind[ball] = sign * height, 10 * width + height
            chosen.append(place)
    return added, kind


def main() -> None:
    """Print a row for each scan and width."""
    parser = scan_options(__doc__)
    parser.add_argument("--crop", type=int, nargs=3, default=(56, 56, 44), help="voxels kept")
    options: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    enhancer = Enhancer.from_pretrained(device="cpu")
    print("| scan | voxels | 1, 2, 3 noise levels: within 2 sd | all | contrast left |")
    print("|---|---|---|---|---|")
    for path in scan_paths(options):
        image = nib.load(path)
        values = np.asarray(image.dataobj, np.float32)
        x, y, z = (float(size) for size in nib.affines.voxel_sizes(image.affine))
        middle = tuple(
            slice(max(0, (n - c) // 2), max(0, (n - c) // 2) + c)
            for n, c in zip(values.shape, options.crop, strict=True)
        )
        clean = values[middle]
        sigma = float(0.05 * np.percentile(values, 99.5))
        rng = np.random.default_rng(0)
        added, kind = lesions(clean, z > 2 * min(x, y), rng)
        noise = np.float32(sigma) * rng.standard_normal(clean.shape, dtype=np.float32)
        truth = clean + np.float32(sigma) * added
        settings = Settings(modality="mr", noise="gaussian", sigma=sigma, uncertainty=True)
        found = enhancer(truth + noise, (x, y, z), settings)
        plain = Settings(modality="mr", noise="gaussian", sigma=sigma)
        without = enhancer(clean + noise, (x, y, z), plain).volume
        assert found.uncertainty is not None
        within = np.abs(found.volume - truth) <= 2 * found.uncertainty
        kept = (found.volume - without) / sigma
        for width in WIDTHS:
            shares = [100 * within[kind == 10 * width + height].mean() for height in HEIGHTS]
            left = [
                float((kept * np.sign(added))[kind == 10 * width + height].mean()) / height
                for height in HEIGHTS
            ]
            whole = 100 * within[kind // 10 == width].mean()
            print(
                f"| {path.name} | {width} | {', '.join(f'{s:.0f}' for s in shares)} % | "
                f"{whole:.0f} % | {', '.join(f'{share:.2f}' for share in left)} |", flush=True,
            )  # fmt: skip
        rest = (kind == 0) & (found.uncertainty > 0)
        print(f"| {path.name} | elsewhere | | {100 * within[rest].mean():.1f} % | |", flush=True)


if __name__ == "__main__":
    main()
