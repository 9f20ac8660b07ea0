"""The U-Net: equal across dimensions, layouts and compilers, checked, sparing, able to learn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.nn import FrameNorm, UNet


def perturb(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights everywhere: the zero-initialised layers would hide what they do."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network.double()


def build(spatial: int, **kwargs: object) -> UNet:
    settings: dict[str, object] = {"channels": (8, 16), "blocks": 1, "attention": (1,), "heads": 2}
    network = UNet(spatial, 2, 3, **(settings | kwargs))  # type: ignore[arg-type]
    perturb(network)
    return network


def lift(low: nn.Module, high: nn.Module) -> None:
    """Copies weights into a network with one more leading axis: the new axis' centre tap."""
    source = low.state_dict()
    with torch.no_grad():
        for name, parameter in high.state_dict().items():
            if parameter.shape == source[name].shape:
                parameter.copy_(source[name])
            else:
                parameter.zero_()
                parameter[:, :, parameter.shape[2] // 2].copy_(source[name])


@pytest.mark.parametrize("norm", ["group", "frame", "none"])
@pytest.mark.parametrize("spatial", [2, 3])
def test_singleton_axis_equals_the_lower_dimension(spatial: int, norm: str) -> None:
    low = build(spatial - 1, factors=(2,), norm=norm)
    high = build(spatial, factors=((1,) + (2,) * (spatial - 1),), norm=norm)
    lift(low, high)
    x = torch.randn(2, 2, *(9, 12)[: spatial - 1], dtype=torch.float64)
    time = torch.tensor([0.2, 0.9], dtype=torch.float64)
    torch.testing.assert_close(high(x[:, :, None], time)[:, :, 0], low(x, time))


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_odd_sizes_and_factors_per_axis(spatial: int) -> None:
    network = build(
        spatial, channels=(4, 8, 8), factors=(2, (3,) + (1,) * (spatial - 1)), attention=()
    )
    size = (7, 11, 5)[:spatial]
    assert network(torch.randn(1, 2, *size).double(), torch.tensor(0.5)).shape == (1, 3, *size)


def test_untrained_network_returns_zero() -> None:
    network = UNet(2, 1, 1, (8, 16))
    assert network(torch.randn(1, 1, 8, 8), torch.tensor(0.3)).abs().max() == 0


def test_conditions_change_the_result_and_are_checked() -> None:
    network = build(1, vector_dim=3, cond_channels=1)
    x, time = torch.randn(2, 2, 8).double(), torch.tensor(0.5)
    vector, channels = torch.randn(2, 3).double(), torch.randn(2, 1, 8).double()
    base = network(x, time, Condition(vector=vector, channels=channels))
    assert not torch.allclose(
        base, network(x, time, Condition(vector=vector + 1, channels=channels))
    )
    assert not torch.allclose(
        base, network(x, time, Condition(vector=vector, channels=channels + 1))
    )
    assert not torch.allclose(
        base, network(x, time + 0.1, Condition(vector=vector, channels=channels))
    )
    with pytest.raises(ValueError, match=r"cond.vector is None; expected \(2, 3\)"):
        network(x, time, Condition(channels=channels))
    with pytest.raises(ValueError, match="cond.channels"):
        network(x, time, Condition(vector=vector, channels=channels[..., :4]))
    with pytest.raises(ValueError, match="cond.tokens.*takes none"):
        network(x, time, Condition(vector=vector, channels=channels, tokens=x))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"spatial": 4}, "spatial is 4"),
        ({"factors": (2, 2, 2)}, "factors"),
        ({"kernel": 4}, "kernel"),
        ({"blocks": (1, 1, 1)}, r"blocks is \(1, 1, 1\); expected .* or 2 of them"),
        ({"blocks": 0}, "blocks is 0"),
        ({"magnitude_preserving": True, "norm": "none"}, "norm is 'none'.*leave them out"),
        ({"attention": (5,)}, "attention"),
        ({"norm": "batch"}, "norm"),
        ({"activation": "tanh"}, "activation"),
    ],
)
def test_bad_settings_are_named(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNet(**({"spatial": 2, "in_channels": 1, "out_channels": 1, "channels": (8, 16)} | kwargs))  # type: ignore[arg-type]


def test_wrong_input_is_named() -> None:
    network = build(2)
    with pytest.raises(ValueError, match=r"x is \(1, 2, 8\); expected \(B, 2, \*, \*\)"):
        network(torch.randn(1, 2, 8).double(), torch.tensor(0.5))
    with pytest.raises(ValueError, match="time is"):
        network(torch.randn(2, 2, 8, 8).double(), torch.tensor([0.5, 0.5, 0.5]))
    with pytest.raises(ValueError, match=r"x is torch.float32; expected .* torch.float64"):
        network(torch.randn(2, 2, 8, 8), torch.tensor(0.5))
    with pytest.raises(ValueError, match=r"x is on meta; expected the network's cpu"):
        network(torch.empty(2, 2, 8, 8, device="meta"), torch.tensor(0.5))
    with pytest.raises(ValueError, match=r"time is on meta; expected cpu"):
        network(torch.randn(2, 2, 8, 8).double(), torch.empty((), device="meta"))
    with pytest.raises(ValueError, match=r"time is torch.complex64; expected real"):
        network(torch.randn(2, 2, 8, 8).double(), torch.tensor(0.5j))
    told = build(2, vector_dim=3)
    with pytest.raises(ValueError, match="cond.vector is on meta"):
        told(
            torch.randn(2, 2, 8, 8).double(),
            torch.tensor(0.5),
            Condition(vector=torch.empty(2, 3, device="meta")),
        )


def kept_by(network: nn.Module, x: Tensor, cond: Condition) -> int:
    """Bytes that wait for the backward pass, parameters left out; then runs that pass."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = network(x, torch.tensor(0.5), cond)
    for parameter in network.parameters():
        sizes.pop(parameter.untyped_storage().data_ptr(), None)
    result.square().sum().backward()
    return sum(sizes.values())


def test_checkpointing_changes_memory_not_numbers() -> None:
    levels: list[tuple[int, ...]] = [(), (1,), (0,), (0, 1)]
    networks = [build(2, checkpoint=chosen, token_dim=4, blocks=2) for chosen in levels]
    x = torch.randn(2, 2, 16, 16, dtype=torch.float64)
    cond = Condition(tokens=torch.randn(2, 3, 4).double(), lengths=torch.tensor([16, 9]))
    kept = [kept_by(network, x, cond) for network in networks]
    for network in networks[1:]:
        for a, b in zip(networks[0].parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad)
    assert kept[0] > kept[1] > kept[2] > kept[3]
    assert kept[3] < 0.3 * kept[0]


@pytest.mark.parametrize("spatial", [2, 3])
@pytest.mark.parametrize("kwargs", [{}, {"norm": "frame", "rotary": True}])
def test_channels_last_gives_equal_results(spatial: int, kwargs: dict[str, object]) -> None:
    layout = torch.channels_last if spatial == 2 else torch.channels_last_3d
    plain, last = build(spatial, heads=1, **kwargs), build(spatial, heads=1, **kwargs)
    last.to(memory_format=layout)
    x = torch.randn(2, 2, *(6, 7, 5)[:spatial], dtype=torch.float64)
    results = [plain(x, torch.tensor(0.5)), last(x.to(memory_format=layout), torch.tensor(0.5))]
    torch.testing.assert_close(*results)
    for result in results:
        result.square().sum().backward()
    for a, b in zip(plain.parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.slow
def test_compiles_where_the_sizes_are_symbols() -> None:
    # after a network of two axes, the compiler has symbols for the sizes of one of three
    torch._dynamo.reset()
    time = torch.tensor([0.2, 0.7], dtype=torch.float64)
    for spatial in (2, 3):
        network = UNet(spatial, 1, 1, (4,), blocks=1).double()
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        x = torch.randn(2, 1, *(6, 7, 5)[:spatial], dtype=torch.float64)
        with torch.no_grad():  # the backward pass costs as much again
            torch.testing.assert_close(compiled(x, time), network(x, time))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kwargs",
    [
        {"rotary": True, "token_dim": 4, "checkpoint": (1,)},
        {"norm": "frame", "attention": (), "blocks": (1, 2)},
        {"magnitude_preserving": True},
    ],
)
def test_compiles_to_one_graph(kwargs: dict[str, object]) -> None:
    torch._dynamo.reset()
    network = build(2, **kwargs)
    x, time = torch.randn(2, 2, 6, 7).double(), torch.tensor([0.2, 0.7])
    tokens = torch.randn(2, 3, 4).double() if "token_dim" in kwargs else None
    cond = Condition(tokens=tokens, lengths=torch.tensor([7, 4]))
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    got, expected = compiled(x, time, cond), network(x, time, cond)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(
        torch.autograd.grad(got.square().sum(), list(network.parameters()), allow_unused=True),
        torch.autograd.grad(
            expected.square().sum(), list(network.parameters()), allow_unused=True
        ),
    )


def test_blocks_per_level() -> None:
    network = build(1, channels=(4, 8, 8), blocks=(1, 2, 3), attention=())
    assert [len(level.blocks) for level in network.encoder] == [1, 2, 3]  # type: ignore[arg-type]
    assert [len(level.blocks) for level in network.decoder] == [1, 2]  # type: ignore[arg-type]
    same, number = UNet(1, 1, 1, (4, 8), blocks=(2, 2)), UNet(1, 1, 1, (4, 8), blocks=2)
    assert list(same.state_dict()) == list(number.state_dict())


def test_without_norm_and_bias_the_network_is_homogeneous() -> None:
    network = build(2, norm="none", activation="relu", bias=False, attention=())
    x, time = torch.randn(1, 2, 8, 8).double(), torch.tensor(0.5)
    torch.testing.assert_close(network(7 * x, time), 7 * network(x, time))


def test_frame_norm_sees_one_frame_at_a_time() -> None:
    norm = FrameNorm(3)
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(norm(x)[..., 2:5], norm(x[..., 2:5]))
    whole = nn.functional.layer_norm(x.permute(0, 3, 1, 2), (3, 5)).permute(0, 2, 3, 1)
    torch.testing.assert_close(norm(x), whole)


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_overfits_one_batch(spatial: int) -> None:
    torch.manual_seed(0)
    network = UNet(spatial, 1, 1, (16, 32), blocks=1)
    x = torch.randn(2, 1, *(16, 4, 4)[:spatial])
    target = torch.randn_like(x)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    time = torch.tensor([0.1, 0.8])
    for _ in range(150):
        loss = (network(x, time) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * target.square().mean()
