"""A page on one enhancement: before and after in three planes, what was removed, what was checked.

One HTML file that needs nothing else, no network either. Planes only: a surface in 3-D would show
the patient's face.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing

from .checks import SUSPICIOUS
from .picture import colour_limit, grey_levels, upright

if TYPE_CHECKING:
    from .enhancer import Enhanced
    from .scans import Outcome

__all__ = ["write_report"]

Array = NDArray[np.float32]
NAMES = ("Sagittal", "Coronal", "Axial")
MAGNITUDE = (
    " Noise of magnitudes is positive where there is no signal, and all of it is removed there."
)
SMALLEST = 320  # pixels, to which small planes are enlarged


class Plane(NamedTuple):
    """A middle slice of every volume. ratio: width / height in mm."""

    name: str
    ratio: float
    before: Array
    after: Array
    doubt: Array | None


def write_report(
    path: Path,
    before: Array,
    result: Enhanced,
    spacing: tuple[float, float, float],
    affine: NDArray[np.floating],
    outcome: Outcome,
) -> None:
    """Writes the page on `result`, made of `before` (X, Y, Z), to `path`, whole or not at all."""
    planes = list(_planes(before, result, spacing, affine))
    low, high = grey_levels(result.volume, result.modality)
    limit = colour_limit(before - result.volume, high - low)
    unit = "HU" if result.modality == "ct" else "units of the scan"
    sections = [
        _section(
            "Before and after",
            "Drag across an image, or use the arrow keys: left of the line is the scan before, "
            f"right of it the result. Grey levels {low:.4g} to {high:.4g} {unit}.",
            [_slider(plane, low, high) for plane in planes],
            planes,
        ),
        _section(
            "What was removed",
            "Before minus after. It should look like noise and nothing else: outlines of anatomy "
            f"in here were lost from the result. Blue −{limit:.3g} to red {limit:.3g} {unit}."
            + MAGNITUDE
            * result.noise.is_magnitude,
            [_image(p, p.before - p.after, "RdBu_r", -limit, limit, "removed") for p in planes],
            planes,
        ),
    ]
    if result.uncertainty is not None and result.uncertainty.any():
        top = float(np.quantile(result.uncertainty[result.uncertainty > 0], 0.995))
        sections.append(
            _section(
                "Uncertainty",
                "Standard deviation of the error of each voxel, as the network has it: the truth "
                "should lie within twice of it in about 19 of 20 voxels. Black 0 to yellow "
                f"{top:.3g} {unit}. What the network never saw, it cannot doubt.",
                [
                    _image(p, p.doubt, "inferno", 0.0, top, "uncertainty")
                    for p in planes
                    if p.doubt is not None
                ],
                planes,
            )
        )
    page = Template(files("diff_medical").joinpath("report.html").read_text(encoding="utf-8"))
    text = page.substitute(
        title=escape(Path(outcome.input).name),
        made=f"{datetime.now():%d %B %Y, %H:%M}",
        code=escape(f"diff-medical {outcome.code}, {outcome.model}"),
        verdict=_verdict(outcome),
        cards="".join(_cards(result, high - min(low, 0.0) if unit != "HU" else 0.0)),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in outcome.notes),
        sections="".join(sections),
        facts="".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in _facts(outcome)
        ),
    )
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _planes(
    before: Array, result: Enhanced, spacing: tuple[float, float, float], affine: Array
) -> Iterator[Plane]:
    volumes = [before, result.volume]
    if result.uncertainty is not None:
        volumes.append(result.uncertainty)
    turned = [upright(volume, spacing, affine) for volume in volumes]
    sizes = turned[0][1]
    shape = turned[0][0].shape
    for axis in (2, 1, 0):
        left, right = [a for a in range(3) if a != axis]
        if min(shape[left], shape[right]) < 2:
            continue
        cut = [np.take(v, shape[axis] // 2, axis=axis).T[::-1] for v, _ in turned]
        ratio = shape[left] * sizes[left] / (shape[right] * sizes[right])
        yield Plane(NAMES[axis], ratio, cut[0], cut[1], cut[2] if len(cut) > 2 else None)


def _png(plane: Array, colours: str, low: float, high: float) -> str:
    """A data URI."""
    from matplotlib.image import imsave

    times = max(1, -(-SMALLEST // max(plane.shape)))
    large = np.kron(plane, np.ones((times, times), np.float32))
    buffer = io.BytesIO()
    imsave(buffer, large, cmap=colours, vmin=low, vmax=high, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _image(plane: Plane, values: Array, colours: str, low: float, high: float, what: str) -> str:
    source = _png(values, colours, low, high)
    return (
        f'<figure style="--r:{plane.ratio:.4f}"><div class="frame">'
        f'<img src="{source}" alt="{plane.name} plane, {what}"></div>'
        f"<figcaption>{plane.name}</figcaption></figure>"
    )


def _slider(plane: Plane, low: float, high: float) -> str:
    before, after = (_png(v, "gray", low, high) for v in (plane.before, plane.after))
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


def _section(title: str, text: str, figures: list[str], planes: list[Plane]) -> str:
    total = sum(plane.ratio for plane in planes)
    return (
        f"<section><h2>{title}</h2><p>{text}</p>"
        f'<div class="planes" style="--sum:{total:.4f}">{"".join(figures)}</div></section>'
    )


def _verdict(outcome: Outcome) -> str:
    if outcome.unchanged:
        return f'<p class="verdict">Left as it was: {escape(outcome.unchanged)}.</p>'
    worries = len(outcome.checks.remarks()) if outcome.checks else 0
    if worries:
        return '<p class="verdict look">Look at what was removed: a check is out of range.</p>'
    return '<p class="verdict fine">Noise removed; all checks within their range.</p>'


def _cards(result: Enhanced, contrast: float) -> Iterator[str]:
    noise, checks = result.noise, result.checks
    kind = f"{noise.distribution}, {noise.coils} coils" if noise.coils > 1 else noise.distribution
    share = f", {noise.sigma / contrast:.1%} of the grey levels" if contrast > 0 else ""
    yield _card("Noise level", f"{noise.sigma:.4g}", f"{kind}; {noise.method}{share}")
    if checks is None:
        return
    if checks.gain is not None:
        gain = f"{checks.gain:.1f} dB"
        yield _card("Expected gain", gain, "estimated without a reference", True)
    text = " / ".join("–" if w is None else f"{w:+.2f}" for w in checks.whiteness)
    worst = max((w for w in checks.whiteness if w is not None), default=0.0)
    most = f"at most {SUSPICIOUS}"
    yield _card(
        "Removed: neighbours", text, f"correlation along x / y / z; {most}", worst <= SUSPICIOUS
    )
    edges = f"{checks.edges:+.2f}"
    yield _card("Removed: edges", edges, f"correlation; {most}", checks.edges <= SUSPICIOUS)
    spread = f"{checks.spread:.2f}"
    yield _card("Removed: strength", spread, "standard deviation in units of noise")
    yield _card(
        "Held back", f"{checks.bounded:.2%} / {checks.broad:.2%}",
        "of voxels, by the bounds on single voxels / on broad changes",
    )  # fmt: skip


def _card(name: str, value: str, text: str, fine: bool | None = None) -> str:
    state = "" if fine is None else " fine" if fine else " look"
    return (
        f'<div class="card{state}"><h3>{escape(name)}</h3><strong>{escape(value)}</strong>'
        f"<span>{escape(text)}</span></div>"
    )


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield "Input", outcome.input
    yield "Output", outcome.output
    yield "Voxels", " × ".join(map(str, outcome.shape))
    yield "Voxel size", " × ".join(f"{s:.3g}" for s in outcome.spacing) + " mm"
    yield "Taken for", {"mr": "MR", "ct": "CT"}[outcome.modality]
    if outcome.correlation is not None:
        yield "Noise of neighbours", f"correlation {outcome.correlation:.2f}"
    how = f"mean of {outcome.samples} posterior samples, seed {outcome.seed}"
    yield "Estimate", how if outcome.samples else "posterior mean, one pass"
    yield "Share of the change made", f"{outcome.strength:.0%}"
    yield "Datatype", f"{outcome.dtype}: {outcome.policy}"
    yield "Time", f"{outcome.seconds:.1f} s"
