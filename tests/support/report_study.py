"""A small study of the drawn head with its report: what the browser looks at and the docs show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from make_phantom import SPACING, phantom  # noqa: E402

__all__ = ["write_reports", "write_study"]

SIGMAS = {
    ("01", "1"): 30, ("01", "2"): 45, ("02", "1"): 60, ("03", "1"): 38, ("03", "2"): 52,
}  # fmt: skip
"""The noise by subject and session, against 1000 for white matter."""


def write_study(folder: Path, axial: slice = slice(28, 52)) -> None:
    """Write scans with BIDS names of some slices of the head, with Rician noise, and one file that
    is no scan.
    """
    clean, random = phantom(axial), np.random.default_rng(0)
    for (subject, session), sigma in SIGMAS.items():
        place = folder / f"sub-{subject}" / f"ses-{session}" / "anat"
        place.mkdir(parents=True)
        real, other = sigma * random.standard_normal((2, *clean.shape))
        noisy = np.hypot(clean + real, other).astype(np.int16)
        image = nib.Nifti1Image(noisy, np.diag([*SPACING, 1.0]))
        image.to_filename(place / f"sub-{subject}_ses-{session}_T1w.nii.gz")
    (folder / "sub-04").mkdir()
    (folder / "sub-04" / "sub-04_T1w.nii.gz").write_bytes(b"no scan")


def write_reports(folder: Path) -> Path:
    """Enhance a study in a folder, which is to be empty, and return the index of its pages."""
    write_study(folder / "study")
    command = [
        sys.executable, "-m", "diff_medical.enhance", "study", "--recursive", "-o", "enhanced",
        "--quality", "draft", "--report", "pages", "--viewer", "--quiet",
    ]  # fmt: skip
    code = subprocess.run(command, cwd=folder, check=False).returncode
    if code != 1:  # one file is no scan
        raise RuntimeError(f"the exit code is {code}")
    return folder / "pages" / "index.html"
