"""Any module as a network, and what it says when it is used wrongly."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Ddim,
    Denoiser,
    FromV,
    FromX0,
    Tabulated,
    uniform,
)
from diff_core.interop import ModuleNetwork, from_table
from diff_core.interop import diffusers as from_diffusers
from diff_core.interop import monai as from_monai
from diff_core.sample import sample


class Plain(nn.Module):
    """f(x, t) as anyone would write it."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.mix = nn.Conv1d(channels, 1, 3, padding=1)
        self.seen: Tensor | None = None

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.seen = t
        return self.mix(x) + t[:, None, None]


def test_any_module_of_x_and_t() -> None:
    network, x = Plain(), torch.randn(2, 1, 8)
    denoiser: Denoiser = FromX0(ModuleNetwork(network), Cosine())
    got = sample(denoiser, Ddim(), x, uniform(1))
    assert torch.equal(got, network(x, torch.ones(2)))
    table = Tabulated((0.9, 0.5, 0.2, 0.1))
    told = ModuleNetwork(network, scale=4, offset=-1)
    denoiser = from_table(told, torch.tensor(table.alphas_cumprod), "v_prediction")
    expected = FromV(told, table)
    for t, index in ((1.0, 3.0), (0.5, 1.0), (0.25, 0.0), (0.1, 0.0)):
        torch.testing.assert_close(denoiser(x, torch.tensor(t)), expected(x, torch.tensor(t)))
        assert network.seen is not None and network.seen.tolist() == [index, index]
    wide = ModuleNetwork(Plain(3))
    channels = torch.randn(2, 2, 8)
    expected_wide = wide.network(torch.cat([x, channels], 1), torch.ones(2))
    assert torch.equal(wide(x, torch.ones(2), Condition(channels=channels)), expected_wide)


def test_errors_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    x, time = torch.randn(2, 1, 8), torch.ones(2)
    wrapped = ModuleNetwork(Plain())
    for name in ("vector", "tokens", "lengths", "token_lengths"):
        with pytest.raises(ValueError, match=f"cond has {name}.*Plain does not take"):
            wrapped(x, time, Condition(**{name: torch.ones(2)}))
    with pytest.raises(ValueError, match=r"returned shape \(2, 1, 8\).*\(2, 3, 8\)"):
        ModuleNetwork(Plain(3))(torch.randn(2, 3, 8), time)
    with pytest.raises(ValueError, match="prediction_type is 'noise'; expected one of epsilon"):
        from_table(wrapped, torch.tensor([0.9, 0.5]), "noise")
    with pytest.raises(ValueError, match="network is a Plain; expected one of UNet1DModel"):
        from_diffusers.DiffusersNetwork(Plain())
    for library, module, call in (
        ("diffusers", "diffusers", from_diffusers.types),
        ("monai", "monai.networks.nets.autoencoderkl", from_monai.types),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ModuleNotFoundError, match=rf"pip install diff-core\[{library}\]"):
            call()
