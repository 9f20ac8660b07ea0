"""The training corpus: folders of NIfTI scans as normalised, memory-mapped volumes.

Each scan is read once, brought to the intensity scale of `diff_medical.intensity` and kept as
float16 beside its binned copies: averaging 1.5 or 2 voxels along each fine axis leaves less of the
scanner's own noise in what the network is told is clean.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intensity import Modality, recognise, scale
from .slabs import slab_axes

__all__ = ["CorpusError", "Row", "Volume", "bin_axes", "build_corpus", "find_scans", "read_scan"]

FORMAT = 2
COARSEST = 1.8  # mm: a binned copy must still show anatomy finer than this
SMALLEST = 24  # voxels along a binned axis
CLEAN = 0.01  # noise, of the bright level, at which a copy has half the weight of a clean one
FOREGROUND = 0.1
KEPT_NOISE = {1.0: 1.0, 1.5: (5 / 9) ** 0.5, 2.0: 0.5**0.5}  # of white noise, per binned axis
GRID = 6  # spacing of the positions at which foreground is looked up


class CorpusError(ValueError):
    """There is nothing to train on."""


@dataclass(frozen=True)
class Row:
    """A scan on disk and what is said of it; modality None to recognise it by its values."""

    path: Path
    split: str
    modality: Modality | None = None
    licence: str = ""


@dataclass(frozen=True)
class Volume:
    """One copy of a scan, ready for cutting patches.

    array:      (X, Y, Z) float16, memory-mapped, normalised
    centres:    (N, 3) int16, foreground positions on a coarse grid
    axes:       axes along which slabs may be stacked
    spacing:    mm
    noise:      standard deviation of its own noise, in units of the bright level
    weight:     relative frequency with which it is drawn, within its modality
    """

    name: str
    modality: Modality
    array: NDArray[np.float16]
    centres: NDArray[np.int16]
    axes: tuple[int, ...]
    spacing: tuple[float, float, float]
    noise: float
    weight: float


def find_scans(data: Path, manifest: Path | None = None) -> list[Row]:
    """The NIfTI files under `data`, with their split.

    A manifest has one JSON object a line: `file` (relative to the manifest), `split` ("train" or
    "val") and optionally `modality` (begins with "MR" or "CT") and `licence`; `manifest.jsonl` in
    `data` is found by itself. Without one, files below a folder called `val` are for validation.

    Raises CorpusError if the folder is missing, a line of the manifest cannot be used, or nothing
    is found.
    """
    if not data.is_dir():
        raise CorpusError(f"{data}: no such folder")
    if manifest is None and (data / "manifest.jsonl").is_file():
        manifest = data / "manifest.jsonl"
    if manifest is not None:
        rows = list(_read_manifest(manifest))
    else:
        files = sorted(p for p in data.rglob("*") if p.name.endswith((".nii", ".nii.gz")))
        rows = [
            Row(p, "val" if "val" in p.relative_to(data).parts[:-1] else "train") for p in files
        ]
    if not any(row.split == "train" for row in rows):
        raise CorpusError(f"{manifest or data}: no NIfTI files (.nii, .nii.gz) to train on")
    return rows


def _read_manifest(manifest: Path) -> Iterator[Row]:
    try:
        lines = manifest.read_text().splitlines()
    except OSError as error:
        raise CorpusError(f"{manifest}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            path, split = manifest.parent / row["file"], str(row["split"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(
                f"{manifest}: line {number} needs a JSON object with `file` and `split` ({error})"
            ) from error
        declared = str(row.get("modality", ""))[:2].lower()
        modality = "ct" if declared == "ct" else "mr" if declared == "mr" else None
        yield Row(path, split, modality, str(row.get("licence", "")))


def read_scan(path: Path) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """The first volume of a NIfTI file as (X, Y, Z) float32 in scan units, and its spacing in mm.

    Raises ValueError if the file cannot be read or holds no finite volume.
    """
    import nibabel

    try:
        image: Any = nibabel.load(path)
        values = np.asanyarray(image.dataobj)
        zooms = [abs(float(z)) or 1.0 for z in image.header.get_zooms()[:3]]
    except Exception as error:  # nibabel and zlib raise many kinds for a damaged file
        raise ValueError(f"cannot be read as NIfTI ({error})") from error
    values = values.reshape(values.shape[:3] + (-1,))[..., 0] if values.ndim > 3 else values
    values = values.reshape(values.shape + (1,) * (3 - values.ndim)).astype(np.float32)
    zooms += [1.0] * (3 - len(zooms))
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError("is empty or holds NaN or infinity")
    return values, (zooms[0], zooms[1], zooms[2])


def build_corpus(
    rows: Sequence[Row],
    cache: Path,
    *,
    largest_noise: float = 0.2,
    warn: Callable[[str], None] = print,
) -> list[Volume]:
    """The volumes of the training rows, read once into `cache` and memory-mapped from there.

    A scan weighs the square root of its number of foreground voxels; it is shared among its
    copies, and lessened, by how clean they are. Scans that cannot be used are named to `warn`.
    Raises CorpusError if none can.
    """
    cache.mkdir(parents=True, exist_ok=True)
    made: list[Volume] = []
    for row in rows:
        if row.split != "train":
            continue
        try:
            entries = _entries(row, cache)
        except (ValueError, OSError) as error:
            warn(f"skipped {row.path}: {error}")
            continue
        made.extend(_weighted(entries, cache, largest_noise))
    if not made:
        raise CorpusError("none of the scans can be used for training; see the lines above")
    return made


def _weighted(
    entries: list[dict[str, Any]], cache: Path, largest_noise: float
) -> Iterator[Volume]:
    usable = [e for e in entries if e["centres"] and e["noise"] <= largest_noise]
    clean = [1 / (1 + (e["noise"] / CLEAN) ** 2) for e in usable]
    for entry, share in zip(usable, clean, strict=True):
        spacing = tuple(entry["spacing"])
        array = np.load(cache / f"{entry['name']}.npy", mmap_mode="r")
        thinnest = int(np.argmin(array.shape))
        yield Volume(
            entry["name"],
            entry["modality"],
            array,
            np.load(cache / f"{entry['name']}.centres.npy"),
            (thinnest,) if array.shape[thinnest] < SMALLEST else slab_axes(spacing),
            spacing,
            entry["noise"],
            max(e["voxels"] for e in usable) ** 0.5 * max(clean) * share / sum(clean),
        )


def _entries(row: Row, cache: Path) -> list[dict[str, Any]]:
    """What the cache knows of a scan; fills it if need be."""
    if not row.path.is_file():
        raise ValueError("no such file")
    status = row.path.stat()
    key = f"{row.path.resolve()} {status.st_size} {status.st_mtime_ns} {row.modality} {FORMAT}"
    name = f"{row.path.name.split('.')[0]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    index = cache / f"{name}.json"
    if not index.is_file():
        entries = list(_copies(row, name, cache))
        index.write_text(json.dumps(entries))
    return json.loads(index.read_text())


def _copies(row: Row, name: str, cache: Path) -> Iterator[dict[str, Any]]:
    from .noise import detail_sigma, fine_axes

    values, spacing = read_scan(row.path)
    modality = row.modality or recognise(values)
    if float(values.max()) == float(values.min()):
        raise ValueError("all voxels are equal")
    if modality == "ct":
        values = values.clip(-1024, 3000)
    normal = scale(values, modality).normalise(values)
    noise = float(detail_sigma(normal, fine_axes(normal.shape, spacing)))
    for factor in (1.0, 1.5, 2.0):
        axes = tuple(a for a in range(3) if spacing[a] <= 2 * min(spacing) and normal.shape[a] > 4)
        if factor > 1 and any(
            spacing[a] * factor > COARSEST or normal.shape[a] / factor < SMALLEST for a in axes
        ):
            continue
        copy = normal
        for axis in axes if factor > 1 else ():
            copy = bin_axes(copy, axis, factor)
        fine = tuple(s * (factor if a in axes else 1.0) for a, s in enumerate(spacing))
        centres = np.argwhere(copy[::GRID, ::GRID, :] > FOREGROUND) * np.array([GRID, GRID, 1])
        label = f"{name}-{factor:g}"
        np.save(cache / f"{label}.npy", copy.astype(np.float16))
        np.save(cache / f"{label}.centres.npy", centres.astype(np.int16))
        yield {
            "name": label,
            "modality": modality,
            "spacing": fine,
            # by how much averaging lowers white noise: detail of coarse copies is no longer noise
            "noise": noise * KEPT_NOISE[factor] ** len(axes),
            "centres": len(centres),
            "voxels": int((normal > FOREGROUND).sum()),
        }


def bin_axes(volume: NDArray[np.float32], axis: int, factor: float) -> NDArray[np.float32]:
    """Means of `factor` (1.5 or 2) neighbouring voxels along an axis; a remainder is dropped."""
    doubled = np.repeat(volume, 2, axis=axis)
    width = round(2 * factor)
    length = doubled.shape[axis] // width
    doubled = np.moveaxis(doubled, axis, 0)[: length * width]
    binned = doubled.reshape(length, width, *doubled.shape[1:]).mean(1)
    return np.ascontiguousarray(np.moveaxis(binned, 0, axis), dtype=np.float32)
