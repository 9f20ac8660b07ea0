"""Checkpoints: what is saved comes back; what is damaged is refused in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from diff_core.checkpoint.description import build, describe
from diff_core.condition import Condition
from diff_core.denoiser import FromV, Preconditioned
from diff_core.io import Card, CheckpointError, load, read_card, save
from diff_core.nn import UNet
from diff_core.schedule import Cosine, Edm


def denoiser() -> FromV:
    torch.manual_seed(0)
    model = FromV(UNet(1, 1, 1, (8, 8), vector_dim=2, factors=3), Cosine())
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model.eval()


CARD = Card(
    name="test",
    purpose="to be read back",
    signal={"sample_rate": 16000, "axes": ["time"]},
    data=("nothing",),
    licences=("CC0-1.0",),
    hours=0.5,
    steps=3,
    scores={"PSNR dB": 1.5},
)


def test_round_trip(tmp_path: Path) -> None:
    model, path = denoiser(), tmp_path / "model.safetensors"
    save(path, model, CARD)
    again, card = load(path)
    assert card == CARD == read_card(path)
    assert isinstance(again, FromV) and again.schedule == Cosine()
    x, t, cond = (
        torch.randn(2, 1, 10),
        torch.tensor([0.2, 0.7]),
        Condition(vector=torch.ones(2, 2)),
    )
    assert torch.equal(again(x, t, cond), model(x, t, cond))


def test_half_precision_halves_the_file_and_keeps_float32(tmp_path: Path) -> None:
    model = Preconditioned(UNet(2, 1, 1, (32, 64)), Edm(), sigma_data=0.25)
    save(tmp_path / "full.safetensors", model, CARD)
    save(tmp_path / "half.safetensors", model, CARD, dtype=torch.float16)
    sizes = [(tmp_path / name).stat().st_size for name in ("full.safetensors", "half.safetensors")]
    assert sizes[1] < 0.6 * sizes[0]
    again, _ = load(tmp_path / "half.safetensors")
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


class Twice(nn.Module):
    """A network from outside the core."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.config: dict[str, object] = {"gain": gain}
        self.weight = nn.Parameter(torch.tensor([gain]))

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        return self.weight * x


def test_classes_from_outside_are_named_by_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "twice.safetensors"
    save(path, FromV(Twice(2.0), Cosine()), CARD)
    with pytest.raises(CheckpointError, match="'Twice'"):
        load(path)
    again, _ = load(path, types={"Twice": Twice})
    assert float(again.network.weight) == 2.0


def test_damage_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(CheckpointError, match="no such file"):
        load(path)
    save(path, denoiser(), CARD)
    whole = path.read_bytes()
    for name, data in {
        "empty": b"",
        "text": b"hello, I am not a checkpoint" * 10,
        "truncated": whole[: len(whole) // 2],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(
            CheckpointError, match=f"{name}: not a safetensors file, or damaged"
        ) as e:
            load(tmp_path / name)
        assert "\n" not in str(e.value)


def test_foreign_and_future_files_are_refused(tmp_path: Path) -> None:
    tensors = {"weight": torch.zeros(2)}
    save_file(tensors, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="no diff_core card"):
        load(tmp_path / "foreign.safetensors")
    save_file(tensors, tmp_path / "future.safetensors", metadata={"format": "diff_core/99"})
    with pytest.raises(CheckpointError, match="diff_core/99"):
        load(tmp_path / "future.safetensors")
    save_file(tensors, tmp_path / "bare.safetensors", metadata={"format": "diff_core/1"})
    with pytest.raises(CheckpointError, match="card"):
        load(tmp_path / "bare.safetensors")


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    model = denoiser()
    model.config["network"] = UNet(1, 1, 1, (8, 16), vector_dim=2)
    save(tmp_path / "model.safetensors", model, CARD)
    with pytest.raises(CheckpointError, match=r"do not fit the model; the first, network\."):
        load(tmp_path / "model.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(path, denoiser(), CARD)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save(path, nn.Linear(1, 1), CARD)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@dataclasses.dataclass(frozen=True)
class Point:
    x: object
    y: object


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner).map(tuple) | st.builds(Point, inner, inner),
    max_leaves=10,
)


@given(plain)
def test_build_inverts_describe(thing: object) -> None:
    assert build(describe(thing), {"Point": Point}) == thing


def test_unknown_keywords_are_refused() -> None:
    with pytest.raises(CheckpointError, match="Point"):
        build({"type": "Point", "x": 1, "z": 2}, {"Point": Point})
