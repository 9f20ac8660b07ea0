"""A small live denoiser with random weights, for tests that need no trained one."""

from __future__ import annotations

from pathlib import Path

import torch

from diff_audio.denoiser.live.network import LiveNet
from diff_audio.spectra.stft import Spectral
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0
from diff_core.io import Card, save

__all__ = ["save_live", "small_live"]


def small_live(*, trained: bool = True) -> FromX0:
    """A little LiveNet; unless `trained` an untrained one, which returns its input."""
    torch.manual_seed(0)
    network = LiveNet(channels=(4, 4), width=16, depth=1)
    if trained:
        for parameter in network.head.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return FromX0(network, SchroedingerBridge())


def save_live(path: Path, *, trained: bool = True) -> Path:
    """Write its checkpoint, and return the path."""
    card = Card(name="live", signal={"spectrum": Spectral().describe()})
    save(path, small_live(trained=trained), card)
    return path
