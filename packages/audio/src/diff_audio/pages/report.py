"""A page about one denoised recording: to hear, to see, and to know where to doubt.

Everything is inside the file: sound, pictures, style and script. It asks nothing of a network.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diff_audio.denoiser import confidence
from diff_audio.denoiser.confidence import DOUBTFUL_DB, Second, Tracks
from diff_audio.denoiser.outcome import Outcome
from diff_audio.denoiser.settings import Settings
from diff_audio.pages.embed import pictures, players, spectrograms, ticks, write_thumbnail
from diff_audio.pages.numbers import over_removed
from diff_audio.sound.read import read_start
from diff_audio.sound.resample import CORE_RATE
from diff_audio.sound.wave import Array
from diff_core.pages import write_page

__all__ = ["EXCERPT", "write_report"]

EXCERPT = 120
"""Seconds that are shown and played, at most: the page stays under about 15 MB."""

LIKELY_DB = 10.0  # expected ratio from which a second is drawn as sure
TALLEST_DB, DEEPEST_DB = 25.0, -40.0  # ends of the two tracks


def write_report(
    path: str | os.PathLike[str],
    outcome: Outcome,
    tracks: Tracks,
    settings: Settings,
    reference: Path | None = None,
    thumbnail: Path | None = None,
) -> None:
    """Write the page about `outcome` to `path`.

    tracks:    what was gathered while it was made
    reference: the clean recording, to score input and output against
    thumbnail: a file for a small picture of the spectrograms (JPEG)
    Raises BadFile for a reference that cannot be compared, OSError where writing fails.
    """
    before, after = (_start(Path(name), outcome) for name in (outcome.input, outcome.output))
    waves = {"before": before, "after": after, "removed": before - after}
    found = confidence.seconds(tracks)
    shown = before.shape[1] / outcome.rate
    spectra = spectrograms(waves, outcome.rate)
    if thumbnail is not None:
        write_thumbnail(thumbnail, spectra)
    write_page(
        path,
        "diff_audio.pages",
        "report.html",
        outcome=outcome,
        name=Path(outcome.input).name,
        facts=_facts(outcome),
        notes=_notes(outcome, settings, tracks, found),
        shown=shown,
        is_excerpt=shown < outcome.seconds,
        **players(waves, outcome.rate),
        pictures=pictures(spectra),
        kilohertz=ticks(outcome.rate),
        moments=_moments(shown),
        near=_lanes(tracks, found, settings.dry, shown),
        whole=_lanes(tracks, found, settings.dry, outcome.seconds),
        ends=_moments(outcome.seconds),
        doubted=_spans([second.start for second in found if second.doubtful]),
        sampled=tracks.sampled,
        threshold=DOUBTFUL_DB,
        likely=LIKELY_DB,
        metrics=None if reference is None else _metrics(outcome, reference),
        reference=None if reference is None else reference.name,
    )


def _start(path: Path, outcome: Outcome) -> Array:
    """The first two minutes (C, n) of a file, NaN and Inf set to zero."""
    wave = read_start(path, min(outcome.frames, EXCERPT * outcome.rate))
    return np.nan_to_num(wave, posinf=0.0, neginf=0.0)


def _facts(outcome: Outcome) -> list[str]:
    channels = {1: "mono", 2: "stereo"}.get(outcome.channels, f"{outcome.channels} channels")
    depth = outcome.subtype.removeprefix("PCM_")
    kind = f"{outcome.format} {f'{depth} bit' if depth.isdigit() else depth.lower()}"
    return [_clock(outcome.seconds), f"{outcome.rate / 1000:g} kHz", channels, kind]


def _notes(
    outcome: Outcome, settings: Settings, tracks: Tracks, found: Sequence[Second]
) -> list[tuple[str, str, bool]]:
    """Return the notes: name, text, and whether each is a warning."""
    notes: list[tuple[str, str, bool]] = []
    if outcome.level_db is None:
        text = "The recording is silent. Check the microphone and the channel, and record again."
        notes.append(("Level", text, True))
    else:
        text = f"Speech at {_number(outcome.level_db)} dBFS, kept as it was."
        notes.append(("Level", text, False))
        if (ratio := over_removed(tracks)) is not None:
            text = f"{_number(ratio)} dB speech over what was removed, under 8 kHz."
            notes.append(("Noise", text, False))
    speech = [second for second in found if second.sdr_db is not None]
    if speech:
        count = sum(second.doubtful for second in speech)
        text = f"{count} of {len(speech)} seconds with speech are doubtful."
        if count:
            text += (
                " Listen to them beside the input; keep some of the noise there with --limit 12, "
                "or average draws with --samples 8."
            )
        notes.append(("Trust", text, count > 0))
    if outcome.flat:
        text = (
            f"{outcome.flat} samples of the input were cut off at full scale when it was "
            "recorded; that cannot be undone. Record again at a lower level, or repair it with a "
            "declipper before denoising."
        )
        notes.append(("Clipping", text, True))
    if outcome.clipped:
        text = (
            f"{outcome.clipped} samples of the output lay beyond full scale and were cut off. "
            "Lower the level of the input, or convert it to a float WAV first."
        )
        notes.append(("Clipping", text, True))
    if not outcome.flat and not outcome.clipped:
        notes.append(("Clipping", "None, before or after.", False))
    if outcome.rate > CORE_RATE:
        text = "The network hears up to 8 kHz; what lies above follows its gain."
    else:
        text = f"The network hears all of the recording's {outcome.rate / 2000:g} kHz."
    notes.append(("Band", text, False))
    if outcome.replaced:
        text = (
            f"{outcome.replaced} samples were NaN or Inf: silenced. Export the recording again if "
            "that is possible."
        )
        notes.append(("Damage", text, True))
    amount: list[str] = []
    if settings.limit_db is not None:
        amount.append(f"at most {settings.limit_db:g} dB taken away")
    if settings.mix < 1:
        amount.append(f"{100 * settings.mix:g} % of the result, the rest input")
    if outcome.room:
        amount.append(f"{100 * outcome.room:.0f} % of the input kept because a room echoes")
    passes = f"{settings.steps} pass{'es' if settings.steps > 1 else ''}"
    if settings.samples > 1:
        passes = f"mean of {settings.samples} samples of {passes}"
    if settings.views > 1:
        passes = f"mean of {settings.views} views of {passes}"
    text = "; ".join([passes, *amount])
    notes.append(("Process", text[0].upper() + text[1:] + ".", False))
    return notes


def _moments(length: float) -> list[tuple[str, float]]:
    """Return the labels of the time axis and their places, 0 to 1."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
    step = next((step for step in steps if length / step <= 8), steps[-1])
    count = math.floor(length / step * 0.97)
    return [(_clock(index * step), index * step / length) for index in range(count + 1)]


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Bar:
    """A second in the track of trust: place and width and height, 0 to 1; its class, its words."""

    left: float
    width: float
    height: float
    kind: str
    text: str


