"""A small restorer with random weights, for tests that need no trained one."""

from __future__ import annotations

from pathlib import Path

import torch

from diff_audio.restorer.network import MelBridgeNet
from diff_audio.restorer.restorer import Restorer
from diff_audio.vocoder.model import Vocoder
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0
from diff_core.io import Card, save

__all__ = ["save_restorer", "small_denoiser", "small_restorer"]


def small_denoiser(*, trained: bool = True) -> FromX0:
    """A little MelBridgeNet; unless `trained` an untrained one, which returns its input."""
    torch.manual_seed(0)
    network = MelBridgeNet(channels=(8, 8), blocks=1, kernel=3, embedding=8)
    if trained:
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():  # branches that begin as nothing
                torch.nn.init.normal_(parameter, std=0.1)
    return FromX0(network, SchroedingerBridge())


def small_restorer(*, trained: bool = True) -> Restorer:
    """A restorer of it, with the shipped vocoder."""
    return Restorer(small_denoiser(trained=trained), Vocoder.from_pretrained(device="cpu"))


def save_restorer(path: Path, *, trained: bool = True) -> Path:
    """Write its checkpoint, and return the path."""
    card = Card(name="restore", signal={"mel": Vocoder.from_pretrained().mel.describe()})
    save(path, small_denoiser(trained=trained), card)
    return path
