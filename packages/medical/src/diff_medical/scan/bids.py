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

__all__ = [
    "BIDS_CT",
    "DESCRIPTION",
    "BIDS_MR",
    "companions",
    "dataset_of",
    "is_bids",
    "is_derivative",
    "named",
    "people",
    "sidecar_path",
    "suffix_of",
    "write_sidecar",
]

BIDS_MR = frozenset(
    "T1w T2w PDw T2starw FLAIR PDT2 inplaneT1 inplaneT2 UNIT1 MP2RAGE MEGRE MESE FLASH SWI "
    "bold sbref cbv dwi asl m0scan angio epi".split()
)
"""The suffixes of MR scans in BIDS."""
BIDS_CT = frozenset(("ct", "CT"))
"""The suffixes of MR and CT scans; others are label maps, masks, fields and tables."""

PIPELINE = "diff-medical"
DESCRIPTION = "dataset_description.json"
"""The file that describes a dataset of BIDS."""
NAME = re.compile(r"sub-[a-zA-Z0-9]+(_[a-zA-Z0-9]+-[a-zA-Z0-9+]+)*_[a-zA-Z0-9]+")


def is_bids(path: Path) -> bool:
    """Return True for a file that is named as BIDS names scans:
    sub-LABEL[_KEY-VALUE...]_SUFFIX.nii.gz.
    """
    return NIFTI.matches(path) and NAME.fullmatch(NIFTI.split(path.name)[0]) is not None


def people(path: Path) -> dict[str, str]:
    """Return the subject and the session of a scan with a BIDS name, as far as it names them."""
    name = NIFTI.split(path.name)[0]
    keys = {"Subject": "sub", "Session": "ses"} if is_bids(path) else {}
    found = {word: re.search(rf"(?:^|_){key}-([a-zA-Z0-9]+)", name) for word, key in keys.items()}
    return {word: match[1] for word, match in found.items() if match}


def suffix_of(path: Path) -> str:
    """Return the suffix of a BIDS name: "T1w" of sub-01_T1w.nii.gz."""
    return NIFTI.split(path.name)[0].rsplit("_", 1)[-1]


def is_derivative(path: Path) -> bool:
    """Return True for a file that this package made of a BIDS scan."""
    made = re.search(r"_desc-([a-zA-Z0-9+]+[DR]|[dr])(enoised|esidual)_", path.name)
    return is_bids(path) and made is not None


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
    described = re.search(r"_desc-([a-zA-Z0-9+]+)", stem)
    # what is described already keeps its description, or two scans would have one name
    label = f"{described[1]}Denoised" if described else "denoised"
    entities, _, kind = re.sub(r"_desc-[a-zA-Z0-9+]+", "", stem).rpartition("_")
    name = f"{entities}_desc-{label}_{kind}{suffix}"
    root = dataset_of(job.source)
    if output is not None or root is None:
        return job.target.with_name(name)
    place = job.source.resolve().relative_to(root)
    return root / "derivatives" / PIPELINE / place.with_name(name)


def sidecar_path(image: Path) -> Path:
    """The JSON file that belongs to an image."""
    return image.with_name(NIFTI.split(image.name)[0] + ".json")


def companions(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Return the files without which a series cannot be used, each with the name of its copy
    beside `target`: .bval and .bvec of diffusion, aslcontext.tsv of perfusion.

    They stand beside `source` with its name. In a BIDS dataset they may also stand in a folder
    above it, with some of its entities, and belong to all files below (the inheritance principle).
    """
    stem, made = (NIFTI.split(path.name)[0] for path in (source, target))
    kinds = {".bval": ".bval", ".bvec": ".bvec"}
    found = [
        (source.with_name(stem + end), target.with_name(made + end))
        for end in kinds
        if source.with_name(stem + end).is_file()
    ]
    if not is_bids(source):
        return found
    have = {one.suffix for one, _ in found}
    for end in (end for end in kinds if end not in have):
        if (given := _inherited(source, suffix_of(source), end)) is not None:
            found.append((given, target.with_name(made + end)))
    if suffix_of(source) == "asl":
        given = _inherited(source, "aslcontext", ".tsv")
        if given is not None:
            name = f"{made.rpartition('_')[0]}_aslcontext.tsv"
            found.append((given, target.with_name(name)))
    return found


def _inherited(source: Path, suffix: str, end: str) -> Path | None:
    """Return the file `..._{suffix}{end}` that applies to a scan: the nearest above it whose
    entities it has.
    """
    entities = set(NIFTI.split(source.name)[0].split("_")[:-1])
    root = dataset_of(source)
    folder = source.resolve().parent
    while True:
        fits = [
            path
            for path in sorted(folder.glob(f"*{suffix}{end}"))
            if (name := path.name.removesuffix(end)).split("_")[-1] == suffix
            and set(name.split("_")[:-1]) <= entities
        ]
        if fits:
            return max(fits, key=lambda path: len(path.name))
        if root is None or folder == root or folder == folder.parent:
            return None
        folder = folder.parent


def write_sidecar(
    source: Path,
    target: Path,
    done: Mapping[str, Any],
    version: str,
    *,
    made: Mapping[str, Any] | None = None,
    stripped: bool = False,
) -> None:
    """Write the sidecar of `target`, and the description of its dataset if that is missing.

    It has what the sidecar of `source` says of the scan, where the scan came from, and `done`;
    of a synthetic scan how it was `made`.

    stripped: whether the voxels show a head without its skull, where the sidecar says nothing
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
    dataset = dataset_of(source)
    place = source.resolve().relative_to(dataset).as_posix() if dataset else source.name
    named = re.search(r"_desc-[a-zA-Z0-9+]*(brain|[sS]kull[sS]tripped)", source.name)
    said.setdefault("SkullStripped", stripped or named is not None)
    said |= made or {}
    synthetic = f"{made['Description']}. " if made else ""
    said |= {
        "Description": f"{synthetic}Noise removed by a neural network; not for diagnosis",
        "Sources": [f"bids::{place}"],
        "Enhancement": {"Name": PIPELINE, "Version": version, **_portable(done)},
    }
    write_json(sidecar_path(target), said)
    if dataset is None:
        return
    depth = len(Path(place).parts) - 1
    derived = target.resolve().parents[depth]  # its tree is that of the dataset
    if derived / Path(place).parent != target.resolve().parent:
        return
    if not (derived / DESCRIPTION).exists():
        generator = {"Name": PIPELINE, "Version": version}
        described = {
            "Name": f"{PIPELINE}: scans without noise",
            "BIDSVersion": "1.9.0",
            "DatasetType": "derivative",
            "GeneratedBy": [generator],
            "SourceDatasets": [{"URL": dataset.as_uri()}],
        }
        with suppress(FileExistsError):  # another process was sooner
            write_json(derived / DESCRIPTION, described)


def _portable(done: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record without paths of this computer."""
    return {
        key: value for key, value in done.items() if key not in ("input", "output", "products")
    }
