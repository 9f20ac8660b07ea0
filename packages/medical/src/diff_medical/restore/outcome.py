"""The wish for a restoration, and the record of one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from diff_core.files import write_json
from diff_medical.scan.spacing import Spacing

Profile = Literal["gaussian", "box"]
"""The profile of a slice, see `diff_medical.restore.upsample.slice_profile`."""

__all__ = ["Profile", "Restored", "Wish", "write_sidecar"]


@dataclass(frozen=True)
class Wish:
    """The restoration to make: one of the three.

    factor:  so many times as many slices
    spacing: voxel size in mm, of which only that across thick slices may differ from the scan's
    hole:    NIfTI file on the grid of the scan, other than 0 where voxels are to be filled
    profile: of the slices, where there shall be more
    """

    factor: int | None = None
    spacing: Spacing | None = None
    hole: Path | None = None
    profile: Profile = "gaussian"

    @property
    def word(self) -> str:
        """The word for what is done: "upsampled" or "inpainted"."""
        return "upsampled" if self.hole is None else "inpainted"


@dataclass(frozen=True)
class Restored:
    """The record of what was done to one file; `--json` prints it, and a JSON file beside the
    output keeps it.

    shape, spacing: of the output
    sigma:    of the noise of the scan, in its units
    misfit:   of more slices: |A x - y| / (sigma sqrt(n)), about 1 or less is within the noise
    profile:  of more slices: what a slice was taken to see
    invented: share of the voxels that no measurement stands behind; None where every voxel is a
              guess that fits measurements
    synthetic: what the scan says of being synthetic, "" if it says nothing
    """

    input: str
    output: str
    restored: str
    shape: tuple[int, ...]
    spacing: Spacing
    modality: str
    sigma: float
    misfit: float | None
    profile: str | None
    invented: float | None
    planes: str
    notes: tuple[str, ...]
    model: str
    code: str
    synthetic: str
    seconds: float

    def line(self) -> str:
        """Return the line that the command prints."""
        if self.invented is not None:
            what = f"{self.invented:.2%} of the voxels filled: invented, not measured"
        else:
            sizes = " x ".join(f"{s:.3g}" for s in self.spacing)
            what = f"{sizes} mm, {self.misfit:.2f} noise levels from the scan"
        return f"{self.input} -> {self.output}  ({what}; {self.planes}; {self.seconds:.1f} s)"


def write_sidecar(path: Path, outcome: Restored, wish: Wish, made: dict[str, Any]) -> None:
    """Write the record in words and numbers; for a synthetic scan with how it was `made`."""
    if wish.hole is None:
        about = (
            "Slices between the measured ones, made by a neural network so that they fit them; "
            "detail across slices is plausible, not measured; not for diagnosis"
        )
    else:
        about = (
            "Voxels of the mask were filled by a neural network: what they show is invented, not "
            "measured; not for diagnosis"
        )
    said = {k: v for k, v in asdict(outcome).items() if k not in ("input", "output")}
    said |= {"hole": wish.hole.name} if wish.hole else {}
    about = f"{made['Description']}. {about}" if made else about
    content = {
        **made,
        "Description": about,
        "Sources": [Path(outcome.input).name],
        "Restoration": said,
    }
    write_json(path, content)
