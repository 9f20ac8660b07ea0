"""Gains: a network that hands its input through, and a trained one that grows by them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from diff_core.condition import Condition
from diff_core.io import Card, CheckpointError, save
from diff_core.train.run import start_from
from diff_medical.generator.network import ScanNetwork
from diff_medical.generator.vocabulary import Vocabulary

WORDS = Vocabulary(("ct", "t1"), ("head",), ())
COUNT = 3
TIME = torch.tensor([0.1, -0.4])


def network(rank: int, *, gains: bool) -> ScanNetwork:
    return ScanNetwork(2, COUNT, WORDS, 0, (8, 8), 1, (), 8, rank=rank, side=4, gains=gains)


def given() -> tuple[torch.Tensor, Condition]:
    x = torch.randn(2, COUNT, 4, 4, generator=torch.Generator().manual_seed(0))
    return x, Condition(vector=torch.zeros(2, WORDS.size))


def last(made: ScanNetwork) -> nn.Parameter:
    """The bias of the last layer, which is zero at first, as are its weights."""
    *_, bias = made.unet.head.parameters()
    return bias


@pytest.mark.parametrize("rank", [0, 4])
def test_the_last_outputs_multiply_the_input(rank: int) -> None:
    made = network(rank, gains=True)
    x, cond = given()
    with torch.no_grad():
        plain = made(x, TIME, cond)
        gain = torch.tensor([0.5, -1.0, 2.0])
        last(made)[-COUNT:] = gain
        changed = made(x, TIME, cond)
    added = gain.reshape(1, -1, 1, 1) * x
    if rank:  # the first channel is in part the prior's, the more the more noise there is
        beside = (8 * TIME).exp().reshape(-1, 1, 1, 1)
        added[:, :1] *= 1 - beside / (beside + 5.0**2)
    torch.testing.assert_close(changed - plain, added)


@pytest.mark.parametrize("rank", [0, 4])
def test_a_model_grows_by_gains_that_begin_as_zero(tmp_path: Path, rank: int) -> None:
    small, large = network(rank, gains=False), network(rank, gains=True)
    for parameter in small.parameters():
        nn.init.normal_(parameter, std=0.1)
    path = tmp_path / "small.safetensors"
    save(path, small, Card("small"))
    with pytest.raises(CheckpointError, match="gains"):
        start_from(path, large)
    start_from(path, large, grow=True)
    x, cond = given()
    with torch.no_grad():
        torch.testing.assert_close(large(x, TIME, cond), small(x, TIME, cond))
    save(path, large, Card("large"))
    with pytest.raises(CheckpointError, match="here"):
        start_from(path, small, grow=True)
