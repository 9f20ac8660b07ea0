"""Rounded weights: near, few-bitted, and still a checkpoint."""

import math
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diff_core import Edm, Preconditioned, io
from diff_core.checkpoint.tensors import read_tensors
from diff_core.compact import compact, main, rounded
from diff_core.nn import UNet

KINDS = {torch.float16: 11, torch.bfloat16: 8, torch.float32: 24}


@given(st.floats(width=32, allow_nan=False), st.integers(1, 23))
def test_a_number_is_the_nearest_of_so_many_bits(value: float, bits: int) -> None:
    (made,) = rounded(torch.tensor([value]), bits).tolist()
    if math.isinf(value) or abs(value) < 2.0**-126:  # below, fewer bits are left of a number
        assert made == value or abs(made - value) <= 2.0**-126
        return
    fraction, exponent = math.frexp(value)
    expected = math.ldexp(math.copysign(math.floor(abs(fraction) * 2**bits + 0.5), value),
                          exponent - bits)  # fmt: skip
    assert made == (expected if abs(expected) < 2.0**128 else value)


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_type_keeps_its_type_and_its_special_values(kind: torch.dtype) -> None:
    most = torch.finfo(kind).max
    values = torch.tensor([0.0, -0.0, 1.0, most, -most, math.inf, -math.inf, math.nan], dtype=kind)
    made = rounded(values, 3)
    assert made.dtype == kind
    assert torch.equal(made.isfinite(), values.isfinite())
    assert torch.equal(made[:3], values[:3])
    again = rounded(torch.linspace(-3, 3, 101).to(kind), 5)
    assert torch.equal(rounded(again, 5), again)
    assert torch.equal(rounded(values[:7], KINDS[kind]), values[:7])
    whole = torch.arange(5)
    assert rounded(whole, 2) is whole


def test_a_checkpoint_packs_smaller_and_loads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "a.safetensors"
    card = io.Card(name="small", licences=("CC0",))
    denoiser = Preconditioned(UNet(2, 1, 1, (16, 16), embedding=16), Edm())
    io.save(path, denoiser, card, dtype=torch.float16)
    before, size = path.read_bytes(), path.stat().st_size
    assert main([str(path), "--bits", "7"]) == 0
    assert path.stat().st_size == pytest.approx(size, abs=100)
    assert len(zlib.compress(path.read_bytes())) < 0.85 * len(zlib.compress(before))
    loaded, kept = io.load(path)
    assert kept == card
    for name, tensor in loaded.state_dict().items():
        assert torch.allclose(tensor, denoiser.state_dict()[name], rtol=2**-7 + 2**-11, atol=1e-6)
    assert read_tensors(path)[0]["significant_bits"] == "7"


def test_what_is_no_checkpoint_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"no checkpoint")
    assert main([str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert path.read_bytes() == b"no checkpoint"
    with pytest.raises(ValueError, match="bits is 0"):
        rounded(torch.ones(1), 0)
    with pytest.raises(io.CheckpointError):
        compact(path, 7)
