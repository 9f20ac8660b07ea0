"""The input of an audit: scans of training, held-out scans and samples, as images of one size.

Scans are cut as the generator's corpus cuts them (`diff_medical.generator.data.cutting`): to
slices, or one volume, at the resolution and field of view of the generator. Samples of just its
size are taken as they are; others are resampled by their voxel size, and cut, like scans.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_core.files import sha256, visible_files
from diff_medical.data.reading import Reading, load_scan
from diff_medical.data.studies import Row, find_study
from diff_medical.generator.data.corpus import Entry, Selection, build_corpus
from diff_medical.generator.data.cutting import Cutting, cut_slices, cut_volume
from diff_medical.generator.request import NORMAL, Request
from diff_medical.generator.tone import BRIGHT, encode
from diff_medical.generator.vocabulary import body_of, modality_of
from diff_medical.image_sets.images import Images
from diff_medical.marks.told import tell
from diff_medical.scan.intensity import recognise
from diff_medical.scan.kinds import SCANS, is_dicom
from diff_medical.scan.names import is_label_map

__all__ = [
    "Sources", "cutting_of", "find_samples", "read_real", "read_samples", "read_scans",
]  # fmt: skip

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Sources:
    """Where train and held-out scans are: two folders, or one whose splits are told.

    manifest: as for training; of its rows those count whose files are below either folder
    selection: which scans, and whose (`Selection`)
    """

    train: Path
    heldout: Path
    manifest: Path | None = None
    selection: Selection = field(default_factory=Selection)

    def rows(self) -> tuple[list[Row], list[Row]]:
        """Return the rows of train and held-out. Raises ValueError for a folder without any."""
        if self.train.resolve() == self.heldout.resolve():
            found = find_study(self.train, self.manifest).rows
            sides = (
                [r for r in found if r.split == "train"],
                [r for r in found if r.split == "val"],
            )
        else:
            sides = self._below(self.train), self._below(self.heldout)
        for side, folder, name in zip(
            sides, (self.train, self.heldout), ("training", "held-out"), strict=True
        ):
            if not side:
                raise ValueError(f"{folder}: no {name} scans (NIfTI or DICOM) are there")
        return sides

    def _below(self, folder: Path) -> list[Row]:
        return _rows_below(folder, self.manifest)


def _rows_below(folder: Path, manifest: Path | None) -> list[Row]:
    rows = find_study(folder, manifest).rows
    # a link lies where it is, not where it leads: archives of git-annex hold links alone
    root = Path(os.path.abspath(folder))
    return [row for row in rows if root in Path(os.path.abspath(row.path)).parents]


def cutting_of(recipe: dict[str, Any], size: int, spatial: int, thickness: float) -> Cutting:
    """Return the cutting of a generator's training scans, without the margin for augmentation."""
    said = recipe.get("corpus")
    views = said.get("views") if isinstance(said, dict) else None
    return Cutting(size, spatial, dict(views or {}), step=thickness, margin=1.0)


def read_scans(
    sources: Sources,
    samples: Sequence[Path],
    cutting: Cutting,
    warn: Warn,
    cache: Path | None = None,
) -> tuple[Images, Images]:
    """Read train and held-out scans.

    samples: files of the samples, none of which may be among them
    cache:   folder in which the cut scans are kept for another time; None to keep nothing

    Raises ValueError where the two overlap, by file or by person; where a sample is one of their
    files; and as `build_corpus` does.
    """
    train, heldout = sources.rows()
    hashes = [{_digest(row.path): row.path for row in rows} for rows in (train, heldout)]
    if both := set(hashes[0]) & set(hashes[1]):
        first = min(both, key=lambda key: str(hashes[0][key]))
        raise ValueError(
            f"{len(both)} of the held-out files are training files too, such as "
            f"{hashes[1][first]} ({hashes[0][first]}); give scans that were not trained on"
        )
    for path in samples:
        if (found := hashes[0].get(_digest(path))) is not None:
            raise ValueError(
                f"sample {path} is the training file {found}; give what was generated"
            )
    rows = [replace(row, split=split) for side, split in ((train, "train"), (heldout, "val"))
            for row in side]  # fmt: skip
    kept = nullcontext(cache) if cache else tempfile.TemporaryDirectory(prefix="diff-audit-")
    with kept as folder:
        corpus = build_corpus(rows, Path(folder), cutting, sources.selection, warn=warn)
        made = [
            Images(
                np.asarray(corpus.images[corpus.of(split), 0], np.float32),
                tuple(corpus.entries[i] for i in corpus.of(split)),
            )
            for split in ("train", "val")
        ]
    if not len(made[1]):
        raise ValueError(
            f"{sources.heldout}: none of the held-out scans can be used; see the lines above"
        )
    return made[0], made[1]


