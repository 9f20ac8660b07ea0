"""Weights whose card says anything are used, or refused in one line that names the file."""

from pathlib import Path

import pytest

from diff_audio.denoise import main
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.vocoder.model import Vocoder
from diff_audio.vocoder.network import FrameNet
from diff_core import Edm, FromX0, Preconditioned
from diff_core.io import Card, save
from diff_core.nn import UNet
from odd_cards import odd_cards


def test_a_denoiser(weights: Path, tmp_path: Path) -> None:
    refused = 0
    for path in odd_cards(weights, tmp_path / "odd.safetensors", 120):
        try:
            Denoiser.from_pretrained(path, device="cpu")
        except ValueError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert refused > 50


def test_a_vocoder(tmp_path: Path) -> None:
    from diff_audio.spectra.mel import Mel

    good = tmp_path / "good.safetensors"
    network = FrameNet(channels=593, width=8, dilations=[1])
    save(good, FromX0(network, Edm()), Card(name="v", signal={"mel": Mel().describe()}))
    refused = 0
    for path in odd_cards(good, tmp_path / "odd.safetensors", 120):
        try:
            Vocoder.from_pretrained(path, device="cpu")
        except ValueError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert refused > 50


def test_a_network_alone_is_no_denoiser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.safetensors"
    network = UNet(1, 1, 1, (4,), blocks=1, embedding=4)
    save(path, network, Card(name="a"))
    (tmp_path / "a.wav").write_bytes(b"x")
    assert main([str(tmp_path / "a.wav"), "--weights", str(path)]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "holds a UNet, expected a denoiser of speech" in shown
    save(path, Preconditioned(network, Edm()), Card(name="a"))
    assert main([str(tmp_path / "a.wav"), "--weights", str(path)]) == 1
    assert "no definition of the spectrum" in capsys.readouterr().err
