"""Text to speech: flow matching of mels with a duration model, and the voice that speaks.

    from diff_audio.voice import Speaker
    wave, rate = Speaker.from_pretrained()("Hello.")       # (T,) float32, 22050

Names are imported when they are first used, so that commands answer --help quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_audio.voice.model import Voice
    from diff_audio.voice.speaker import Manner, Piece, Speaker

__all__ = ["Manner", "Piece", "Speaker", "Voice"]

_HOMES = {"Manner": "speaker", "Piece": "speaker", "Speaker": "speaker", "Voice": "model"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'diff_audio.voice' has no attribute {name!r}")
    return getattr(importlib.import_module(f"diff_audio.voice.{_HOMES[name]}"), name)
