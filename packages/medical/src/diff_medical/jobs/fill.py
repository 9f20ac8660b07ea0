"""Holes of a brain filled by its generator, from file to file.

The scan keeps its grid, its datatype and, outside the hole, its bits. What is drawn on the grid of
the model is read at the places of the hole, multiplied by the level and the shading of the scan,
and brought to the values around the hole by the smoothest field that does so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diff_core.files import write_json
from diff_medical.brain.filling import Gap, fill
from diff_medical.jobs.brain import BrainPlan, Drawn, write_labels_beside
from diff_medical.marks.mark import NAME, Mark
from diff_medical.restore.inpaint import MOST, harmonic
from diff_medical.scan.bids import sidecar_path
from diff_medical.scan.declared import refuse_declared
from diff_medical.scan.kinds import NIFTI
from diff_medical.scan.names import labels_beside
from diff_medical.scan.nifti import Scan, Voxels, on_grid, read, write
from diff_medical.scan.refusal import ScanError

if TYPE_CHECKING:
    from diff_medical.brain.folds import Lobes
    from diff_medical.brain.model import BrainGenerator
    from diff_medical.brain.preparation.folder import Person
    from diff_medical.generator.model import Made

__all__ = ["FillPlan", "Holed", "guessed", "make_fillings", "read_holed"]

RING = 2  # voxels around a hole, whose values the filling is brought to
SHARE = 0.01  # of a voxel of the model's grid from which it is of the hole
DARK = 0.05  # of the brightest tissue: a hole whose edge is darker lies in air
ABOUT = (
    "A real scan of which the voxels of the mask were made by a neural network: what they show is "
    "invented, not measured; not for diagnosis"
)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Holed:
    """A scan with a hole.

    scan:   the file
    mask:   the name of that of the hole
    hole:   (X, Y, Z), the voxels to be filled
    person: the scan on the grid of the model
    affine: (4, 4) from voxels of that grid to mm
    gap:    what the generator is given
    """

    scan: Scan
    mask: str
    hole: NDArray[np.bool_]
    person: Person
    affine: NDArray[np.float64]
    gap: Gap


@dataclass(frozen=True)
class FillPlan(BrainPlan):
    """The scans with filled holes to make, and their files.

    stem:  of the name of the scan
    holed: the scan, when it is read
    """

    stem: str = ""
    holed: Holed | None = None

    def targets(self) -> list[Path]:
        """Return the files, as in NAME_000012_desc-synthetic.nii.gz."""
        return [self.folder / f"{self.stem}_{seed:06d}{NAME}.nii.gz" for seed in self.seeds]

    def picture(self) -> Path:
        """Return the default place of the contact sheet."""
        first, last = self.seeds[0], self.seeds[-1]
        return self.folder / f"{self.stem}_{first:06d}-{last:06d}{NAME}.png"


def read_holed(path: Path, mask: Path, lobes: Lobes) -> Holed:
    """Return a scan, T1 of a brain without skull, and a hole, on the grid of a stage.

    path: NIfTI; mask: NIfTI on the grid of the scan, other than 0 in the hole. What stands in the
          hole plays no part, so it may be NaN.

    Raises ScanError or ValueError, one line, for files that cannot be used.
    """
    from diff_medical.brain.preparation.align import on_grid as onto_grid
    from diff_medical.brain.preparation.mean_head import mean_head

    if not NIFTI.matches(path):
        raise ScanError(path, "is not NIfTI", "convert it to .nii.gz, DICOM with dcm2niix")
    scan = read(path)
    refuse_declared(scan)
    if scan.volumes > 1:
        raise ScanError(path, f"is a series of {scan.volumes} volumes", "give one of them")
    hole = on_grid(mask, scan).volume() != 0
    if not 0 < hole.mean() <= MOST:
        share = f"covers {hole.mean():.0%} of the scan"
        raise ScanError(mask, share, f"mark more than none, at most {MOST:.0%}")
    volume, place = scan.volume(), scan.image.affine
    if not np.isfinite(volume[~hole]).all():
        raise ScanError(path, "holds NaN or Inf outside the mask", "mark those voxels too")
    known = harmonic(volume, hole, scan.spacing)
    if not (known[hole] > DARK * np.quantile(known, 0.99)).any():
        raise ScanError(mask, "marks nothing of the brain", "mark voxels of it")
    grid = lobes.grid
    try:
        person = mean_head(lobes).placed(known, place)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    inside = onto_grid(hole.astype(np.float32), place, person.aligned.matrix, grid) > SHARE
    gap = Gap(person.image, person.labels, inside, guessed(person.labels, inside))
    affine = person.aligned.matrix @ grid.in_template()
    return Holed(scan, mask.name, hole, person, affine, gap)


def guessed(labels: NDArray[np.uint8], hole: NDArray[np.bool_]) -> Array:
    """Return the share of each class but air in each voxel (5, X, Y, Z): that of the labels, and
    in the hole the smoothest that continues it.
    """
    from diff_medical.brain.grid import CLASSES

    each = ((labels == k).astype(np.float32) for k in range(1, len(CLASSES)))
    return np.stack([harmonic(one, hole, (1.0, 1.0, 1.0)) for one in each])


def make_fillings(
    generator: BrainGenerator, plan: FillPlan, progress: Callable[[float], None] | None = None
) -> Drawn:
    """Fill the hole once for each seed, and write; yield each with its file when it is written.

    Sidecar and label map are there before the scan. progress: called with the number of scans that
    are done.
    """
    holed = plan.holed
    assert holed is not None  # it is read before anything is made
    for number, (path, seed) in enumerate(zip(plan.targets(), plan.seeds, strict=True)):
        begun = time.process_time()
        steps = plan.sampling.steps
        image, labels = fill(generator, holed.gap, seed, (steps.borders, steps.appearance))
        volume = _back(holed, image)
        conditions = {
            "modality": "t1", "body": "brain", "filled": holed.scan.path.name,
            "hole": holed.mask, "voxels": int(holed.hole.sum()),
        }  # fmt: skip
        drawn = {"steps": f"{steps.borders}+{steps.appearance}"}
        mark = Mark(generator.fingerprint, seed, generator.card.name, conditions, drawn)
        write_json(sidecar_path(path), {**mark.record(), "Description": ABOUT})
        if plan.with_labels:
            write_labels_beside(
                labels_beside(path), _labels(holed, labels), holed.scan.image.affine, mark
            )
        _write(path, holed, volume, mark)
        if progress:
            progress(number + 1.0)
        seconds = {"filling": time.process_time() - begun}
        yield path, _shown(holed, volume, seed), mark, seconds


def _back(holed: Holed, image: Array) -> Array:
    """The scan (X, Y, Z) with its hole filled from an image on the grid of the model."""
    from scipy.ndimage import binary_dilation, map_coordinates

    volume, hole = holed.scan.volume(), holed.hole
    near: NDArray[np.bool_] = np.asarray(binary_dilation(hole, iterations=RING), bool)
    at = np.linalg.inv(holed.affine) @ holed.scan.image.affine
    places = np.argwhere(near) @ at[:3, :3].T + at[:3, 3]
    drawn = np.zeros(volume.shape, np.float32)
    drawn[near] = map_coordinates(image * holed.person.gain, places.T, order=3, mode="nearest")
    off = np.where(near & ~hole, volume - drawn, 0).astype(np.float32)
    known = volume[~hole]
    result = volume.copy()
    whole = drawn + harmonic(off, hole, holed.scan.spacing)
    result[hole] = whole[hole].clip(known.min(), known.max())
    return result


def _labels(holed: Holed, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels on the grid of the scan, of the nearest voxels of the model's, plane by plane."""
    from scipy.ndimage import map_coordinates

    at = np.linalg.inv(holed.affine) @ holed.scan.image.affine
    x, y, z = holed.hole.shape
    plane = np.stack(np.meshgrid(np.arange(x), np.arange(y), [0], indexing="ij"), -1)
    found = np.empty(holed.hole.shape, np.uint8)
    for k in range(z):
        places = np.moveaxis((plane[:, :, 0] + [0, 0, k]) @ at[:3, :3].T + at[:3, 3], -1, 0)
        found[:, :, k] = map_coordinates(labels, places, order=0, mode="constant")
    return found


def _write(path: Path, holed: Holed, volume: Array, mark: Mark) -> None:
    """Write a volume with the header of the scan and, outside the hole, its bits."""
    from diff_medical.marks.nifti import sign

    def edit(header: Any) -> None:
        sign(header, mark)

    voxels = Voxels(holed.scan, holed.scan.dtype)
    voxels.put(0, volume)
    voxels.stored[..., 0][~holed.hole] = holed.scan.stored[..., 0][~holed.hole]
    write(path, voxels, edit=edit)


def _shown(holed: Holed, volume: Array, seed: int) -> Made:
    """A filled scan for the contact sheet."""
    from diff_medical.brain.model import REQUEST
    from diff_medical.generator.model import Made
    from diff_medical.scan.sections import upright

    values, spacing = upright(volume, holed.scan.spacing, holed.scan.image.affine)
    values = np.nan_to_num(np.ascontiguousarray(values))
    return Made(values, np.diag([*spacing, 1.0]), REQUEST, seed)
