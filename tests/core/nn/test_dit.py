"""The transformer: any size, conditions checked, checkpointed, saved, able to learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.denoiser import FromX0
from diff_core.io import Card, load, save
from diff_core.nn import DiT
from diff_core.schedule import Cosine


def perturb(network: nn.Module) -> nn.Module:
    """Random weights everywhere: the zero-initialised layers would hide what they do."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network.double()


def build(spatial: int, **kwargs: object) -> nn.Module:
    usual: dict[str, object] = {"width": 24, "depth": 2, "heads": 2}
    return perturb(DiT(spatial, 2, 3, **(usual | kwargs)))  # type: ignore[arg-type]


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_odd_sizes_and_a_patch_per_axis(spatial: int) -> None:
    network = build(spatial, patch=(2, 3, 1)[:spatial])
    size = (7, 8, 5)[:spatial]
    x = torch.randn(2, 2, *size).double()
    result = network(x, torch.tensor([0.5, 0.1]))
    assert result.shape == (2, 3, *size)
    torch.testing.assert_close(result[:1], network(x[:1], torch.tensor(0.5)))


def test_untrained_network_returns_zero() -> None:
    assert (
        DiT(2, 1, 1, width=24, depth=1, heads=2)(torch.randn(1, 1, 8, 8), torch.tensor(0.3))
        .abs()
        .max()
        == 0
    )


def test_untrained_blocks_are_the_identity() -> None:
    network = DiT(1, 1, 1, width=24, depth=3, heads=2, token_dim=4)
    rows, embedding, angles = torch.randn(2, 5, 24), torch.randn(2, 24), torch.randn(5, 6)
    for block in network.blocks:
        torch.testing.assert_close(
            block(rows, embedding, angles, None, torch.randn(2, 3, 4)), rows
        )


def test_patches_are_told_apart_by_position() -> None:
    network, x = build(1, patch=2), torch.randn(1, 2, 12).double()
    time = torch.tensor(0.5)
    assert not torch.allclose(network(x.roll(4, -1), time), network(x, time).roll(4, -1))


def test_conditions_change_the_result_and_are_checked() -> None:
    network = build(1, vector_dim=3, cond_channels=1, token_dim=4)
    x, time = torch.randn(2, 2, 8).double(), torch.tensor(0.5)
    given = {
        "vector": torch.randn(2, 3).double(),
        "channels": torch.randn(2, 1, 8).double(),
        "tokens": torch.randn(2, 5, 4).double(),
    }
    base = network(x, time, Condition(**given))
    assert not torch.allclose(base, network(x, time + 0.1, Condition(**given)))
    for name, value in given.items():
        changed = network(x, time, Condition(**(given | {name: value + 1})))
        assert not torch.allclose(base, changed), name
        with pytest.raises(ValueError, match=f"cond.{name} is None; expected"):
            network(x, time, Condition(**{k: v for k, v in given.items() if k != name}))
        with pytest.raises(ValueError, match=f"cond.{name}.*takes none"):
            build(1)(x, time, Condition(**{name: value}))
    with pytest.raises(ValueError, match=r"x is \(2, 8\); expected \(B, 2, \*\)"):
        network(x[:, 0], time)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"spatial": 4}, "spatial is 4"),
        ({"patch": (2,)}, r"patch is \(2,\)"),
        ({"patch": 0}, "patch is 0"),
        ({"heads": 5}, "heads is 5; expected a divisor of the 24 channels"),
        ({"heads": 12}, "rotary positions over 2 axes"),
    ],
)
def test_bad_settings_are_named(kwargs: dict[str, object], message: str) -> None:
    usual: dict[str, object] = {"spatial": 2, "in_channels": 1, "out_channels": 1, "width": 24}
    with pytest.raises(ValueError, match=message):
        DiT(**(usual | kwargs))  # type: ignore[arg-type]


def test_checkpointing_changes_memory_not_numbers() -> None:
    x, time = torch.randn(1, 2, 8, 8).double(), torch.tensor(0.5)
    kept: list[int] = []
    networks = [build(2, checkpoint=checkpoint) for checkpoint in (False, True)]
    for network in networks:
        sizes: list[int] = []

        def pack(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(x, time).square().sum().backward()
        kept.append(sum(sizes))
    for a, b in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    assert kept[1] < 0.6 * kept[0]


def test_saved_and_loaded(tmp_path: Path) -> None:
    network = DiT(2, 1, 1, width=24, depth=1, heads=2, patch=(1, 2), vector_dim=2)
    perturb(network).float()
    path = tmp_path / "dit.safetensors"
    save(path, FromX0(network, Cosine()), Card(name="test", purpose="to be read back"))
    again, _ = load(path)
    x, cond = torch.randn(2, 1, 5, 6), Condition(vector=torch.randn(2, 2))
    time = torch.tensor([0.2, 0.8])
    assert torch.equal(again(x, time, cond), FromX0(network, Cosine())(x, time, cond))


@pytest.mark.slow
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_overfits_one_batch(spatial: int) -> None:
    network = DiT(spatial, 1, 1, width=48, depth=2, heads=4)
    x = torch.randn(2, 1, *(16, 8, 4)[:spatial])
    target = torch.randn_like(x)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    time = torch.tensor([0.1, 0.8])
    for _ in range(200):
        loss = (network(x, time) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * target.square().mean()


@pytest.mark.slow
def test_compiles_to_one_graph() -> None:
    network = build(2, token_dim=4)
    x, time = torch.randn(2, 2, 6, 7).double(), torch.tensor([0.2, 0.7])
    cond = Condition(tokens=torch.randn(2, 3, 4).double(), lengths=torch.tensor([7, 4]))
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, time, cond), network(x, time, cond))
