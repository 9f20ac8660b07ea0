"""A signal in a padded batch, with padded tokens, gives what it gives alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.nn import DiT, GroupNorm, UNet
from diff_core.nn.lengths import extend, valid_cells


def perturb(network: nn.Module) -> nn.Module:
    """Random weights everywhere: the zero-initialised layers would hide what they do."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network.double().eval()


def unet(spatial: int, **kwargs: object) -> nn.Module:
    usual: dict[str, object] = {
        "blocks": 1,
        "factors": (2, 3),
        "attention": (1,),
        "heads": 2,
        "rotary": True,
        "token_dim": 4,
    }
    channels = (6 * spatial, 12 * spatial, 12)
    return perturb(UNet(spatial, 2, 3, channels, cond_channels=1, **(usual | kwargs)))  # type: ignore[arg-type]


def dit(spatial: int, **kwargs: object) -> nn.Module:
    usual: dict[str, object] = {"patch": 3, "width": 24, "depth": 2, "heads": 2, "token_dim": 4}
    return perturb(DiT(spatial, 2, 3, cond_channels=1, **(usual | kwargs)))  # type: ignore[arg-type]


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "group": unet,
    "frame": lambda spatial: unet(spatial, norm="frame"),
    "none": lambda spatial: unet(spatial, norm="none"),
    "magnitude": lambda spatial: unet(spatial, magnitude_preserving=True),
    "dit": dit,
}


@pytest.mark.parametrize("kind", list(NETWORKS))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_padded_batch_equals_each_signal_alone(kind: str, data: st.DataObject) -> None:
    spatial = data.draw(st.integers(1, 3), label="spatial")
    size = data.draw(st.integers(1, 21), label="size")
    lengths = torch.tensor(
        data.draw(st.lists(st.integers(1, size), min_size=1, max_size=3), label="lengths")
    )
    token_lengths = torch.tensor(
        data.draw(st.lists(st.integers(1, 5), min_size=len(lengths), max_size=len(lengths)))
    )
    network = NETWORKS[kind](spatial)
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    batch, other = len(lengths), (3, 4)[: spatial - 1]
    x, channels = draw(batch, 2, *other, size), draw(batch, 1, *other, size)
    time, tokens = torch.rand(batch, dtype=torch.float64), draw(batch, 5, 4)
    padding = ~valid_cells(lengths, 1, size, x.ndim)
    x, channels = x.masked_fill(padding, torch.nan), channels.masked_fill(padding, torch.inf)
    tokens[torch.arange(5) >= token_lengths[:, None]] = torch.nan
    together = network(x, time, Condition(None, channels, tokens, lengths, token_lengths))
    for b, (n, m) in enumerate(zip(lengths.tolist(), token_lengths.tolist(), strict=True)):
        alone = network(
            x[b : b + 1, ..., :n],
            time[b],
            Condition(channels=channels[b : b + 1, ..., :n], tokens=tokens[b : b + 1, :m]),
        )
        torch.testing.assert_close(together[b : b + 1, ..., :n], alone, rtol=1e-9, atol=1e-9)
        assert not together[b, ..., n:].any()


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_gradients_are_those_of_each_signal_alone(kind: str) -> None:
    network, lengths = NETWORKS[kind](1), torch.tensor([11, 5])
    token_lengths = torch.tensor([3, 5])
    x, tokens = torch.randn(2, 3, 11).double(), torch.randn(2, 5, 4).double()
    target = torch.randn(2, 3, 11).double()

    def gradients(rows: slice, n: int, m: int, *lengths: Tensor) -> list[Tensor]:
        network.zero_grad()
        cond = Condition(None, x[rows, 2:, :n], tokens[rows, :m], *lengths)
        result = network(x[rows, :2, :n], torch.tensor(0.5), cond)
        (result * target[rows, :, :n]).sum().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    together = gradients(slice(0, 2), 11, 5, lengths, token_lengths)
    first, second = gradients(slice(0, 1), 11, 3), gradients(slice(1, 2), 5, 5)
    for both, a, b in zip(together, first, second, strict=True):
        torch.testing.assert_close(both, a + b)


