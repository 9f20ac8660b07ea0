"""Names and sidecars of BIDS derivatives.

K. Gorgolewski et al., "The brain imaging data structure, a format for organizing and describing
outputs of neuroimaging experiments", Scientific Data 2016; BIDS 1.9, Common derivatives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from diff_core.command import Job
from diff_core.files import write_json
from diff_medical.scan.kinds import NIFTI

__all__ = ["dataset_of", "is_bids", "is_derivative", "named", "sidecar_path", "write_sidecar"]

PIPELINE = "diff-medical"
DESCRIPTION = "dataset_description.json"
NAME = re.compile(r"sub-[a-zA-Z0-9]+(_[a-zA-Z0-9]+-[a-zA-Z0-9+]+)*_[a-zA-Z0-9]+")


def is_bids(path: Path) -> bool:
    """Return True for a file that is named as BIDS names scans:
    sub-LABEL[_KEY-VALUE...]_SUFFIX.nii.gz.
    """
    return NIFTI.matches(path) and NAME.fullmatch(NIFTI.split(path.name)[0]) is not None


def is_derivative(path: Path) -> bool:
    """Return True for a file that this package made of a BIDS scan."""
    return is_bids(path) and re.search(r"_desc-(denoised|residual)_", path.name) is not None


def dataset_of(path: Path) -> Path | None:
    """The folder of the BIDS dataset that the file belongs to, None if there is none."""
    for folder in path.resolve().parents:
        if (folder / DESCRIPTION).is_file():
            return folder
    return None


def named(jobs: Sequence[Job], output: Path | None) -> list[Job]:
    """Return `jobs` with the targets of BIDS scans named as derivatives.

    Without `output`, those of a dataset go into its derivatives/diff-medical, in the same tree;
    an `output` that is named as a file stays as it is.
    """
    if output is not None and NIFTI.matches(output) and not output.is_dir():
        return list(jobs)
    return [replace(job, target=_target(job, output)) if is_bids(job.source) else job
            for job in jobs]  # fmt: skip


def _target(job: Job, output: Path | None) -> Path:
    stem, suffix = NIFTI.split(job.source.name)
    entities, _, kind = re.sub(r"_desc-[a-zA-Z0-9+]+", "", stem).rpartition("_")
    name = f"{entities}_desc-denoised_{kind}{suffix}"
    root = dataset_of(job.source)
    if output is not None or root is None:
        return job.target.with_name(name)
    place = job.source.resolve().relative_to(root)
    return root / "derivatives" / PIPELINE / place.with_name(name)


def sidecar_path(image: Path) -> Path:
    """The JSON file that belongs to an image."""
    return image.with_name(NIFTI.split(image.name)[0] + ".json")


def write_sidecar(
    source: Path,
    target: Path,
    done: Mapping[str, Any],
    version: str,
    *,
    made: Mapping[str, Any] | None = None,
) -> None:
    """Write the sidecar of `target`, and the description of its dataset if that is missing.

    It has what the sidecar of `source` says of the scan, where the scan came from, and `done`;
    of a synthetic scan how it was `made`.
    """
    own = sidecar_path(source)
    said: dict[str, Any] = {}
    if own.is_file():
        try:
            said = dict(json.loads(own.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(
                f"its sidecar {own} is not a JSON object ({error}); mend it"
            ) from error
    root = dataset_of(source)
    place = source.resolve().relative_to(root).as_posix() if root else source.name
    said.setdefault("SkullStripped", False)  # what is not a derivative has its skull
    said |= made or {}
    synthetic = f"{made['Description']}. " if made else ""
    said |= {
        "Description": f"{synthetic}Noise removed by a neural network; not for diagnosis",
        "Sources": [f"bids::{place}"],
        "Enhancement": {"Name": PIPELINE, "Version": version, **_portable(done)},
    }
    write_json(sidecar_path(target), said)
    if root is None:
        return
    derived = root / "derivatives" / PIPELINE
    if derived in target.resolve().parents and not (derived / DESCRIPTION).exists():
        generator = {"Name": PIPELINE, "Version": version}
        described = {
            "Name": f"{PIPELINE}: scans without noise",
            "BIDSVersion": "1.9.0",
            "DatasetType": "derivative",
            "GeneratedBy": [generator],
            "SourceDatasets": [{"URL": root.as_uri()}],
        }
        with suppress(FileExistsError):  # another process was sooner
            write_json(derived / DESCRIPTION, described)


def _portable(done: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record without paths of this computer."""
    return {
        key: value for key, value in done.items() if key not in ("input", "output", "products")
    }
