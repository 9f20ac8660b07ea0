"""Attention and rotary positions against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.nn import CrossAttention, FourierFeatures, Rotary, SelfAttention, UNet
from diff_core.nn.attention import attend, keys_of, to_rows
from diff_core.nn.rotary import rotate


def perturb(network: nn.Module) -> nn.Module:
    """Random weights everywhere: the zero-initialised layers would hide what they do."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.double()


def noise(*size: int) -> Tensor:
    return torch.randn(size, dtype=torch.float64)


def test_attend_is_the_softmax_formula_over_the_valid_keys() -> None:
    batch, heads, features = 2, 3, 4
    query, key, value = noise(batch, 5, heads, features), noise(2, 7, 3, 4), noise(2, 7, 3, 4)
    keys = torch.arange(7)[None] < torch.tensor([4, 7])[:, None]
    got = attend(query, key, value, keys=keys[:, None, None]).view(batch, 5, heads, features)
    for b in range(batch):
        for h in range(heads):
            k, v = key[b, keys[b], h], value[b, keys[b], h]
            weights = torch.exp(query[b, :, h] @ k.T / features**0.5)
            expected = (weights @ v) / weights.sum(1, keepdim=True)
            torch.testing.assert_close(got[b, :, h], expected)


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_rotary_products_depend_on_differences_of_coordinates_only(spatial: int) -> None:
    size = (5, 4, 3)[:spatial]
    angles = Rotary(spatial, 12)(size, noise(1))
    query, key = noise(12), noise(12)
    grid = torch.cartesian_prod(*(torch.arange(n) for n in size)).view(-1, spatial)
    products = (
        rotate(query.expand(len(grid), 12), angles) @ rotate(key.expand(len(grid), 12), angles).mT
    )
    seen: dict[tuple[int, ...], float] = {}
    for i, j in torch.cartesian_prod(torch.arange(len(grid)), torch.arange(len(grid))).tolist():
        difference = tuple((grid[i] - grid[j]).tolist())
        value = products[i, j].item()
        assert abs(seen.setdefault(difference, value) - value) < 1e-6
    assert seen[(0,) * spatial] == pytest.approx((query @ key).item())
    values = sorted(seen.values())
    assert (
        min(b - a for a, b in zip(values, values[1:], strict=False)) > 1e-6
    )  # all are told apart


def test_rotation_is_a_complex_product() -> None:
    x, angles = noise(2, 3, 5, 8), noise(5, 4)
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones(5, 4).double(), angles)
    torch.testing.assert_close(rotate(x, angles), torch.cat([turned.real, turned.imag], -1))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rows_are_the_pointwise_convolution(layout: torch.memory_format) -> None:
    layer = nn.Conv2d(3, 5, 1).double()
    x = noise(2, 3, 4, 6).to(memory_format=layout)
    torch.testing.assert_close(to_rows(layer, x), layer(x).flatten(2).mT)


def test_self_attention_knows_no_order_unless_rotary() -> None:
    x, order = noise(2, 8, 10), torch.randperm(10)
    plain = perturb(SelfAttention(1, 8, 2))
    torch.testing.assert_close(plain(x)[..., order], plain(x[..., order]))
    turning = perturb(SelfAttention(1, 8, 2, rotary=True))
    assert not torch.allclose(turning(x)[..., order], turning(x[..., order]))


def test_self_attention_does_not_look_at_masked_positions() -> None:
    attention = perturb(SelfAttention(2, 8, 2, norm="none", rotary=True))
    x = noise(2, 8, 3, 6)
    mask = torch.arange(6).expand(2, 1, 1, 6) < 4
    seen = attention(x, mask)[..., :4]
    torch.testing.assert_close(seen, attention(x[..., :4]))
    assert keys_of(mask, (3, 6)).shape == (2, 1, 1, 18)  # type: ignore[union-attr]


def test_cross_attention_reads_tokens_in_any_order() -> None:
    attention = perturb(CrossAttention(2, 8, 2, 5))
    x, tokens = noise(2, 8, 3, 4), noise(2, 6, 5)
    result = attention(x, tokens)
    torch.testing.assert_close(result, attention(x, tokens.flip(1)))
    torch.testing.assert_close(result, attention(x, torch.cat([tokens, tokens], 1)))
    assert not torch.allclose(result, attention(x, tokens + 1))


def test_a_single_token_is_added_everywhere() -> None:
    attention = perturb(CrossAttention(1, 8, 2, 5))
    x, token = noise(2, 8, 7), noise(2, 1, 5)
    value = attention.key_value(token)[..., 8:].mT
    torch.testing.assert_close(attention(x, token), x + attention.out(value))


def test_unet_attends_to_tokens() -> None:
    network = UNet(1, 1, 1, (8, 16), attention=(1,), heads=2, token_dim=3, rotary=True)
    x, time, tokens = torch.randn(2, 1, 12), torch.tensor(0.5), torch.randn(2, 4, 3)
    assert network(x, time, Condition(tokens=tokens)).abs().max() == 0
    perturb(network)
    results = [network(x.double(), time, Condition(tokens=tokens * k)) for k in (1, 2)]
    assert not torch.allclose(*results)
    torch.testing.assert_close(  # each signal reads its own tokens
        results[0][:1], network(x[:1].double(), time, Condition(tokens=tokens[:1]))
    )
    for wrong in (tokens[:1], tokens[..., :2], tokens[:, :0], tokens[0]):
        with pytest.raises(ValueError, match=r"cond.tokens is .*; expected \(2, \*, 3\)"):
            network(x.double(), time, Condition(tokens=wrong))
    with pytest.raises(ValueError, match=r"cond.tokens is None; expected \(2, \*, 3\)"):
        network(x.double(), time)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"attention": ()}, "token_dim is 3, attention is ()"),
        ({"heads": 3}, "heads is 3; expected a divisor of the 16 channels"),
        ({"heads": 0}, "heads is 0"),
        ({"heads": 16}, "a head has 1 features; rotary positions over 1 axes"),
    ],
)
def test_bad_settings_are_named(kwargs: dict[str, object], message: str) -> None:
    settings: dict[str, object] = {"attention": (1,), "token_dim": 3, "rotary": True}
    with pytest.raises(ValueError, match=message):
        UNet(1, 1, 1, (8, 16), **(settings | kwargs))  # type: ignore[arg-type]


def test_low_precision_does_not_blur_positions_or_times() -> None:
    like = torch.zeros(1, dtype=torch.bfloat16)
    angles = Rotary(1, 4)((2000,), like)
    assert angles.dtype == torch.float32 and len(angles[:, 0].unique()) == 2000
    coarse, fine = FourierFeatures(64).bfloat16(), FourierFeatures(64)
    times = torch.tensor([0.5, 0.5004])
    assert coarse(times).dtype == torch.bfloat16
    torch.testing.assert_close(coarse(times), fine(times).bfloat16())
    assert not torch.equal(*coarse(times))
