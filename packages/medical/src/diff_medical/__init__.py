"""Diffusion for scans: enhance MRI and CT volumes and train enhancers, offline on a laptop.

    from diff_medical import Enhancer
    enhanced = Enhancer.from_pretrained()(volume, (1.0, 1.0, 1.2))      # (X, Y, Z), voxel size mm
    enhanced.volume, enhanced.noise.sigma

Names are imported when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_medical.checks import Checks
    from diff_medical.enhancer import Enhanced, Enhancer
    from diff_medical.metrics import Scores, score
    from diff_medical.network import SlabNetwork, slab_denoiser
    from diff_medical.nifti import ScanError
    from diff_medical.noise import estimate
    from diff_medical.noise_model import Noise
    from diff_medical.predict import posterior_mean
    from diff_medical.scans import Outcome, enhance_file
    from diff_medical.settings import Settings

__all__ = [
    "Checks",
    "Enhanced",
    "Enhancer",
    "Noise",
    "Outcome",
    "ScanError",
    "Scores",
    "Settings",
    "SlabNetwork",
    "enhance_file",
    "estimate",
    "posterior_mean",
    "score",
    "slab_denoiser",
]

_HOMES = {
    "Checks": "checks",
    "Enhanced": "enhancer",
    "Enhancer": "enhancer",
    "Noise": "noise_model",
    "Outcome": "scans",
    "ScanError": "nifti",
    "Scores": "metrics",
    "Settings": "settings",
    "SlabNetwork": "network",
    "enhance_file": "scans",
    "estimate": "noise",
    "posterior_mean": "predict",
    "score": "metrics",
    "slab_denoiser": "network",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'diff_medical' has no attribute {name!r}")
    return getattr(importlib.import_module(f"diff_medical.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
