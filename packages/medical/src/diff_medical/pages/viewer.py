"""A page that opens a scan before and after in NiiVue: whole volumes whose slices move together.

The page holds the volumes and loads one script, which lies beside it and is shared by all pages of
a folder. Nothing comes from a network. Planes only: a surface in 3-D would show the patient's
face.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from importlib.resources import files
from os import fsencode
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing, writing
from diff_core.pages import write_page as write_html
from diff_medical.marks.mark import NOTICE
from diff_medical.pages.browse import FINENESS, PRESETS, thinning
from diff_medical.scan.packed import packed
from diff_medical.scan.spacing import Spacing

__all__ = ["MOST", "SCRIPT", "remarks", "write_viewer"]

Array = NDArray[np.float32]
SCRIPT = "niivue-0.69.0.js"
"""NiiVue (https://github.com/niivue/niivue) as one script, behind its licences."""

MOST = 32_000_000
"""Voxels of each volume in a page, at most: before and after are then about 100 MB of text."""


def remarks(grid: tuple[int, ...], spacing: Spacing, volumes: int) -> tuple[str, ...]:
    """Return one line for each part of a scan that the page does not show.

    grid: (X, Y, Z); volumes: how many the scan has
    """
    found: list[str] = []
    every = thinning(grid, spacing, MOST)
    if every != (1, 1, 1):
        found.append(
            f"the viewer shows one voxel of {' x '.join(map(str, every))}: it takes "
            f"{MOST // 10**6} million, and the scan has {int(np.prod(grid)) / 1e6:.0f} million"
        )
    if volumes > 1:
        found.append(f"the viewer shows the first of {volumes} volumes")
    return tuple(found)


def write_viewer(
    page: Path,
    scripts: Path,
    title: str,
    volumes: Mapping[str, Array],
    spacing: Spacing,
    affine: NDArray[np.floating],
    levels: tuple[float, float],
    modality: str,
    sigma: float,
    *,
    count: int = 1,
    synthetic: str = "",
) -> str:
    """Write the page, and NiiVue's script where it is not there yet; return the page's address as
    seen from its folder.

    scripts:  the folder of the script
    volumes:  one or two (X, Y, Z), by their titles
    affine:   (4, 4), voxels to mm
    levels:   the values of black and white at first
    sigma:    of the noise; values are kept to a 32nd of it, or to a 65000th of their range, and
              whole numbers are kept where that is finer than 1
    count:    the number of volumes of the scan, of which these are the first
    synthetic: what the scan reports of being synthetic, "" if nothing

    Raises OSError where a file cannot be written, FileExistsError for a page that must not be
    replaced.
    """
    grid = next(iter(volumes.values())).shape
    every = thinning(grid, spacing, MOST)
    cut = tuple(slice(None, None, step) for step in every)
    note = NOTICE[:79] if synthetic else "diff-medical, for a page"
    turn = affine @ np.diag([*every, 1.0])
    sizes = (spacing[0] * every[0], spacing[1] * every[1], spacing[2] * every[2])
    texts = [
        base64.b64encode(
            packed(volume[cut], sizes, turn, sigma / FINENESS, levels=levels, note=note)
        ).decode()
        for volume in volumes.values()
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    script = os.path.relpath(_script(scripts), page.parent)
    view = {
        "names": list(volumes),
        "largest": max(-(-n // step) for n, step in zip(grid, every, strict=True)),
        "levels": list(levels),
        "presets": PRESETS if modality == "ct" else {},
        "unit": "HU" if modality == "ct" else "",
        "script": SCRIPT,
    }
    write_html(
        page, "diff_medical.pages", "viewer.html", title=title, theme="dark", view=view,
        volumes=texts, script=quote(fsencode(Path(script).as_posix())), synthetic=synthetic,
        notes=remarks(grid, spacing, count), notice=NOTICE,
    )  # fmt: skip
    return quote(fsencode(page.name))


def _script(folder: Path) -> Path:
    """Return the script in a folder, and put it there if it is not."""
    held = files("diff_medical.pages").joinpath("niivue", SCRIPT).read_bytes()
    path = folder / SCRIPT
    if not path.is_file() or path.read_bytes() != held:
        folder.mkdir(parents=True, exist_ok=True)
        with writing(overwrite=True), replacing(path) as temporary:
            temporary.write_bytes(held)
    return path
