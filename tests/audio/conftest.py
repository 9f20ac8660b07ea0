"""Signals and a small network with random weights, for the tests that need no trained one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diff_audio.denoiser.network import BandUNet
from diff_audio.spectra.stft import Spectral
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0
from diff_core.io import Card, save


def small_model() -> FromX0:
    """A little BandUNet whose last layer is random, so that it uses its whole context."""
    torch.manual_seed(0)
    network = BandUNet(channels=(4, 4), width=16, dilations=(1, 2), embedding=8)
    for parameter in network.head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return FromX0(network, SchroedingerBridge())


@pytest.fixture
def model() -> FromX0:
    return small_model()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save(path, small_model(), Card(name="random", signal={"spectrum": Spectral().describe()}))
    return path


@pytest.fixture(scope="session")
def speechlike():
    """speechlike(seconds, rate, channels, seed) -> (C, T): gliding harmonics in syllables."""

    def make(seconds: float, rate: int = 16_000, channels: int = 1, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        t = np.arange(round(seconds * rate)) / rate
        rows = []
        for channel in range(channels):
            phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t + channel)) / rate
            tones = sum(np.sin(k * phase) / k for k in range(1, 20) if k * 150 < rate / 2)
            syllables = np.clip(np.sin(2 * np.pi * 3 * t + channel), 0, 1)
            rows.append(0.2 * tones * syllables + 0.02 * rng.standard_normal(len(t)))
        return np.stack(rows)

    return make
