"""Diffusion for sound: denoise recordings and train denoisers, offline on a laptop.

    from diff_audio import Denoiser
    clean = Denoiser.from_pretrained()(wave, rate)          # wave (T,) or (C, T)

Names are imported when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_audio.enhancer import Denoiser, Settings
    from diff_audio.files import BadFile
    from diff_audio.network import BandUNet
    from diff_audio.recording import Outcome, denoise_file
    from diff_audio.spectral import Spectral

__all__ = ["BadFile", "BandUNet", "Denoiser", "Outcome", "Settings", "Spectral", "denoise_file"]

_HOMES = {
    "BadFile": "files",
    "BandUNet": "network",
    "Denoiser": "enhancer",
    "Outcome": "recording",
    "Settings": "enhancer",
    "Spectral": "spectral",
    "denoise_file": "recording",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'diff_audio' has no attribute {name!r}")
    return getattr(importlib.import_module(f"diff_audio.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
