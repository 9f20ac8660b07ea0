"""The main numbers of an enhanced scan, for the index of pages."""

from __future__ import annotations

from diff_medical.enhancer.outcome import Outcome
from diff_medical.restore.outcome import Restored

__all__ = ["numbers"]


def numbers(outcome: Outcome | Restored) -> dict[str, float | str | None]:
    """Return the numbers of a scan by the title of their column; None where there is none."""
    first: dict[str, float | str | None] = {
        "Kind": outcome.modality.upper(),
        "Noise level": outcome.sigma,
    }
    if isinstance(outcome, Restored):
        filled = outcome.invented
        return {**first, "Filled, %": None if filled is None else 100 * filled}
    checks = outcome.checks
    if outcome.unchanged or checks is None:
        return {**first, "Result": "unchanged" if outcome.unchanged else "enhanced"}
    along = [value for value in checks.whiteness if value is not None]
    return {
        **first,
        "Result": "enhanced",
        "Expected gain, dB": checks.gain,
        "Removed: neighbours": max(along, default=None),
        "Removed: edges": checks.edges,
        "Held back, % of voxels": 100 * checks.bounded,
    }
