"""The vocoder's command with a small network, for its tests."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diff_audio.spectra.mel import Mel
from diff_audio.vocode import main
from diff_audio.vocoder.network import FrameNet
from diff_core.denoiser import FromX0
from diff_core.io import Card, save
from diff_core.schedule import RectifiedFlow


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = FrameNet(width=8, dilations=(1,))
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    path = tmp_path_factory.mktemp("vocoder") / "small.safetensors"
    model = FromX0(network, RectifiedFlow())
    save(path, model, Card(name="random", signal={"mel": Mel().describe()}))
    return path


@pytest.fixture
def vocode(small):
    """vocode("in.wav", "--json") runs the command with the small network, gives its code."""
    fixed = ["--weights", str(small), "--device", "cpu", "--steps", "2", "--rounds", "2"]
    return lambda *arguments: main([*map(str, arguments), *fixed])


@pytest.fixture
def log_mel(tmp_path, speechlike) -> Path:
    path = tmp_path / "in.npy"
    wave = torch.from_numpy(speechlike(0.6, 22_050)[0]).float()
    np.save(path, Mel()(wave).numpy())
    return path
