"""Synthetic scans in files: made some at a time, named, marked, with a record beside each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.files import refuse_existing, replacing, write_json
from diff_medical.marks.mark import NAME, Mark
from diff_medical.scan.bids import sidecar_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diff_medical.generator.model import Generator, Made, Sampling
    from diff_medical.generator.request import Request

__all__ = ["Plan", "make", "mark_of", "read_labels", "write"]


@dataclass(frozen=True)
class Plan:
    """The scans to make, and their files.

    requests: scan i of them has the seed sampling.seed + i; body and plane are said
    dicom:    slices as files .dcm, volumes as folders of them; else .nii.gz
    labels:   of the model's size, for a model that takes them
    """

    requests: Sequence[Request]
    sampling: Sampling
    folder: Path
    dicom: bool = False
    labels: NDArray[np.float32] | None = None

    @property
    def seeds(self) -> range:
        """The seeds of the scans."""
        return range(self.sampling.seed, self.sampling.seed + len(self.requests))

    def targets(self) -> list[Path]:
        """Return the files, as in t1_head_axial_000012_desc-synthetic.nii.gz, where the number is
        the seed.
        """
        return [
            self.folder / f"{_kind(request)}_{seed:06d}{NAME}{self._suffix(request)}"
            for request, seed in zip(self.requests, self.seeds, strict=True)
        ]

    def picture(self) -> Path:
        """Return the default place of the contact sheet."""
        kinds = sorted({_kind(request) for request in self.requests})
        kind = kinds[0] if len(kinds) == 1 else f"{len(kinds)}_kinds"
        return self.folder / f"{kind}_{self.seeds[0]:06d}-{self.seeds[-1]:06d}{NAME}.png"

    def refuse_existing(self, picture: Path, *, overwrite: bool) -> None:
        """Raise FileExistsError for an output that is there; ValueError for a folder that holds
        other things than a DICOM series, and for DICOM without pydicom.
        """
        from diff_medical.scan.dicom.folder import settle
        from diff_medical.scan.dicom.series import reader
        from diff_medical.scan.dicom.write import check_target

        if self.dicom:
            reader()
        if self.folder.exists() and not self.folder.is_dir():
            raise FileExistsError(f"the output {self.folder} is a file; name a folder")
        for target in (*self.targets(), picture):
            if not target.suffix:
                settle(target)
            refuse_existing(target, sidecar_path(target), overwrite=overwrite)
            if not target.suffix:
                check_target(target)

    def _suffix(self, request: Request) -> str:
        if not self.dicom:
            return ".nii.gz"
        return ".dcm" if request.plane else ""


def _kind(request: Request) -> str:
    return f"{request.modality}_{request.body}_{request.plane or 'volume'}"


def make(
    generator: Generator, plan: Plan, progress: Callable[[float], None] | None = None
) -> Iterator[tuple[Path, Made, Mark]]:
    """Make and write the scans, a batch at a time; yield each with its file when it is written.

    progress: called with the number of scans that are done, and shares of them
    """
    targets, batch = plan.targets(), plan.sampling.batch
    for first in range(0, len(targets), batch):
        requests = plan.requests[first : first + batch]

        def share(done: float, first: int = first, count: int = len(requests)) -> None:
            if progress:
                progress(first + done * count)

        made = generator(
            requests,
            replace(plan.sampling, seed=plan.seeds[first]),
            channels=None if plan.labels is None else [plan.labels] * len(requests),
            progress=share,
        )
        for path, one in zip(targets[first : first + batch], made, strict=True):
            mark = mark_of(generator, one, plan.sampling)
            write(path, one, mark)
            yield path, one, mark


def mark_of(generator: Generator, made: Made, sampling: Sampling) -> Mark:
    """The mark of a scan."""
    asked = made.request
    conditions: dict[str, Any] = {"modality": asked.modality, "body": asked.body}
    if asked.plane:
        conditions |= {"plane": asked.plane, "position": asked.position}
    drawn = {name: getattr(sampling, name) for name in ("steps", "guidance", "temperature")}
    model = generator.card.name
    return Mark(generator.fingerprint, made.seed, model, conditions, drawn)


def write(path: Path, made: Made, mark: Mark) -> None:
    """Write a scan as NIfTI or DICOM, by the suffix of `path`, and its sidecar.

    Each is whole or absent, and the sidecar is there before the scan.
    """
    units = "HU" if made.request.modality == "ct" else "arbitrary"
    write_json(sidecar_path(path), {**mark.record(), "Units": units})
    if not path.suffix:
        from diff_medical.generator.output.dicom import write_series

        write_series(path, made, mark)
        return
    if path.suffix == ".dcm":
        from diff_medical.generator.output.dicom import write_slice as save
    else:
        from diff_medical.generator.output.nifti import write as save
    with replacing(path) as partial:
        save(partial, made, mark)


def read_labels(path: Path, generator: Generator, request: Request) -> NDArray[np.float32]:
    """A label map (or scan) for a model that takes one, with its axes in RAS order.

    Raises ValueError for a model that takes none, and for another grid than the model's: the
    number of voxels along each axis, and their size to 5 %.
    """
    import numpy as np

    from diff_medical.data.reading import Reading, load_scan
    from diff_medical.generator.request import NORMAL

    if not generator.pairing.channels:
        raise ValueError("labels is given, but the model was trained without label maps")
    loaded = load_scan(path, 0, Reading("zero", "RAS"))
    choice = generator.kinds.find(request)
    shape, spacing = np.array([generator.size] * 3), np.full(3, choice.view / generator.size)
    inside = np.ones(3, bool)
    if request.plane:
        shape[NORMAL[request.plane]], inside[NORMAL[request.plane]] = 1, False
    fits = loaded.values.shape == tuple(shape)
    if not fits or not np.allclose(np.array(loaded.spacing)[inside], spacing[inside], rtol=0.05):
        raise ValueError(
            f"labels has {_grid(loaded.values.shape, loaded.spacing)}; expected "
            f"{_grid(shape, spacing)}, the grid of the model"
        )
    return loaded.values.squeeze()


def _grid(shape: Any, spacing: Any) -> str:
    sizes = " x ".join(f"{s:.3g}" for s in spacing)
    return f"{' x '.join(map(str, shape))} voxels of {sizes} mm"
