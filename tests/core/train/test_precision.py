"""The engine narrows the network and nothing else."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from diff_core.train.precision import forward_in, narrow_dtype

CPU = torch.device("cpu")


class Parts(NamedTuple):
    first: Tensor
    rest: tuple[Tensor, ...]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.seen: list[torch.dtype] = []

    def forward(self, x: Tensor) -> dict[str, Parts | Tensor]:
        y = self.layer(x)
        self.seen.append(y.dtype)
        return {"parts": Parts(y, (y, x)), "count": torch.tensor(3)}


@pytest.mark.parametrize("compiled", [False, True])
def test_the_forward_is_narrow_and_what_it_returns_is_not(compiled: bool) -> None:
    if compiled:  # what runs is the same; a C++ compiler is not needed for the check
        torch._dynamo.config.suppress_errors = True
    network, x = Network(), torch.randn(4, 8)
    exact = network(x)["parts"].first
    with forward_in(network, torch.bfloat16, CPU):
        found = network(x)
        assert isinstance(found["parts"], Parts)
        assert {found["parts"].first.dtype, found["parts"].rest[0].dtype} == {torch.float32}
        assert found["count"].dtype == torch.int64
        assert not torch.is_autocast_enabled("cpu")
        assert network.layer(x).dtype == torch.float32  # not by the forward of the model
    assert network.seen == [torch.float32, torch.bfloat16]
    torch.testing.assert_close(found["parts"].first, exact, rtol=0.05, atol=0.05)
    assert "forward" not in vars(network)
    assert torch.equal(network(x)["parts"].first, exact)


def test_names_of_precision() -> None:
    assert narrow_dtype("float32", CPU) is None
    assert narrow_dtype("bfloat16", CPU) is torch.bfloat16
    assert narrow_dtype("auto", torch.device("mps")) is None
