"""The training corpus: scans as normalised, memory-mapped volumes.

Each scan is read once, brought to the intensity scale of `diff_medical.scan.intensity` and kept as
float16 beside its binned copies: averaging 1.5 or 2 voxels along each fine axis leaves less of the
scanner's own noise in what the network is told is clean.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_core.data import count_line
from diff_core.files import replacing
from diff_medical.data.reading import Reading, load_scan, read_scan
from diff_medical.data.studies import CorpusError, Row, find_scans
from diff_medical.noise.low_dose import Levels, Textures, noise_textures
from diff_medical.scan.intensity import CT_OFFSET, CT_SCALE, Modality, recognise, scale
from diff_medical.scan.kinds import SCANS
from diff_medical.scan.spacing import THICK, Spacing
from diff_medical.slices.slabs import slab_axes

__all__ = [
    "CorpusError", "Reading", "Row", "Volume", "bin_axes", "build_corpus", "find_scans",
    "read_scan",
]  # fmt: skip

FORMAT = 3
COARSEST = 1.8  # mm: a binned copy must still show anatomy finer than this
SMALLEST = 24  # voxels along a binned axis
CLEAN = 0.01  # noise, of the bright level, at which a copy has half the weight of a clean one
FOREGROUND = 0.1
KEPT_NOISE = {1.0: 1.0, 1.5: (5 / 9) ** 0.5, 2.0: 0.5**0.5}  # of white noise, per binned axis
OUTLIER = 64.0  # times the bright level: beyond it a voxel is a fault, and float16 near its end
LOUD = 70.0  # HU, median size of the texture whose level is estimated: above that of the scan
GRID = 6  # spacing of the positions at which foreground is looked up


@dataclass(frozen=True)
class Volume:
    """One copy of a scan, ready for cutting patches.

    array:      (X, Y, Z) float16, memory-mapped, normalised
    centres:    (N, 3) int16, foreground positions on a coarse grid
    axes:       axes along which slabs may be stacked
    spacing:    mm
    noise:      standard deviation of its own noise, in units of the bright level
    weight:     relative frequency with which it is drawn, within its modality
    textures:   of CT, (X, Y, Z) noise of `low_dose.Textures`, HU, if they were asked for
    levels:     with them, what a blind estimate of its noise and of theirs gives
    row:        what it was read from
    """

    name: str
    modality: Modality
    array: NDArray[np.float16]
    centres: NDArray[np.int16]
    axes: tuple[int, ...]
    spacing: Spacing
    noise: float
    weight: float
    textures: Textures | None = None
    levels: Levels | None = None
    row: Row | None = None

    @property
    def scan(self) -> str:
        """The name of what it is a copy of."""
        return self.name.rpartition("-")[0]


def build_corpus(
    rows: Sequence[Row],
    cache: Path,
    *,
    largest_noise: float = 0.2,
    warn: Callable[[str], None] = print,
    strict: bool = False,
    reading: Reading = Reading(),  # noqa: B008
    textures: bool = False,
) -> list[Volume]:
    """The volumes of the training rows, read once into `cache` and memory-mapped from there.

    A scan weighs the square root of its number of foreground voxels; it is shared among its
    copies, and lessened, by how clean they are. With `textures` CT gets those of low dose, which
    takes about a second a slice, once. Scans that cannot be used are named and counted to
    `warn`, and so is what is odd about the others. Raises CorpusError if none can be used, or with
    `strict` one cannot.
    """
    cache.mkdir(parents=True, exist_ok=True)
    made: list[Volume] = []
    chosen = [row for row in rows if row.split == "train"]
    if not chosen:
        counts = count_line((row.split for row in rows), "scans")
        raise CorpusError(f"nothing is left to train on; {counts}")
    skipped = 0
    for row in chosen:
        try:
            entries = _entries(row, cache, reading)
        except (ValueError, OSError) as error:
            if strict:
                raise CorpusError(f"{row.path}: {error}") from error
            warn(f"skipped {row.path}: {error}")
            skipped += 1
            continue
        for note in entries[0]["notes"]:
            warn(f"{row.path}: {note}")
        copies = _weighted(entries, cache, largest_noise, textures, warn)
        made.extend(replace(volume, row=row) for volume in copies)
    if skipped:
        warn(f"{skipped} of {len(chosen)} scans were skipped")
    if not made:
        raise CorpusError("none of the scans can be used for training; see the lines above")
    return made


def _weighted(
    entries: list[dict[str, Any]],
    cache: Path,
    largest_noise: float,
    textures: bool,
    warn: Callable[[str], None],
) -> Iterator[Volume]:
    usable = [e for e in entries if e["centres"] and e["noise"] <= largest_noise]
    clean = [1 / (1 + (e["noise"] / CLEAN) ** 2) for e in usable]
    for entry, share in zip(usable, clean, strict=True):
        spacing = tuple(entry["spacing"])
        array = np.load(cache / f"{entry['name']}.npy", mmap_mode="r")
        thinnest = int(np.argmin(array.shape))
        low_dose = textures and entry["modality"] == "ct"
        made = _textures(entries, entry, cache, warn) if low_dose else None
        yield Volume(
            entry["name"],
            entry["modality"],
            array,
            np.load(cache / f"{entry['name']}.centres.npy"),
            (thinnest,) if array.shape[thinnest] < SMALLEST else slab_axes(spacing),
            spacing,
            entry["noise"],
            max(e["voxels"] for e in usable) ** 0.5 * max(clean) * share / sum(clean),
            made,
            _levels(entry, array, made, cache) if made else None,
        )


def _textures(
    entries: list[dict[str, Any]],
    entry: dict[str, Any],
    cache: Path,
    warn: Callable[[str], None],
) -> Textures:
    """Return the noise textures of axial slices, made and written if they are not there. Those of
    a binned copy are the binned ones of the scan.
    """
    paths = [cache / f"{entry['name']}.{kind}.npy" for kind in Textures._fields]
    if not all(path.is_file() for path in paths):
        whole = entries[0]
        if entry is whole:
            array = np.load(cache / f"{whole['name']}.npy", mmap_mode="r")
            warn(f"{whole['name']}: simulating the noise of lower doses, {array.shape[2]} slices")
            axial = np.moveaxis(array, 2, 0).astype(np.float32) * CT_SCALE + CT_OFFSET
            # of the voxels, not of the name, which holds a path and a date: alike on all machines
            rng = np.random.default_rng(list(hashlib.sha256(array.tobytes()).digest()))
            made = noise_textures(axial, float(np.mean(whole["spacing"][:2])), rng)
            made = tuple(np.moveaxis(texture, 0, 2) for texture in made)
        else:
            made = _textures(entries, whole, cache, warn)
            for axis in range(3):
                factor = entry["spacing"][axis] / whole["spacing"][axis]
                if factor > 1:
                    made = tuple(bin_axes(texture, axis, factor) for texture in made)
        for path, texture in zip(paths, made, strict=True):
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, texture)
    return Textures(*(np.load(path, mmap_mode="r") for path in paths))


def _levels(
    entry: dict[str, Any], array: NDArray[np.float16], textures: Textures, cache: Path
) -> Levels:
    """Return the noise levels that the enhancer would estimate; they are kept on the disk."""
    from diff_medical.noise.level import estimate

    path = cache / f"{entry['name']}.levels.json"
    if not path.is_file():
        scan = array.astype(np.float32) * CT_SCALE + CT_OFFSET
        spacing = tuple(entry["spacing"])
        own = estimate(scan, spacing, modality="ct").sigma
        found = [own]
        for texture in textures:
            body = np.abs(texture[scan > -200])
            much = LOUD / max(float(np.median(body)), 1e-6) if body.size else 0.0
            both = estimate(scan + np.float32(much) * texture, spacing, modality="ct").sigma
            found.append(max(both**2 - own**2, 0.0) ** 0.5 / much if much else 0.0)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(found))
    return Levels(*json.loads(path.read_text()))


def _entries(row: Row, cache: Path, reading: Reading) -> list[dict[str, Any]]:
    """Return the cache's entries of a scan; fill the cache if need be."""
    if not row.path.is_file():
        raise ValueError("no such file")
    # a DICOM series is all the files of its folder
    status = (row.path if SCANS.matches(row.path) else row.path.parent).stat()
    how = {name: value for name, value in asdict(reading).items() if value is not None}
    said = (str(row.path.resolve()), row.modality, row.volume, how)
    key = json.dumps([FORMAT, said, status.st_size, status.st_mtime_ns])
    name = f"{row.path.name.split('.')[0]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    index = cache / f"{name}.json"
    if index.is_file():
        entries = json.loads(index.read_text())
        if all((cache / f"{entry['name']}.npy").is_file() for entry in entries):
            return entries
    entries = list(_copies(row, name, cache, reading))
    with replacing(index) as temporary:
        temporary.write_text(json.dumps(entries))
    return entries


