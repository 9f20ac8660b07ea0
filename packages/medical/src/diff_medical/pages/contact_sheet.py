"""A picture of many synthetic scans, each with its conditions and seed, all of it marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing
from diff_medical.generator.request import NORMAL
from diff_medical.marks.mark import NOTICE, Mark
from diff_medical.marks.png import write
from diff_medical.marks.stamp import stamp
from diff_medical.pages.before_after import grey_levels

if TYPE_CHECKING:
    from diff_medical.generator.model import Made

__all__ = ["contact_sheet"]

TILE = 160  # pixels of the longer side of a slice
GAP, MARGIN = 8, 20
BETWEEN = 2  # planes of a volume
LINE = 14  # height of a line of a caption
HEADER, FOOTER = 70, 40
NARROWEST = 560  # width that the texts need
BLACK, GREY, WHITE = 20, 150, 235
ENDS = {
    "axial": "at 0 bottom to 1 top",
    "coronal": "at 0 back to 1 front",
    "sagittal": "at 0 right to 1 left",
}
# Most scans side by side, by the planes that are shown of each.
COLUMNS = {1: 8, 3: 2}

Pixels = NDArray[np.uint8]


def contact_sheet(path: Path, made: Sequence[Made], mark: Mark, *, title: str = "") -> None:
    """Draw slices, or the three middle planes of volumes, into `path` (PNG).

    The patient faces up in axial planes, upright in the others, with the left on the left; in
    sagittal planes the front is on the right. Grey levels are those of each scan: for CT the
    soft-tissue window, else the 1st to the 99.8th percentile.

    mark:  of the first scan; it says how many there are
    title: default: what the scans are

    Raises ValueError where there is nothing to draw.
    """
    if not made:
        raise ValueError("made is empty; expected at least one scan to draw")
    from PIL import Image, ImageDraw

    tiles = [_tile(one) for one in made]
    kinds = list(dict.fromkeys(_kind(one) for one in made))
    captions = [_caption(one, with_kind=len(kinds) > 1) for one in made]
    below = 6 + LINE * max(len(caption) for caption in captions)
    columns = _columns(len(tiles), COLUMNS[1 if all(one.values.ndim == 2 for one in made) else 3])
    width = max(tile.shape[1] for tile in tiles) + GAP
    height = max(tile.shape[0] for tile in tiles) + below + GAP
    rows = -(-len(tiles) // columns)
    size = (
        max(columns * width - GAP, NARROWEST) + 2 * MARGIN,
        HEADER + rows * height + FOOTER,
    )
    sheet: Any = Image.new("L", size, BLACK)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 14), title or _title(made, kinds), WHITE, _font(19))
    draw.text((MARGIN, 42), _subtitle(made, mark), GREY, _font(11))
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        left = MARGIN + number % columns * width
        top = HEADER + number // columns * height
        x = left + (width - GAP - tile.shape[1]) // 2
        y = top + (height - GAP - below - tile.shape[0]) // 2
        sheet.paste(Image.fromarray(tile), (x, y))
        for line, text in enumerate(caption):
            place = (left + (width - GAP) // 2, top + height - GAP - below + 4 + line * LINE)
            draw.text(place, text, GREY, _font(10), anchor="ma")
    draw.text((MARGIN, size[1] - FOOTER + 10), f"{NOTICE}.", GREY, _font(11))
    pixels = np.array(sheet)
    stamp(pixels, scale=2)
    with replacing(path) as temporary:
        write(temporary, pixels, mark)


@cache
def _font(points: int) -> Any:
    """One that matplotlib brings along."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), points)


def _columns(count: int, most: int) -> int:
    """A square or a little wider, without a ragged last row where that can be had."""
    near = min(most, math.ceil(count**0.5))
    full = [n for n in range(near, min(most, near + 2) + 1) if count % n == 0]
    return full[0] if full else near


def _tile(made: Made) -> Pixels:
    """A slice, or three planes of a volume side by side, in grey levels, stamped."""
    sizes = np.linalg.norm(made.affine[:3, :3], axis=0)
    low, high = grey_levels(made.values, "ct" if made.request.modality == "ct" else "mr")
    if made.values.ndim == 2:
        planes = [(made.values, np.delete(sizes, NORMAL[made.request.plane]))]
    else:
        middle = [np.take(made.values, n // 2, axis) for axis, n in enumerate(made.values.shape)]
        planes = [(middle[axis], np.delete(sizes, axis)) for axis in (2, 1, 0)]
    longest = max(n * s for plane, mm in planes for n, s in zip(plane.shape, mm, strict=True))
    drawn = [_drawn(plane, mm * TILE / longest, low, high) for plane, mm in planes]
    for one in drawn:
        stamp(one)
    tall = max(one.shape[0] for one in drawn)
    return np.hstack([_centred(one, tall) for one in drawn])[:, :-BETWEEN]


def _drawn(plane: NDArray[np.float32], scale: NDArray[Any], low: float, high: float) -> Pixels:
    """(W, H) values, the second axis upwards, as grey levels (rows, columns)."""
    from PIL import Image

    grey = np.clip((plane.T[::-1] - low) / (high - low), 0, 1) * 255
    image = Image.fromarray(np.rint(grey).astype(np.uint8))
    width, height = (max(1, round(n * s)) for n, s in zip(plane.shape, scale, strict=True))
    # room for the stamp, whatever the proportions
    size = (max(width, 56), max(height, 12))
    return np.array(image.resize(size, Image.Resampling.BICUBIC))


def _centred(tile: Pixels, height: int) -> Pixels:
    above = (height - tile.shape[0]) // 2
    below = height - tile.shape[0] - above
    return np.pad(tile, ((above, below), (0, BETWEEN)), constant_values=BLACK)


def _kind(made: Made) -> str:
    asked = made.request
    return " ".join(word for word in (asked.modality.upper(), asked.body, asked.plane) if word)


def _title(made: Sequence[Made], kinds: list[str]) -> str:
    what = "slice" if made[0].values.ndim == 2 else "volume"
    kind = kinds[0] if len(kinds) == 1 else f"{len(kinds)} kinds"
    return f"{len(made)} synthetic {what}{'s' * (len(made) > 1)}: {kind}"


def _subtitle(made: Sequence[Made], mark: Mark) -> str:
    seeds = f"seed {mark.seed}"
    if made[-1].seed != mark.seed:
        seeds = f"seeds {mark.seed} to {made[-1].seed}"
    planes = {one.request.plane for one in made}
    ends = ENDS.get(next(iter(planes)), "") if len(planes) == 1 else ""
    steps = f"{mark.sampling['steps']} steps" if "steps" in mark.sampling else ""
    return ", ".join(
        part for part in (f"model {mark.model} {mark.fingerprint}", seeds, steps, ends) if part
    )


def _caption(made: Made, *, with_kind: bool) -> list[str]:
    """One or two lines."""
    where = made.request.position
    at = "" if where is None else f"at {where:.2f}, "
    return [*([_kind(made)] if with_kind else []), f"{at}seed {made.seed}"]
