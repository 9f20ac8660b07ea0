"""Checkpoints, cards and recipes from outside: whatever the bytes, a fault that is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged import damaged
from diff_core import Edm, FromX0
from diff_core.io import Card, CheckpointError, load, parse_card, read_card, save
from diff_core.nn import UNet
from diff_core.train import TrainConfig, read_recipe

RECIPE = """
train: {steps: 10, batch_size: 2, learning_rate: 1.0e-3}
network: {channels: [4, 8], name: small}
"""


@dataclass(frozen=True)
class Network:
    channels: tuple[int, ...] = (4, 8)
    name: str = ""


@dataclass(frozen=True)
class Recipe:
    train: TrainConfig
    network: Network = field(default_factory=Network)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "a.safetensors"
    torch.manual_seed(0)
    save(path, FromX0(UNet(1, 1, 1, (4,), blocks=1, embedding=4), Edm()), Card(name="a"))
    return path.read_bytes()


@settings(max_examples=120, derandomize=True)
@given(data=st.data())
def test_a_damaged_checkpoint_loads_or_is_refused(
    checkpoint: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("bad") / "a.safetensors"
    path.write_bytes(data.draw(damaged(checkpoint, header=1200)))
    for reader in (read_card, load):
        try:
            reader(path)
        except CheckpointError as error:
            assert str(path) in str(error)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "purpose", "signal", "data", "licences", "scores", "x"]), json
    ).map(lambda found: __import__("json").dumps(found))
    | st.text(max_size=40)
)
def test_any_text_is_a_card_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_card(Path("a"), text), Card)
    except CheckpointError:
        pass


@settings(max_examples=120, derandomize=True)
@given(data=st.data())
def test_a_damaged_recipe_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("recipe") / "a.yaml"
    path.write_bytes(data.draw(damaged(RECIPE.encode(), header=len(RECIPE))))
    try:
        assert isinstance(read_recipe(Recipe, path), Recipe)
    except ValueError as error:
        assert "\n" not in str(error)
