"""Series (4-D) with a known truth: the enhancer beside MP-PCA and Patch2Self, in one run.

    python benchmarks/medical/series.py [--only "diffusion, SNR 8"] [--short]

The phantoms are those of series_phantoms.py: diffusion at an SNR of 20 and 8, a task, and
perfusion by labels. The enhancer runs through the command's own function, from file to file, and
measures the noise itself; MP-PCA (dipy, patches of 5 x 5 x 5) and Patch2Self (dipy, ordinary least
squares) measure what they need, too. rmse: over the voxels of the head and all volumes, in units
of the noise. All other numbers are percent of the truth, but "error": percent of the noise or of
the mean, see series_phantoms.py. CPU-s: process time on one thread.

--short takes 3 volumes of b = 0 and 6 of b = 1000 only.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from series_phantoms import Series, diffusion, labels, task, tensor

from diff_medical import Enhancer, Settings
from diff_medical.enhancer.joint import SeriesMethod
from diff_medical.jobs.enhance import enhance_file

Array = NDArray[np.float32]
PHANTOMS: dict[str, Callable[[], Series]] = {
    "diffusion, SNR 20": partial(diffusion, 20),
    "diffusion, SNR 8": partial(diffusion, 8),
    "task": task,
    "labels": labels,
}


def ours(enhancer: Enhancer, method: SeriesMethod, series: Series) -> Array:
    """Return the series as the command writes it."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "series.nii", Path(folder) / "out.nii"
        image = nib.Nifti1Image(series.noisy.astype(np.int16), np.diag([2.0, 2, 2, 1]))
        image.to_filename(source)
        settings = Settings(series=method)
        outcome = enhance_file(enhancer, source, target, settings, float32=True)
        print(f"  sigma / true {outcome.sigma / series.sigma:.3f}; {'; '.join(outcome.notes[:1])}")
        return np.asarray(nib.load(target).dataobj, np.float32)


def mp_pca(series: Series) -> Array:
    """Return the series by dipy's MP-PCA."""
    from dipy.denoise.localpca import mppca

    return np.asarray(mppca(series.noisy, patch_radius=2), np.float32)


def patch_to_self(series: Series) -> Array:
    """Return the series by dipy's Patch2Self; volumes without a b value count as weighted."""
    from dipy.denoise.patch2self import patch2self

    bvals = series.bvals if series.bvals.size else np.full(series.noisy.shape[3], 1000.0)
    made = patch2self(series.noisy, bvals, model="ols", verbose=False)
    return np.asarray(made, np.float32)


def shortened(series: Series) -> Series:
    """Return the first 9 volumes of a series of diffusion, with scores of its tensor."""
    volumes = slice(0, 9)
    truth, bvals, bvecs = series.truth[..., volumes], series.bvals[volumes], series.bvecs[volumes]
    known = tensor(truth, bvals, bvecs)
    inside = known[1] > 0

    def scores(found: Array) -> dict[str, float]:
        fa, md = tensor(found, bvals, bvecs)
        white = inside & (known[0] > 0.4)
        return {
            "FA": 100 * float(fa[white].mean() / known[0][white].mean()),
            "MD": 100 * float(md[white].mean() / known[1][white].mean()),
        }

    noisy = series.noisy[..., volumes]
    return replace(series, truth=truth, noisy=noisy, bvals=bvals, bvecs=bvecs, scores=scores)


def main() -> None:
    """Print a table for each phantom."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PHANTOMS, help="one phantom")
    parser.add_argument("--methods", nargs="*", help="some methods, by their names in the table")
    parser.add_argument("--short", action="store_true", help="diffusion of 9 volumes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    enhancer = Enhancer.from_pretrained(device="cpu")
    methods: dict[str, Callable[[Series], Array]] = {
        "noisy": lambda series: series.noisy,
        "MP-PCA": mp_pca,
        "Patch2Self": patch_to_self,
        "ours, network": partial(ours, enhancer, "network"),
        "ours, lowrank": partial(ours, enhancer, "lowrank"),
        "ours, both": partial(ours, enhancer, "both"),
    }
    for name, make in PHANTOMS.items():
        if (options.only or name) != name or (options.short and "diffusion" not in name):
            continue
        series = shortened(make()) if options.short else make()
        for number, (method, run) in enumerate(methods.items()):
            if options.methods and method not in options.methods:
                continue
            begun = time.process_time()
            found = run(series)
            seconds = time.process_time() - begun
            scores = series.scores(found)
            if number == 0:
                print(f"\n{name}\n| method | rmse | {' | '.join(scores)} | CPU-s |")
                print("|---" * (len(scores) + 3) + "|")
            error = np.square((found - series.truth)[series.inside], dtype=np.float64).mean()
            cells = " | ".join(f"{value:.1f}" for value in scores.values())
            rmse = np.sqrt(error) / series.sigma
            print(f"| {method} | {rmse:.3f} | {cells} | {seconds:.1f} |", flush=True)
    print(f"\ndipy {version('dipy')}, torch {torch.__version__}, one thread")


if __name__ == "__main__":
    main()
