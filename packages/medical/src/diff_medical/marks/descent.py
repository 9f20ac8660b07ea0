"""The marks of descendants: the result of a synthetic scan is synthetic too, and marked wherever
the scan was.

Headers and tags are marked in memory as soon as the scan is open, so that every file that keeps
them keeps the mark: the result, the residual, the uncertainty. Pictures, pages and sidecars are
told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nibabel.freesurfer.mghformat import MGHImage

from diff_core.files import write_json
from diff_medical.marks.mark import NOTICE
from diff_medical.marks.told import Told, tell
from diff_medical.scan.bids import sidecar_path
from diff_medical.scan.kinds import ITK, MGH
from diff_medical.scan.nifti import Scan
from diff_medical.scan.open import SeriesScan

__all__ = ["mark_descendant", "record", "unmarkable", "write_records"]


def mark_descendant(scan: Scan) -> Told | None:
    """Mark a synthetic scan in memory, in the NIfTI header or the DICOM tags, so that its results
    are marked too.

    Returns what the scan, its name and its sidecar report; None where it is not synthetic.
    """
    files = [scan.path]
    if isinstance(scan, SeriesScan):
        files.insert(0, Path(scan.stack.headers[0].filename))
    told = next((one for one in map(tell, files) if one.synthetic), None)
    if told is None:
        return None
    if isinstance(scan, SeriesScan):
        from diff_medical.marks.dicom import sign as sign_slice

        for one in scan.stack.headers:
            sign_slice(one, told.mark)
    if not isinstance(scan.image, MGHImage):
        from diff_medical.marks.nifti import sign

        sign(scan.image.header, told.mark)
    return told


def record(told: Told | None) -> dict[str, Any]:
    """Return the record for a sidecar; nothing for a scan that is not synthetic."""
    if told is None:
        return {}
    return told.mark.record() if told.mark else {"Synthetic": True, "Description": NOTICE}


def unmarkable(told: Told | None, *targets: Path) -> tuple[Path, ...]:
    """The sidecars of outputs whose format has no room for a mark: MGH, NRRD and MetaImage."""
    without = (t for t in targets if MGH.matches(t) or ITK.matches(t))
    return tuple(sidecar_path(t) for t in without if told is not None)


def write_records(told: Told | None, sidecars: tuple[Path, ...]) -> None:
    """Write the record into each of `sidecars`, whole or not at all."""
    for path in sidecars:
        write_json(path, record(told))
