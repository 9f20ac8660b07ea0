"""The main numbers of a denoised recording, for the index of pages."""

from __future__ import annotations

import math

from diff_audio.denoiser import confidence
from diff_audio.denoiser.confidence import Tracks
from diff_audio.denoiser.outcome import Outcome

__all__ = ["numbers", "over_removed"]


def numbers(outcome: Outcome, tracks: Tracks) -> dict[str, float | str | None]:
    """Return the numbers of a recording by the title of their column; None where there is none.

    tracks: what was gathered while it was denoised
    """
    speech = [second for second in confidence.seconds(tracks) if second.sdr_db is not None]
    doubtful = sum(second.doubtful for second in speech)
    return {
        "Length, s": outcome.seconds,
        "Speech, dBFS": outcome.level_db,
        "Speech over removed, dB": None if outcome.level_db is None else over_removed(tracks),
        "Doubtful seconds, %": 100 * doubtful / len(speech) if speech else None,
        "Clipped samples": float(outcome.flat + outcome.clipped),
    }


def over_removed(tracks: Tracks) -> float | None:
    """Return the kept speech over the removed part below 8 kHz, dB; None if either is 0."""
    kept, removed = (float(row.sum()) for row in (tracks.kept, tracks.removed))
    return 10 * math.log10(kept / removed) if kept > 0 and removed > 0 else None