def _copies(row: Row, name: str, cache: Path, reading: Reading) -> Iterator[dict[str, Any]]:
    from diff_medical.noise.level import detail_sigma, fine_axes

    loaded = load_scan(row.path, row.volume, reading)
    values, spacing, notes = loaded.values, loaded.spacing, list(loaded.notes)
    modality = row.modality or recognise(values)
    if float(values.max()) == float(values.min()):
        raise ValueError("all voxels are equal")
    if modality == "ct":
        values = values.clip(-1024, 3000)
    normal = scale(values, modality).normalise(values)
    wild = int((np.abs(normal) > OUTLIER).sum())
    if wild:
        normal = normal.clip(-OUTLIER, OUTLIER)
        notes.append(f"{wild} voxels are beyond {OUTLIER:g} times the bright level, and cut there")
    noise = float(detail_sigma(normal, fine_axes(normal.shape, spacing)))
    for factor in (1.0, 1.5, 2.0):
        axes = tuple(
            a for a in range(3) if spacing[a] <= THICK * min(spacing) and normal.shape[a] > 4
        )
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
            "notes": notes,
            "voxels": int((normal > FOREGROUND).sum()),
        }


def bin_axes(volume: NDArray[np.float32], axis: int, factor: float) -> NDArray[np.float32]:
    """Return the means of `factor` (1.5 or 2) neighbouring voxels along an axis; a remainder is
    dropped.
    """
    doubled = np.repeat(volume, 2, axis=axis)
    width = round(2 * factor)
    length = doubled.shape[axis] // width
    doubled = np.moveaxis(doubled, axis, 0)[: length * width]
    binned = doubled.reshape(length, width, *doubled.shape[1:]).mean(1)
    return np.ascontiguousarray(np.moveaxis(binned, 0, axis), dtype=np.float32)
