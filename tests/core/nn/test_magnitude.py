"""The magnitude-preserving U-Net: unit activations, weights that stay on the sphere."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diff_core.condition import Condition
from diff_core.nn import UNet
from diff_core.nn.layers import conv, conv_transpose
from diff_core.nn.magnitude import join, mix, normalise_weights, pixel_norm, silu, unit


def test_primitives_keep_unit_power() -> None:
    a, b = torch.randn(4, 60, 5000), torch.randn(4, 20, 5000)
    assert silu(a).square().mean().item() == pytest.approx(1, abs=0.01)
    assert mix(a[:, :20], b).square().mean().item() == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(mix(a, a * 0, 0.25), a * 0.75 / (0.75**2 + 0.25**2) ** 0.5)
    joined = join(a, b)
    assert joined[:, :60].square().sum().item() == pytest.approx(
        joined[:, 60:].square().sum().item(), rel=0.01
    )
    assert joined.square().mean().item() == pytest.approx(1, abs=0.01)
    power = pixel_norm(3 * a).square().mean(1)
    torch.testing.assert_close(power, torch.ones_like(power), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "layer",
    [
        conv(2, 24, 16, 3, bias=False),
        conv(2, 24, 16, (2, 2), stride=(2, 2), bias=False),
        conv_transpose(2, 24, 16, (2, 3), bias=False),
        nn.Linear(40, 24, bias=False),
    ],
)
def test_unit_layers_keep_unit_power_whatever_the_size_of_the_weights(layer: nn.Module) -> None:
    unit(layer)
    x = torch.randn(8, 24, 40, 40)
    result = layer(x)[..., 4:-4, 4:-4]
    assert result.square().mean().item() == pytest.approx(1, abs=0.05)
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(7)  # type: ignore[union-attr, operator]
    torch.testing.assert_close(layer(x)[..., 4:-4, 4:-4], result, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_activations_have_unit_magnitude_at_every_block(spatial: int) -> None:
    network = UNet(
        spatial, 3, 3, (32, 64, 64), vector_dim=8, magnitude_preserving=True, attention=()
    )
    powers: dict[str, float] = {}
    for name, module in network.named_modules():
        if re.fullmatch(r"stem|(down|up|merge)\.\d|(en|de)coder\.\d\.blocks\.\d", name):

            def note(_: nn.Module, __: object, result: Tensor, name: str = name) -> None:
                powers[name] = result.square().mean().item()

            module.register_forward_hook(note)
    x = torch.randn(8, 3, *((256,), (24, 24), (12, 12, 12))[spatial - 1])
    network(x, torch.rand(8), Condition(vector=torch.randn(8, 8)))
    assert len(powers) == 1 + 3 * 2 + 2 + 2 + 2 + 2 * 2
    for name, power in powers.items():
        assert 0.7 < power < 1.3, (name, power)


def test_raw_weights_return_to_the_sphere_without_changing_the_result() -> None:
    network = UNet(1, 1, 1, (8, 16), magnitude_preserving=True).double()
    nn.init.ones_(network.head.gain)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(1 + torch.rand(parameter.shape[0], *[1] * (parameter.ndim - 1)))
    x, time = torch.randn(2, 1, 16).double(), torch.tensor(0.5)
    before = network.eval()(x, time)
    normalise_weights(network)
    torch.testing.assert_close(network(x, time), before)
    raw = network.stem.parametrizations.weight.original
    power = raw.square().mean((1, 2))
    torch.testing.assert_close(power, torch.ones_like(power))


def test_two_passes_before_one_backward_pass() -> None:
    network = UNet(1, 1, 1, (8, 16), blocks=1, magnitude_preserving=True)
    x, time = torch.randn(2, 1, 16), torch.tensor(0.5)
    (network(x, time) + network(2 * x, time)).sum().backward()
    assert network.head.gain.grad is not None and network.head.gain.grad != 0


def test_training_keeps_weights_on_the_sphere_and_learns() -> None:
    network = UNet(1, 1, 1, (16, 32), blocks=1, magnitude_preserving=True)
    assert network(torch.randn(2, 1, 16), torch.tensor(0.5)).abs().max() == 0
    x, target, time = torch.randn(2, 1, 16), torch.randn(2, 1, 16), torch.tensor([0.1, 0.8])
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(120):
        loss = F.mse_loss(network(x, time), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * target.square().mean()
    network(x, time)
    power = network.stem.parametrizations.weight.original.square().mean((1, 2))
    torch.testing.assert_close(power, torch.ones_like(power))
