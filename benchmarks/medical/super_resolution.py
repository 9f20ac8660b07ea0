"""Thick slices made thin again: the enhancer beside interpolation, in one run.

    python benchmarks/medical/super_resolution.py --data DIR [--manifest DIR/manifest.jsonl]
    python benchmarks/medical/super_resolution.py --volume scan.nii.gz --factor 2 --factor 4

Protocol: the middle --crop x --crop x --depth voxels of a scan, divided by the scan's maximum, are
the truth; thick slices are made of it by `diff_medical.restore.upsample.slice_profile` along one
axis (--axis, by default the first, which no scan of the validation set has thick), without noise
beside the scan's own; every method gets the thick slices alone. PSNR: data range 1, all voxels.
SSIM: scikit-image, 3-D, Gaussian window of sd 1.5, data range 1. misfit: |A x - y| / (sigma
sqrt(n)), with the sigma that the enhancer estimates. CPU-s: process time on one thread.

The profile that made the slices is the one that is inverted (--profile of both), which flatters:
with another one, --assume, it is seen what a wrong guess costs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scan_files import scan_options, scan_paths

Array = NDArray[np.float32]
PACKAGES = ("diff-medical", "torch", "scikit-image", "scipy", "numpy")
LOBES = 3  # of the Lanczos kernel


@dataclass(frozen=True)
class Case:
    """A true volume (X, Y, Z), the maximum of its file 1, and its voxel size, mm."""

    name: str
    truth: Array
    spacing: tuple[float, float, float]


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """The validation MR scans of the manifest, or the given volumes."""
    for path in scan_paths(options):
        image = nib.load(path)
        values = np.asarray(image.dataobj, dtype=np.float32)
        values /= values.max()
        edges = (options.crop, options.crop, options.depth)
        starts = [max(0, (n - edge) // 2) for n, edge in zip(values.shape, edges, strict=True)]
        part = values[tuple(slice(s, s + e) for s, e in zip(starts, edges, strict=True))]
        sizes = nib.affines.voxel_sizes(image.affine)
        yield Case(path.name, part, (float(sizes[0]), float(sizes[1]), float(sizes[2])))


def spline(thick: Array, axis: int, count: int) -> Array:
    """scipy's cubic spline interpolation, thick slices at their centres."""
    from scipy.ndimage import map_coordinates

    slices = thick.shape[axis]
    places = (np.arange(count) + 0.5) * slices / count - 0.5
    grids = [np.arange(n, dtype=float) for n in thick.shape]
    grids[axis] = places
    where = np.meshgrid(*grids, indexing="ij")
    return map_coordinates(thick, where, order=3, mode="nearest")


def lanczos(thick: Array, axis: int, count: int) -> Array:
    """Lanczos' windowed sinc, LOBES to either side, weights of sum 1, end slices repeated."""
    slices = thick.shape[axis]
    places = (np.arange(count) + 0.5) * slices / count - 0.5
    weights = np.zeros((count, slices))
    for row, place in enumerate(places):
        near = np.arange(int(np.floor(place)) - LOBES + 1, int(np.floor(place)) + LOBES + 1)
        bell = np.sinc(place - near) * np.sinc((place - near) / LOBES)
        np.add.at(weights[row], near.clip(0, slices - 1), bell / bell.sum())
    return np.moveaxis(np.tensordot(weights, np.moveaxis(thick, axis, 0), 1), 0, axis)


def score(truth: Array, made: Array) -> tuple[float, float]:
    """PSNR in dB and SSIM."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    ssim = structural_similarity(
        truth, made, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(peak_signal_noise_ratio(truth, made, data_range=1.0)), float(ssim)


def compare(options: argparse.Namespace) -> None:
    """Prints one table a factor: a row for each method, the mean over the volumes."""
    import torch

    from diff_medical import Enhancer
    from diff_medical.enhancer.settings import Settings
    from diff_medical.restore.upsample import Along, finer_spacing, slice_profile, upsample

    torch.set_num_threads(1)
    enhancer = Enhancer.from_pretrained(options.weights, device="cpu")
    axis, assumed = options.axis, options.assume or options.profile

    def thicken(volume: Array, slices: int, profile: str) -> Array:
        matrix = slice_profile(volume.shape[axis], slices, profile)
        return Along(matrix, axis)(torch.from_numpy(volume)).numpy()

    for factor in options.factor or (2, 4):
        found: dict[str, list[tuple[float, ...]]] = {}
        names: list[str] = []
        for case in cases(options):
            slices = case.truth.shape[axis] // factor
            count = slices * factor
            truth = case.truth.take(range(count), axis)
            names.append(f"{case.name} {' x '.join(map(str, truth.shape))}")
            thick = thicken(truth, slices, options.profile)
            spacing = finer_spacing(case.spacing, axis, factor)
            noise = enhancer.noise_of(thick, spacing, Settings(modality="mr", noise="gaussian"))
            methods: dict[str, Callable[[Array, int, int], Array]] = {
                "scipy cubic spline": spline,
                "Lanczos, 3 lobes": lanczos,
                "ours": lambda y, axis, count, at=spacing, noise=noise: (
                    (
                        upsample(enhancer, y, at, count, axis=axis, profile=assumed, noise=noise)
                    ).volume
                ),
            }
            for name, method in methods.items():
                begun = time.process_time()
                made = method(thick, axis, count).astype(np.float32)
                took = time.process_time() - begun
                psnr, ssim = score(truth, made)
                rest = thicken(made, slices, assumed) - thick
                misfit = float(np.sqrt(np.mean(rest**2))) / noise.sigma
                found.setdefault(name, []).append((psnr, ssim, misfit, took * 1e6 / truth.size))
                print(
                    f"{case.name} {factor}x {name}: {psnr:.2f} {ssim:.4f} {misfit:.2f}",
                    file=sys.stderr,
                )
        if not names:
            raise SystemExit("no volumes: give --data or --volume")
        print(f"{factor} x, {options.profile} slices taken for {assumed}: {'; '.join(names)}\n")
        print("| method | PSNR dB | SSIM | misfit | CPU-s / Mvoxel |\n|---|---|---|---|---|")
        for name, rows in found.items():
            psnr, ssim, misfit, took = np.mean(rows, axis=0)
            print(f"| {name} | {psnr:.2f} | {ssim:.4f} | {misfit:.2f} | {took:.2f} |")
        print(flush=True)
    print(", ".join(f"{p} {version(p)}" for p in PACKAGES))


def main() -> None:
    """Runs what the options ask for."""
    parser = scan_options(__doc__)
    parser.add_argument("--factor", type=int, action="append", help="default: 2 and 4")
    parser.add_argument("--axis", type=int, choices=(0, 1, 2), default=0, help="made thick")
    parser.add_argument("--crop", type=int, default=128, help="voxels kept along X and Y")
    parser.add_argument("--depth", type=int, default=12, help="voxels kept along Z")
    parser.add_argument("--profile", choices=("gaussian", "box"), default="gaussian")
    parser.add_argument("--assume", choices=("gaussian", "box"), help="default: the true one")
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
