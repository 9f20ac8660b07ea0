"""The memory that a large CT takes, file to file.

    python benchmarks/medical/enhance_memory.py                          512 x 512 x 1000
    python benchmarks/medical/enhance_memory.py --slices 200 --calls 0   smaller, the whole network
    python benchmarks/medical/enhance_memory.py --dicom                  a DICOM series in and out
    python benchmarks/medical/enhance_memory.py --uncertainty --noise poisson-ct

A phantom of that size (an ellipse of 40 HU with noise of 25 HU in air, 0.8 x 0.8 x 0.8 mm, 16-bit
integers, packed, or one file a slice) is read, enhanced and written through
`diff_medical.enhance_file` in a process of its own. All of its voxels are read, normalised, cut
into slabs, averaged, bounded, checked and written. With --calls N the network itself computes
the first N calls of each plane's size and all on small planes, and gives back its input in the
others: every call takes the same memory, and the network is nearly all of the time. --calls 0
computes all.

Printed: the most memory resident at once (ru_maxrss), which counts pages of files that the system
may take back whenever others need them; and the most that is the process's own (RssAnon, sampled
every 20 ms), which it may not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

os.environ.setdefault("OMP_NUM_THREADS", "1")

SMALL = 100_000  # pixels of a plane that is always computed
INTERVAL = 0.02  # s


def phantom(path: Path, slices: int) -> None:
    """Writes the CT, a few planes of noise over and over: a NIfTI file, or a folder of DICOM."""
    import nibabel as nib
    import numpy as np

    rng = np.random.default_rng(0)
    x, y = np.meshgrid(*[np.linspace(-1, 1, 512)] * 2, indexing="ij")
    body = np.where((x / 0.9) ** 2 + (y / 0.7) ** 2 < 1, 40.0, -1000.0)
    planes = [np.rint(body + 25 * rng.standard_normal(body.shape)).astype("<i2") for _ in range(7)]
    if not path.suffix:
        dicom(path, [planes[i % 7] for i in range(slices)])
        return
    values = np.stack([planes[i % 7] for i in range(slices)], -1)
    nib.Nifti1Image(np.asfortranarray(values), np.diag([0.8, 0.8, 0.8, 1])).to_filename(path)


def dicom(folder: Path, planes: list[NDArray[np.int16]]) -> None:
    """Writes a series of CT slices (X, Y) in HU, 0.8 mm apart."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    series = generate_uid()
    for number, plane in enumerate(planes):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
        one.SeriesInstanceUID, one.Modality, one.InstanceNumber = series, "CT", number
        one.Columns, one.Rows = plane.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.PixelSpacing, one.ImageOrientationPatient = [0.8, 0.8], [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [0, 0, round(0.8 * number, 3)]
        one.RescaleSlope, one.RescaleIntercept = 1, 0
        one.PixelData = plane.T.tobytes()
        one.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


def watch(peak: list[int], done: threading.Event) -> None:
    """Keeps the highest RssAnon, in KiB, in `peak`."""
    while not done.wait(INTERVAL):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                peak[0] = max(peak[0], int(line.split()[1]))


def measured(source: Path, target: Path, options: argparse.Namespace) -> dict[str, float]:
    """What enhancing `source` takes, in this process."""
    from torch import Tensor

    from diff_core.condition import Condition
    from diff_medical.enhancer.enhancer import Enhancer
    from diff_medical.enhancer.settings import Settings
    from diff_medical.jobs.enhance import enhance_file
    from diff_medical.jobs.products import Products

    enhancer = Enhancer.from_pretrained()
    real, counted = enhancer.denoiser.forward, {"all": 0, "computed": 0}
    seen: dict[tuple[int, ...], int] = {}

    def limited(x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        size = tuple(x_t.shape[-2:])
        seen[size] = seen.get(size, 0) + 1
        counted["all"] += 1
        if options.calls and seen[size] > options.calls and x_t.shape[-1] * x_t.shape[-2] > SMALL:
            return x_t
        counted["computed"] += 1
        return real(x_t, t, cond)

    enhancer.denoiser.forward = limited
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(peak, done), daemon=True)
    watcher.start()
    begun, cpu = time.monotonic(), time.process_time()
    doubt = target.with_name("sd.nii.gz") if options.uncertainty else None
    settings = Settings(noise=options.noise, uncertainty=options.uncertainty)
    outcome = enhance_file(
        enhancer, source, target, settings, products=Products(uncertainty=doubt)
    )
    done.set()
    watcher.join()
    return {
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "own": peak[0] / 2**20,
        "cpu": time.process_time() - cpu,
        "wall": time.monotonic() - begun,
        "sigma": outcome.sigma,
        **counted,
    }


def main() -> None:
    """Prints what the phantom took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=3, help="0: the network computes all")
    parser.add_argument("--dicom", action="store_true", help="a series, not a NIfTI file")
    parser.add_argument("--uncertainty", action="store_true", help="and its map, NIfTI")
    parser.add_argument("--noise", default="auto", help="as of the command")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(*options.measure, options)))
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        suffix = "" if options.dicom else ".nii.gz"
        source, target = Path(folder) / f"ct{suffix}", Path(folder) / f"out{suffix}"
        phantom(source, options.slices)
        command = [sys.executable, __file__, *sys.argv[1:], "--measure", source, target]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        got = json.loads(done.stdout.splitlines()[-1])
    print(
        f"512 x 512 x {options.slices}, {suffix or 'DICOM'} to the same, "
        f"noise found {got['sigma']:.1f} HU\n"
        f"network computed {got['computed']} of {got['all']} calls\n"
        f"most memory resident {got['peak']:.2f} GiB, of it the process's own at most "
        f"{got['own']:.2f} GiB\n{got['cpu']:.0f} CPU-s, {got['wall']:.0f} s on a machine that "
        "other work shared"
    )


if __name__ == "__main__":
    main()