def test_single_precision_is_good_to_1e_5() -> None:
    network, lengths = unet(2).float(), torch.tensor([30, 17])
    x, tokens, channels = torch.randn(2, 2, 8, 30), torch.randn(2, 3, 4), torch.randn(2, 1, 8, 30)
    together = network(x, torch.tensor(0.5), Condition(None, channels, tokens, lengths))
    alone = network(
        x[1:, ..., :17], torch.tensor(0.5), Condition(None, channels[1:, ..., :17], tokens[1:])
    )
    error = (together[1:, ..., :17] - alone).abs().max() / alone.abs().max()
    assert error < 1e-5


def test_full_lengths_change_nothing() -> None:
    network, x, tokens = unet(1), torch.randn(2, 3, 13).double(), torch.randn(2, 5, 4).double()
    cond = Condition(channels=x[:, 2:], tokens=tokens)
    full = replace(cond, lengths=torch.tensor([13, 13]), token_lengths=torch.tensor([5, 5]))
    time = torch.tensor(0.5)
    torch.testing.assert_close(network(x[:, :2], time, full), network(x[:, :2], time, cond))


def test_the_last_cell_counts_as_whole_and_repeats_the_last_entry() -> None:
    x = torch.tensor([[[1.0, 2, 3, 4, 5], [6, 7, 8, 9, 10]]]).expand(2, 2, 5)
    grown = extend(x, (3,), torch.tensor([2, 4]))
    assert grown[0].tolist() == [[1, 2, 2, 2, 2, 2], [6, 7, 7, 7, 7, 7]]
    assert grown[1].tolist() == [[1, 2, 3, 4, 4, 4], [6, 7, 8, 9, 9, 9]]
    cells = valid_cells(torch.tensor([2, 4]), 3, 2, 3)
    assert cells.tolist() == [[[True, False]], [[True, True]]]


def test_masked_group_norm_is_that_of_the_valid_part() -> None:
    norm = perturb(GroupNorm(2, 6))
    x, mask = torch.randn(2, 6, 3, 9).double(), torch.arange(9).expand(2, 1, 1, 9) < 5
    torch.testing.assert_close(norm(x, mask)[..., :5], norm(x[..., :5]))


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("build", [unet, dit])
def test_token_lengths_pass_through_recomputed_layers(
    build: Callable[..., nn.Module], checkpoint: bool
) -> None:
    given = {"checkpoint": checkpoint if build is dit else (1,) if checkpoint else ()}
    network, x = build(1, **given), torch.randn(1, 3, 12).double()
    tokens = torch.randn(1, 5, 4).double()
    short = Condition(channels=x[:, 2:], tokens=tokens[:, :2])
    padded = Condition(channels=x[:, 2:], tokens=tokens, token_lengths=torch.tensor([2]))
    results: list[Tensor] = []
    for cond in (short, padded):
        network.zero_grad()
        network(x[:, :2], torch.tensor(0.5), cond).square().sum().backward()
        results.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("name", ["lengths", "token_lengths"])
@pytest.mark.parametrize("build", [unet, dit])
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([13, 1]), "goes from 1 to 13; expected 1 to 12, the "),
        (torch.tensor([0, 5]), "goes from 0 to 5; expected 1 to 12, the "),
        (torch.tensor([5]), r"is \(1,\); expected \(2,\)"),
        (torch.tensor([[5, 5]]), r"is \(1, 2\); expected \(2,\)"),
        (torch.tensor([5.0, 5.0]), "is torch.float32; expected integers"),
        (torch.ones(2, dtype=torch.int64, device="meta"), "is on meta"),
    ],
)
def test_wrong_lengths_are_named(
    build: Callable[..., nn.Module], name: str, lengths: Tensor, message: str
) -> None:
    x, tokens = torch.randn(2, 3, 12).double(), torch.randn(2, 12, 4).double()
    cond = Condition(channels=x[:, 2:], tokens=tokens, **{name: lengths})
    with pytest.raises(ValueError, match=f"cond.{name} {message}"):
        build(1)(x[:, :2], torch.tensor(0.5), cond)


def test_token_lengths_without_tokens_are_named() -> None:
    network, x = unet(1, token_dim=0), torch.randn(2, 3, 12).double()
    cond = Condition(channels=x[:, 2:], token_lengths=torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="cond.token_lengths is given, cond.tokens is None"):
        network(x[:, :2], torch.tensor(0.5), cond)
