"""A page of planes through a scan: one HTML file that needs nothing else, no network either.

Planes only: a surface in 3-D would show the patient's face.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing
from diff_medical.marks.mark import NOTICE
from diff_medical.scan.sections import PLACES, Section

__all__ = ["card", "image", "montage", "section", "slider", "write_page"]

Array = NDArray[np.float32]
SMALLEST = 320  # pixels, to which small planes are enlarged
THUMBNAIL = 240  # pixels, to which slices of the montage are made smaller


def write_page(
    path: Path,
    *,
    title: str,
    what: str,
    made: str,
    synthetic: str,
    verdict: str,
    cards: Iterable[str],
    notes: Iterable[str],
    sections: Iterable[str],
    facts: Iterable[tuple[str, str]],
    foot: str,
) -> None:
    """Writes a page to `path`, whole or not at all.

    what:      was done, as in "Noise removed"
    made:      by what software
    synthetic: what the scan says of being synthetic, "" if it says nothing
    verdict, cards, sections: HTML
    facts:     rows of the last table
    foot:      what to know of this kind of page
    """
    template = files("diff_medical.pages").joinpath("templates/report.html")
    page = Template(template.read_text(encoding="utf-8"))
    text = page.substitute(
        title=escape(title),
        what=what,
        made=f"{datetime.now():%d %B %Y, %H:%M}",
        code=escape(made),
        synthetic=_synthetic(synthetic),
        verdict=verdict,
        cards="".join(cards),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        sections="".join(sections),
        facts="".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts
        ),
        foot=foot,
    )
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _synthetic(said: str) -> str:
    if not said:
        return ""
    return (
        f'<p class="verdict look synthetic">{escape(NOTICE)}. The scan says: {escape(said)}.</p>'
    )


def _png(plane: Array, colours: str, low: float, high: float) -> str:
    """A data URI."""
    from matplotlib.image import imsave

    times = max(1, -(-SMALLEST // max(plane.shape)))
    large = np.kron(plane, np.ones((times, times), np.float32))
    buffer = io.BytesIO()
    imsave(buffer, large, cmap=colours, vmin=low, vmax=high, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _thumbnail(plane: Array, ratio: float, low: float, high: float) -> str:
    """A data URI, grey, in the proportions of the patient."""
    from PIL import Image

    grey = np.rint(255 * np.clip((plane - low) / (high - low), 0, 1)).astype(np.uint8)
    width, height = (THUMBNAIL, THUMBNAIL / ratio) if ratio > 1 else (THUMBNAIL * ratio, THUMBNAIL)
    size = (max(1, round(width)), max(1, round(height)))
    buffer = io.BytesIO()
    Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def montage(planes: list[Section], low: float, high: float) -> str:
    """Five planes of each direction of the second of the volumes."""
    rows = "".join(
        f'<h3>{plane.name}</h3><div class="strip" style="--r:{plane.ratio:.4f}">'
        + "".join(
            f'<figure><img src="{_thumbnail(cut, plane.ratio, low, high)}" '
            f'alt="{plane.name} plane, {place:.0%} through"><figcaption>{place:.0%}</figcaption>'
            "</figure>"
            for place, cut in zip(PLACES, plane.cuts[1], strict=True)
        )
        + "</div>"
        for plane in planes
    )
    return (
        "<section><h2>Slices through the result</h2><p>Five planes of each direction, on the same "
        "grey levels; numbers say how far through the volume they lie, from the feet, the back "
        f"and the left.</p>{rows}</section>"
    )


def image(plane: Section, values: Array, colours: str, low: float, high: float, what: str) -> str:
    """One plane in colours between two values."""
    source = _png(values, colours, low, high)
    return (
        f'<figure style="--r:{plane.ratio:.4f}"><div class="frame">'
        f'<img src="{source}" alt="{plane.name} plane, {what}"></div>'
        f"<figcaption>{plane.name}</figcaption></figure>"
    )


def slider(plane: Section, low: float, high: float) -> str:
    """The first and the second volume behind a line that can be dragged."""
    before, after = (_png(plane.middle(number), "gray", low, high) for number in (0, 1))
    return (
        f'<figure style="--r:{plane.ratio:.4f}"><div class="frame pair">'
        f'<img src="{after}" alt="{plane.name} plane, after">'
        f'<img class="before" src="{before}" alt="{plane.name} plane, before">'
        '<span class="tag left">before</span><span class="tag right">after</span>'
        '<span class="line"></span>'
        '<input type="range" min="0" max="100" value="50" '
        f'aria-label="{plane.name} plane: share shown as before" '
        "oninput=\"this.parentNode.style.setProperty('--x', this.value + '%')\"></div>"
        f"<figcaption>{plane.name}</figcaption></figure>"
    )


def section(title: str, text: str, figures: list[str], planes: list[Section]) -> str:
    """A part of the page: figures side by side, and a text."""
    total = sum(plane.ratio for plane in planes)
    return (
        f"<section><h2>{title}</h2><p>{text}</p>"
        f'<div class="planes" style="--sum:{total:.4f}">{"".join(figures)}</div></section>'
    )


def card(name: str, value: str, text: str, fine: bool | None = None) -> str:
    """A number with a name, in green where it is fine, in yellow where it is not."""
    state = "" if fine is None else " fine" if fine else " look"
    return (
        f'<div class="card{state}"><h3>{escape(name)}</h3><strong>{escape(value)}</strong>'
        f"<span>{escape(text)}</span></div>"
    )
