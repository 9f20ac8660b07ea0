"""Muon beside AdamW: which weights each moves, and that each moves them as the plain one does."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from diff_core.train import TrainConfig
from diff_core.train.optimizer import MuonAdamW, make_optimizer, matrices_of


def network() -> nn.Sequential:
    torch.manual_seed(0)
    filters = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 32, 3)
    return nn.Sequential(*filters, nn.Flatten(), nn.Linear(32, 24), nn.Linear(24, 3))


def backward(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.randn(
            parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())
        )


def test_filters_and_matrices_inside_are_muons() -> None:
    model = nn.ModuleDict({"net": network(), "words": nn.Embedding(40, 32)})
    model["net"][3].weight.requires_grad_(False)
    assert [p.shape for p in matrices_of(model)] == [(32, 16, 3, 3)]
    optimizer = make_optimizer(model, TrainConfig(steps=1, optimizer="muon"))
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == sum(p.requires_grad for p in model.parameters())


def test_a_step_is_orthogonal_and_as_long_as_adamws() -> None:
    """All singular values of the step are near 0.2 sqrt(max(rows, columns)) times the rate."""
    model, rate = network(), 0.01
    before = model[1].weight.detach().clone()
    backward(model)
    make_optimizer(model, TrainConfig(1, optimizer="muon", learning_rate=rate)).step()
    step = (model[1].weight.detach() - before).flatten(1)
    values = torch.linalg.svdvals(step) / (0.2 * rate * math.sqrt(16 * 9))
    assert 0.6 < values.min() and values.max() < 1.3
    # AdamW moves every entry by about its rate
    assert 0.15 * rate < step.square().mean().sqrt() < 0.25 * rate


def test_the_others_move_as_by_adamw_and_rates_change() -> None:
    one, two = network(), network()
    settings = TrainConfig(1, optimizer="muon", learning_rate=0.01, weight_decay=0.1)
    mixed = make_optimizer(one, settings)
    plain = AdamW(two.parameters(), 0.01, (0.9, 0.999), weight_decay=0.1)
    for rate in (0.01, 0.001, 0.02):
        for optimizer, model in ((mixed, one), (plain, two)):
            backward(model)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
    held = {id(p) for p in matrices_of(one)}
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b) == (id(a) not in held)


def test_the_order_of_memory_changes_nothing() -> None:
    one, two = network(), network().to(memory_format=torch.channels_last)
    for model in (one, two):
        optimizer = make_optimizer(model, TrainConfig(1, optimizer="muon", learning_rate=0.01))
        for _ in range(3):
            backward(model)
            optimizer.step()
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_torch_without_muon_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ValueError, match=r"has none, expected 2\.9 or later"):
        MuonAdamW([], [], 0.1)
