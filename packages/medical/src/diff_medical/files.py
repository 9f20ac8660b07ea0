"""The files that the commands read and write."""

from __future__ import annotations

from diff_core.command import FileKind

__all__ = ["SCANS"]

SCANS = FileKind(".nii or .nii.gz files", (".nii.gz", ".nii"))
