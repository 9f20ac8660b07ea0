"""Training data: manifests that list files, and splits that keep people apart.

`read_manifest` reads the JSON lines of a data set; `folder_splits` reads the splits that folders
name; `assign` gives each speaker or subject a split.
Importing this brings no torch.
"""

from __future__ import annotations

from diff_core.data.folders import (
    FolderSplits,
    Place,
    count_line,
    disagreement,
    folder_splits,
    split_of_name,
)
from diff_core.data.manifest import ManifestRow, read_manifest
from diff_core.data.split import SPLITS, Split, assign, refuse_shared

__all__ = [
    "SPLITS",
    "FolderSplits",
    "ManifestRow",
    "Place",
    "Split",
    "assign",
    "count_line",
    "disagreement",
    "folder_splits",
    "read_manifest",
    "refuse_shared",
    "split_of_name",
]
