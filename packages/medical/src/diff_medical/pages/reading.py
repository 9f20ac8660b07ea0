"""A test in which people tell real from synthetic scans: pictures under names that say nothing.

All pictures are made alike, so that nothing but what is in the scan tells its kind: the same voxel
size, grey levels by the same rule, the field of view cut to what is not air, one size in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing
from diff_core.pages import blind
from diff_medical.data.reading import Reading, load_scan
from diff_medical.scan.intensity import CT_AIR, Modality, recognise, scale
from diff_medical.scan.sections import grey_levels

__all__ = ["NOTE", "QUESTION", "SIDE", "View", "write_test"]

View = Literal["planes", "axial", "coronal", "sagittal"]
"""Three planes of a volume side by side, or one plane."""

QUESTION = "Is it real or synthetic?"
"""What readers are asked."""

NOTE = "A picture of a blind reading test: real or synthetic; its key says which"
"""What each picture says of itself."""

SIDE = 360
"""Pixels along the longer side of the largest plane."""

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
MIDDLE = (0.35, 0.65)  # where a plane of a volume lies, as a share of what is not air
GAP = 4  # pixels between planes
DARK, FEW = 0.1, 0.02  # of the bright level: air; of the fullest row: a row of specks

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Plane:
    """values: (W, H) with the second axis upwards; size: of a pixel, mm; levels: black, white."""

    values: Array
    size: tuple[float, float]
    levels: tuple[float, float]


def write_test(
    files: Mapping[str, Sequence[Path]],
    folder: Path,
    *,
    view: View = "planes",
    voxel: float | None = None,
    seed: int = 0,
    title: str = "Real or synthetic?",
    question: str = QUESTION,
) -> str:
    """Write the page and its pictures into `folder`/test and the key beside it; return the test's
    number, which answers repeat.

    files: of each kind, "real" and "synthetic": as many of both
    view:  of volumes; a file of one slice is shown as it is
    voxel: mm of all pictures; default: the largest voxel side of all scans
    seed:  of the names of the pictures and of where planes lie

    Raises ValueError, one line that names the file, for a scan that cannot be shown, before
    anything is written.
    """
    counts = {kind: len(paths) for kind, paths in files.items()}
    if set(counts) != {"real", "synthetic"} or len(set(counts.values())) > 1 or not counts["real"]:
        raise ValueError(f"files holds {counts}; expected as many real as synthetic ones")
    shown: dict[str, list[_Plane]] = {}
    key: dict[str, dict[str, str]] = {}
    for kind, paths in files.items():
        for path in paths:
            name = blind.token(seed, kind, str(path))
            try:
                shown[name] = _planes(path, view, seed)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            key[name] = {"kind": kind, "file": str(path)}
    planes = [plane for each in shown.values() for plane in each]
    voxel = voxel or max(max(plane.size) for plane in planes)
    longest = max(n * s for p in planes for n, s in zip(p.values.shape, p.size, strict=True))
    drawn = {name: [_drawn(p, voxel, SIDE / longest) for p in shown[name]] for name in shown}
    size = np.max([_size(each) for each in drawn.values()], 0)
    pictures = folder / "test" / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    names = sorted(drawn)  # by a hash, so that neither the order nor the time of a file tells
    for name in names:
        with replacing(pictures / f"{name}.png") as temporary:
            _save(temporary, _joined(drawn[name], size))
    return blind.write_test(
        folder, __package__ or "diff_medical.pages", "read.html",
        [{"trial": name} for name in names], {name: key[name] for name in names},
        title=title, question=question,
    )  # fmt: skip


def _planes(path: Path, view: View, seed: int) -> list[_Plane]:
    loaded = load_scan(path, 0, Reading("zero", "RAS"))
    values, spacing = loaded.values, loaded.spacing
    modality = recognise(values)
    levels = grey_levels(values if min(values.shape) > 1 else np.squeeze(values), modality)
    inside = _inside(values, modality)
    thin = [axis for axis in range(3) if values.shape[axis] == 1]
    axes = thin[:1] or ([2, 1, 0] if view == "planes" else [AXES[view]])
    share = 0.5 if view == "planes" else float(np.interp(_share(seed, path), (0, 1), MIDDLE))
    found: list[_Plane] = []
    for axis in axes:
        left, right = (a for a in range(3) if a != axis)
        low, high = _ends(inside.sum((left, right)))
        cut, mask = np.take(values, round(low + share * (high - 1 - low)), axis), inside.sum(axis)
        box = slice(*_ends(mask.sum(1))), slice(*_ends(mask.sum(0)))
        found.append(_Plane(cut[box], (spacing[left], spacing[right]), levels))
    return found


def _inside(values: Array, modality: Modality) -> NDArray[np.bool_]:
    """The voxels that are not air. Raises ValueError where all is."""
    limit = CT_AIR if modality == "ct" else DARK * scale(values, modality).scale
    inside = values > limit
    if not inside.any():
        raise ValueError("shows nothing but air")
    return inside


def _ends(counts: NDArray[Any]) -> tuple[int, int]:
    """The first and one beyond the last row that is more than specks."""
    hit = np.flatnonzero(counts > FEW * counts.max())
    return int(hit[0]), int(hit[-1]) + 1


def _share(seed: int, path: Path) -> float:
    return int(blind.token(seed, "place", str(path)), 16) / 16**12


def _drawn(plane: _Plane, voxel: float, scale: float) -> Pixels:
    """Grey levels (rows, columns): brought to the common voxel size, then to `scale` pixels/mm."""
    from PIL import Image

    low, high = plane.levels
    grey = np.clip((plane.values.T[::-1] - low) / (high - low), 0, 1).astype(np.float32)
    image: Any = Image.fromarray(grey)
    mm = [n * s for n, s in zip(plane.values.shape, plane.size, strict=True)]
    coarse = [max(1, round(side / voxel)) for side in mm]
    image = image.resize(coarse, Image.Resampling.BOX)
    image = image.resize([max(1, round(side * scale)) for side in mm], Image.Resampling.BICUBIC)
    return np.rint(np.clip(np.asarray(image), 0, 1) * 255).astype(np.uint8)


def _size(planes: Sequence[Pixels]) -> tuple[int, int]:
    """Rows and columns of planes side by side."""
    wide = sum(plane.shape[1] for plane in planes) + GAP * (len(planes) - 1)
    return max(plane.shape[0] for plane in planes), wide


def _joined(planes: Sequence[Pixels], size: NDArray[Any]) -> Pixels:
    """Planes side by side in the middle of a black picture."""
    picture = np.zeros(tuple(size), np.uint8)
    left = (size[1] - _size(planes)[1]) // 2
    for plane in planes:
        top = (size[0] - plane.shape[0]) // 2
        picture[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
        left += plane.shape[1] + GAP
    return picture


def _save(path: Path, picture: Pixels) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Description", NOTE)
    Image.fromarray(picture).save(path, format="PNG", pnginfo=texts)