def read_real(
    folder: Path, manifest: Path | None, selection: Selection, cutting: Cutting, warn: Warn
) -> Images:
    """Read all scans below a folder, of two people at least; raises as `build_corpus` does."""
    rows = _rows_below(folder, manifest)
    with tempfile.TemporaryDirectory(prefix="diff-fidelity-") as cache:
        corpus = build_corpus(rows, Path(cache), cutting, selection, warn=warn)
        return Images(np.asarray(corpus.images[:, 0], np.float32), corpus.entries)


def find_samples(folder: Path) -> list[Path]:
    """Return the NIfTI files, but maps of labels, and single DICOM files below a folder. Raises
    ValueError if there are none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    files = visible_files(folder)
    files = [path for path in files if not is_label_map(path)]
    found = [p for p in files if SCANS.matches(p) or (p.suffix == ".dcm" and is_dicom(p))]
    if not found:
        raise ValueError(f"{folder}: no samples (.nii, .nii.gz, .dcm) are there")
    return found


def read_samples(paths: Sequence[Path], cutting: Cutting, warn: Warn) -> Images:
    """Read the samples; those that cannot be read are named to `warn`. Raises ValueError if none
    can.
    """
    values: list[NDArray[np.float32]] = []
    entries: list[Entry] = []
    for path in paths:
        try:
            for image, request in _sample(path, cutting):
                values.append(image)
                entries.append(Entry(request, path.name, path.name, "samples", 0.0))
        except (ValueError, OSError) as error:
            warn(f"skipped {path}: {error}")
    if not values:
        raise ValueError(f"none of {len(paths)} samples can be used; see the lines above")
    return Images(np.stack(values), tuple(entries))


def _sample(path: Path, cutting: Cutting) -> Iterator[tuple[NDArray[np.float32], Request]]:
    loaded = load_scan(path, 0, Reading("zero", "RAS"))
    request, bright = _said(path)
    modality = request.modality or recognise(loaded.values)
    tones = encode(loaded.values, modality, bright=bright)
    request = replace(request, modality=modality)
    size, thin = cutting.size, [p for p, axis in NORMAL.items() if tones.shape[axis] == 1]
    slice_ = np.take(tones, 0, axis=NORMAL[thin[0]]) if thin else None
    if cutting.spatial == 2 and slice_ is not None and slice_.shape == (size, size):
        yield slice_, replace(request, plane=thin[0])
    elif cutting.spatial == 3 and tones.shape == (size,) * 3:
        yield tones, replace(request, plane="")
    else:
        cut = cut_slices if cutting.spatial == 2 else cut_volume
        pieces = list(cut(tones[None], loaded.spacing, request.body, cutting))
        if not pieces:
            raise ValueError("its voxels are too coarse, or cover too little")
        for piece in pieces:
            for image in piece.images:
                yield image[0], replace(request, plane=piece.plane)


def _said(path: Path) -> tuple[Request, float | None]:
    """Return the request that the mark of a synthetic scan, or its name, reports (plane "" until
    the image shows it), and its bright level, if it is one of ours.
    """
    mark = tell(path).mark
    said = mark.conditions if mark else {}
    modality, body = (str(said.get(name) or "") for name in ("modality", "body"))
    request = Request(modality or modality_of(path.name), body or body_of(path.name), "")
    return request, BRIGHT if mark else None


def _digest(path: Path) -> str:
    if not path.is_file():
        return f"missing {path}"
    return sha256(path)