def _lanes(
    tracks: Tracks, found: Sequence[Second], dry: float, length: float
) -> dict[str, object]:
    """The gain as points of an SVG line in a box of 1000 x 100, and the bars of trust."""
    before, after = tracks.before, tracks.after(dry)
    frames = min(len(before), math.ceil(length * 10))
    block = max(1, frames // 1000)
    points: list[str] = []
    for start in range(0, frames, block):
        old, new = (float(row[start : start + block].sum()) for row in (before, after))
        if old > 0:
            gain = 10 * math.log10(new / old) if new > 0 else DEEPEST_DB
            x = 1000 * (start + block / 2) / 10 / length
            points.append(f"{x:.1f},{100 * min(1.0, max(0.0, gain / DEEPEST_DB)):.1f}")
    bars: list[Bar] = []
    for second in found:
        if second.start < length and second.sdr_db is not None:
            sure = "sure" if second.sdr_db >= LIKELY_DB else "fair"
            bars.append(
                Bar(
                    second.start / length,
                    min(1.0, length - second.start) / length,
                    min(1.0, max(0.06, second.sdr_db / TALLEST_DB)),
                    "doubt" if second.doubtful else sure,
                    f"{_clock(second.start)}: {_number(second.sdr_db)} dB expected",
                )
            )
    return {"gain": " ".join(points), "bars": bars}


def _spans(starts: Sequence[int]) -> list[str]:
    """Return seconds 3, 4, 5 and 9 as "3 to 6 s", "9 to 10 s"."""
    spans: list[list[int]] = []
    for start in starts:
        if spans and spans[-1][1] == start:
            spans[-1][1] = start + 1
        else:
            spans.append([start, start + 1])
    return [f"{_clock(first)} to {_clock(last)}" for first, last in spans]


def _metrics(outcome: Outcome, reference: Path) -> list[tuple[str, str, str, str, str]]:
    """Return the name, before, after, verdict and definition of each score."""
    from diff_audio.metrics.files import Pair, score_files
    from diff_audio.metrics.scores import BETTER, DEFINITIONS, available

    names = available()
    before, after = (
        score_files(Pair("", reference, Path(path)), names).scores
        for path in (outcome.input, outcome.output)
    )
    rows: list[tuple[str, str, str, str, str]] = []
    for name in names:
        gain = BETTER[name] * (after[name] - before[name])
        verdict = "better" if gain > 0 else "worse" if gain < 0 else "same"
        rows.append(
            (
                name.replace("_", "-").upper(),
                _score(before[name]),
                _score(after[name]),
                verdict if math.isfinite(gain) else "",
                DEFINITIONS[name],
            )
        )
    return rows


def _score(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "\N{EN DASH}"
