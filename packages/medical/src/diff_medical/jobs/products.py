"""The products of an enhancement beside its output: which ones, and where they go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diff_medical.scan.names import beside

__all__ = ["Products"]


@dataclass(frozen=True)
class Products:
    """The further files to write.

    residual:    whether to write input - output, beside the output
    uncertainty: file for the standard deviation of the error of each voxel (NIfTI, float32)
    noise_map:   file for the noise level of each voxel, as it was assumed (NIfTI, float32)
    picture:     file for three planes before and after (PNG, PDF, SVG)
    report:      file for a page on what was done (HTML)
    thumbnail:   file for a small picture of the page (JPEG), which replaces an earlier one
    viewer:      folder for the script of a page beside the report that opens the scan before and
                 after in NiiVue; None for no such page
    """

    residual: bool = False
    uncertainty: Path | None = None
    noise_map: Path | None = None
    picture: Path | None = None
    report: Path | None = None
    thumbnail: Path | None = None
    viewer: Path | None = None

    @property
    def view(self) -> tuple[Path, Path] | None:
        """The page for NiiVue, NAME_viewer.html, and the folder of its script; None for none."""
        if self.report is None or self.viewer is None:
            return None
        return self.report.with_name(f"{self.report.stem}_viewer.html"), self.viewer

    def paths(self, target: Path) -> tuple[Path, ...]:
        """The files that will be written beside the output `target`."""
        residual = beside(target, "residual") if self.residual else None
        chosen = (residual, self.uncertainty, self.noise_map, self.picture, self.report)
        chosen = (*chosen, self.view and self.view[0])
        return tuple(path for path in chosen if path is not None)
