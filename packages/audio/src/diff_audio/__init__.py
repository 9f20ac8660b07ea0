"""Diffusion for sound, offline on a laptop: denoise recordings, speak text, train both.

    from diff_audio import Denoiser, Speaker, Vocoder
    clean = Denoiser.from_pretrained()(wave, rate)          # wave (T,) or (C, T)
    wave, rate = Speaker.from_pretrained()("Good morning.")
    wave = Vocoder.from_pretrained()(log_mel)               # (80, N), of diff_audio.mel.Mel

Names are imported when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_audio.enhancer import Denoiser, Settings
    from diff_audio.files import BadFile
    from diff_audio.mel import Mel
    from diff_audio.network import BandUNet
    from diff_audio.recording import Outcome, denoise_file
    from diff_audio.spectral import Spectral
    from diff_audio.vocoder import Vocoder
    from diff_audio.voice import Speaker

__all__ = [
    "BadFile",
    "BandUNet",
    "Denoiser",
    "Mel",
    "Outcome",
    "Settings",
    "Speaker",
    "Spectral",
    "Vocoder",
    "denoise_file",
]

_HOMES = {
    "BadFile": "files",
    "BandUNet": "network",
    "Denoiser": "enhancer",
    "Mel": "mel",
    "Outcome": "recording",
    "Settings": "enhancer",
    "Speaker": "voice",
    "Spectral": "spectral",
    "Vocoder": "vocoder",
    "denoise_file": "recording",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'diff_audio' has no attribute {name!r}")
    return getattr(importlib.import_module(f"diff_audio.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
