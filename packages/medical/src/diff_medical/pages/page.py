"""A page of planes through a scan: one HTML file that needs nothing else, no network either.

Planes only: a surface in 3-D would show the patient's face.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from diff_core.pages import write_page as write_html
from diff_core.pages.index import write_picture
from diff_medical.marks.mark import NOTICE
from diff_medical.scan.sections import PLACES, Section

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Card",
    "Figure",
    "Page",
    "Part",
    "Strip",
    "image",
    "montage",
    "slider",
    "write_page",
    "write_thumbnail",
]

Array = NDArray[np.float32]
Mood = Literal["", "fine", "look"]
SMALLEST = 320  # pixels, to which small planes are enlarged
THUMBNAIL = 240  # pixels, to which slices of the montage are made smaller


@dataclass(frozen=True)
class Card:
    """A number with a name: marked in green where it is fine, in yellow where it needs a look."""

    name: str
    value: str
    text: str
    mood: Mood = ""


@dataclass(frozen=True)
class Figure:
    """A plane as an image.

    ratio:  width / height
    source: a data URI
    what:   what it shows, for those who cannot see it
    before: another data URI, which a line that can be dragged parts from the first; "" for none
    """

    name: str
    ratio: float
    source: str
    what: str = ""
    before: str = ""


@dataclass(frozen=True)
class Part:
    """A part of a page: a text, and figures side by side."""

    title: str
    text: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Strip:
    """Slices in one direction: (place, data URI) of each; ratio is width / height."""

    name: str
    ratio: float
    cuts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """The content of a page.

    what:      what was done, as in "Noise removed"
    made:      the software
    synthetic: what the scan reports of being synthetic, "" if nothing
    verdict:   one sentence, and its mood
    facts:     rows of the last table
    foot:      what a reader should know of this kind of page
    browse:    volumes to scroll through (`diff_medical.pages.browse`)
    viewer:    the address of the page that opens them in NiiVue, "" for none
    """

    what: str
    made: str
    synthetic: str
    verdict: str
    mood: Mood
    cards: Sequence[Card]
    notes: Sequence[str]
    parts: Sequence[Part]
    facts: Sequence[tuple[str, str]]
    foot: str
    strips: Sequence[Strip] = ()
    browse: dict[str, Any] | None = None
    viewer: str = ""


def write_page(path: Path, title: str, page: Page) -> None:
    """Write a page to `path`, whole or not at all."""
    write_html(
        path, "diff_medical.pages", "report.html", title=title, theme="dark", page=page,
        when=f"{datetime.now():%d %B %Y, %H:%M}", notice=NOTICE,
    )  # fmt: skip


def montage(planes: Iterable[Section], low: float, high: float) -> list[Strip]:
    """Return five planes of each direction of the second of the volumes."""
    return [
        Strip(
            plane.name,
            plane.ratio,
            [
                (f"{place:.0%}", _thumbnail(cut, plane.ratio, low, high))
                for place, cut in zip(PLACES, plane.cuts[1], strict=True)
            ],
        )
        for plane in planes
    ]


def image(
    plane: Section, values: Array, colours: str, low: float, high: float, what: str
) -> Figure:
    """Return one plane in colours between two values."""
    return Figure(plane.name, plane.ratio, _png(values, colours, low, high), what)


def slider(plane: Section, low: float, high: float) -> Figure:
    """Return the first and the second volume behind a line that can be dragged."""
    before, after = (_png(plane.middle(number), "gray", low, high) for number in (0, 1))
    return Figure(plane.name, plane.ratio, after, before=before)


def _png(plane: Array, colours: str, low: float, high: float) -> str:
    """Return a data URI."""
    from matplotlib.image import imsave

    times = max(1, -(-SMALLEST // max(plane.shape)))
    large = np.kron(plane, np.ones((times, times), np.float32))
    buffer = io.BytesIO()
    imsave(buffer, large, cmap=colours, vmin=low, vmax=high, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _thumbnail(plane: Array, ratio: float, low: float, high: float) -> str:
    """Return a data URI, grey, in the proportions of the patient."""
    buffer = io.BytesIO()
    _small(plane, ratio, low, high).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def write_thumbnail(path: Path, plane: Section, low: float, high: float) -> None:
    """Write the middle of the first and the second volume side by side. Raises OSError."""
    from PIL import Image

    shown = [
        _small(np.nan_to_num(plane.middle(number), nan=low), plane.ratio, low, high)
        for number in (0, min(1, len(plane.cuts) - 1))
    ]
    width, height = shown[0].size
    both = Image.new("L", (2 * width + 2, height))
    for column, one in enumerate(shown):
        both.paste(one, (column * (width + 2), 0))
    buffer = io.BytesIO()
    both.save(buffer, "JPEG", quality=85)
    write_picture(path, buffer.getvalue())


def _small(plane: Array, ratio: float, low: float, high: float) -> Image:
    """Return a plane in grey, in the proportions of the patient."""
    from PIL import Image

    grey = np.rint(255 * np.clip((plane - low) / (high - low), 0, 1)).astype(np.uint8)
    width, height = (THUMBNAIL, THUMBNAIL / ratio) if ratio > 1 else (THUMBNAIL * ratio, THUMBNAIL)
    size = (max(1, round(width)), max(1, round(height)))
    return Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)
