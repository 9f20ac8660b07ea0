"""Whether the DICOM files that this package writes are valid: synthetic scans and derived series,
checked by dciodvfy (D. Clunie, dicom3tools; on Debian `apt-get install dicom3tools`).

Prints the errors of each file and exits with 1 if there are any. Synthetic Data (0008,001C) came
with DICOM 2023; a checker that is older does not know it, and that is not counted.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from diff_medical.generator.model import Made
from diff_medical.generator.request import NORMAL, Request
from diff_medical.jobs.generate import write
from diff_medical.marks.mark import Mark
from diff_medical.scan.dicom.series import open_folder
from diff_medical.scan.dicom.write import write_series

MARK = Mark("0123456789abcdef", 7, "generate", {"modality": "ct", "body": "chest"})
UNKNOWN = "(0x0008,0x001c)"


def made(modality: str, plane: str) -> Made:
    """A scan of noise, of one slice across `plane` or, without one, of several."""
    shape, spacing = [40, 48, 6], [1.5, 1.25, 2.0]
    if plane:
        del shape[NORMAL[plane]]
    low, high = (-1000, 800) if modality == "ct" else (0, 900)
    values = np.random.default_rng(3).uniform(low, high, shape).round().astype(np.float32)
    affine = np.diag([*spacing, 1.0])
    return Made(values, affine, Request(modality, "chest", plane, 0.5 if plane else None), 7)


def written(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what was written, and the file of it that is checked."""
    for modality in ("ct", "t1"):
        for plane in ("axial", "coronal", "sagittal"):
            path = folder / f"{modality}_{plane}.dcm"
            write(path, made(modality, plane), MARK)
            yield f"generate, {modality} {plane} slice", path
        series = folder / f"{modality}_volume"
        write(series, made(modality, ""), MARK)
        yield f"generate, {modality} volume", series / "00001.dcm"
        stack = open_folder(series)
        derived = folder / f"{modality}_enhanced"
        write_series(derived, stack, stack.values(), label="enhanced", version="diff-medical")
        yield f"enhance, {modality} series", derived / "00001.dcm"


def errors(path: Path) -> list[str]:
    """The errors of a file."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith("Error") and UNKNOWN not in line]


def main() -> int:
    """Print the errors of all files and return the exit code."""
    if shutil.which("dciodvfy") is None:
        print("dciodvfy is not installed; on Debian: apt-get install dicom3tools")
        return 1
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for what, path in written(Path(folder)):
            found = errors(path)
            count += len(found)
            print(f"{what}: {len(found)} errors")
            print("".join(f"  {line}\n" for line in found), end="")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
