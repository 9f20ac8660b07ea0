"""The denoiser's dial between time and likeness."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

__all__ = ["QUALITIES", "Quality"]


class Quality(StrEnum):
    """How much work to put into a recording."""

    draft = "draft"
    default = "default"
    best = "best"


QUALITIES: dict[Quality, dict[str, Any]] = {
    Quality.draft: {"draft": True},
    Quality.default: {},
    Quality.best: {"views": 4},
}
"""What each sets in `diff_audio.Settings`."""
