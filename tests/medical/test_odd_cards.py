"""Weights whose card says anything are used, or refused in one line that names the file."""

from pathlib import Path

import pytest

from diff_core.io import Card, save
from diff_core.nn import UNet
from diff_medical.enhance import main
from diff_medical.generator.model import Generator
from diff_medical.generator.selection import honest, listed
from odd_cards import odd_cards
from tiny_generator import write_generator


def test_a_generator(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    write_generator(good)
    refused = 0
    for path in odd_cards(good, tmp_path / "odd.safetensors", 120):
        try:
            generator = Generator.from_pretrained(path, device="cpu")
        except ValueError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
        else:
            listed(generator.kinds.choices)
            honest(generator.card, generator.kinds.choices)
    assert refused > 30


def test_a_network_alone_is_no_denoiser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.safetensors"
    save(path, UNet(1, 1, 1, (4,), blocks=1, embedding=4), Card(name="a"))
    (tmp_path / "a.nii").write_bytes(b"x")
    assert main([str(tmp_path / "a.nii"), "--weights", str(path)]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "holds a UNet, expected a denoiser of scans" in shown
