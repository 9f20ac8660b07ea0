"""Adapters: the frozen network is untouched, at the start and after training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diff_core import Condition, FromV, VariancePreserving
from diff_core.nn import Adapter, Control, DiT, Lora, UNet
from diff_core.train import Denoising, TrainConfig, train

HINT = 2


def awake(network: nn.Module) -> nn.Module:
    """The network with no weight at zero: as if it were trained."""
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "unet 1-D": lambda: UNet(1, 1, 1, (8, 16), blocks=1, attention=(1,), heads=2, embedding=16),
    "unet 2-D": lambda: UNet(
        2, 1, 1, (4, 8), blocks=1, vector_dim=3, cond_channels=1, embedding=16, checkpoint=(0,)
    ),
    "unet 3-D": lambda: UNet(3, 1, 1, (4, 8), blocks=1, embedding=16),
    "dit 1-D": lambda: DiT(1, 1, 1, width=16, depth=3, heads=2, token_dim=5),
    "dit 2-D": lambda: DiT(2, 1, 1, width=16, depth=2, heads=2, vector_dim=3, cond_channels=1),
}
ADAPTERS: dict[str, Callable[[nn.Module], Adapter]] = {
    "lora": lambda network: Lora(network, rank=2),
    "control": lambda network: Control(network, HINT),
}
each = pytest.mark.parametrize("kind", NETWORKS)
by_adapter = pytest.mark.parametrize("adapter", ADAPTERS)


def given(network: nn.Module, rows: int = 2, *, lengths: bool = False) -> tuple[Tensor, Condition]:
    """x and the network's own condition; sizes are odd on purpose."""
    inputs = network.inputs
    assert not isinstance(inputs, Tensor)
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(rows, *shape, generator=generator)

    size = (7, 6, 5)[: inputs.spatial]
    cond = Condition(
        vector=normal(inputs.vector_dim) if inputs.vector_dim else None,
        channels=normal(inputs.cond_channels, *size) if inputs.cond_channels else None,
        tokens=normal(4, inputs.token_dim) if inputs.token_dim else None,
        lengths=torch.tensor([size[-1], 3]) if lengths else None,
    )
    return normal(inputs.in_channels, *size), cond


def hinted(cond: Condition, x: Tensor, scale: float = 1.0) -> Condition:
    """The same with a hint behind the network's own channels."""
    hint = scale * torch.randn(
        len(x), HINT, *x.shape[2:], generator=torch.Generator().manual_seed(8)
    )
    channels = hint if cond.channels is None else torch.cat([cond.channels, hint], 1)
    return Condition(
        vector=cond.vector, channels=channels, tokens=cond.tokens, lengths=cond.lengths
    )


def take(adapter: Adapter, cond: Condition, x: Tensor) -> Condition:
    return hinted(cond, x) if isinstance(adapter, Control) else cond


@each
@by_adapter
@pytest.mark.parametrize("lengths", [False, True])
def test_an_untrained_adapter_changes_no_bit(kind: str, adapter: str, lengths: bool) -> None:
    network = awake(NETWORKS[kind]()).eval()
    x, cond = given(network, lengths=lengths)
    time = torch.tensor([0.2, 0.7])
    with torch.no_grad():
        expected = network(x, time, cond)
        before = copy.deepcopy(network.state_dict())
        adapted = ADAPTERS[adapter](network)
        assert expected.abs().max() > 0.1
        for mode in (True, False):
            assert torch.equal(adapted.train(mode)(x, time, take(adapted, cond, x)), expected)
        # the network that was given is as it was, too
        assert torch.equal(network(x, time, cond), expected)
    assert {n: t.tolist() for n, t in before.items()} == {
        n: t.tolist() for n, t in network.state_dict().items()
    }


@each
@by_adapter
def test_training_moves_the_adapter_and_not_a_bit_of_the_network(
    kind: str, adapter: str, tmp_path: Path
) -> None:
    network = awake(NETWORKS[kind]())
    adapted = ADAPTERS[adapter](network)
    frozen = {n: t.clone() for n, t in adapted.network_state().items()}
    assert set(frozen) == set(network.state_dict())
    own = {n: t.clone() for n, t in adapted.trained_state().items()}
    x, plain = given(network, 8)
    cond = take(adapted, plain, x)
    fields = {"vector": cond.vector, "channels": cond.channels, "tokens": cond.tokens}
    items = [
        {"x_0": x[i]} | {name: value[i] for name, value in fields.items() if value is not None}
        for i in range(8)
    ] * 6
    config = TrainConfig(
        steps=12, batch_size=4, learning_rate=1e-2, warmup=0, weight_decay=0.1, precision="float32"
    )
    trained = train(
        FromV(adapted, VariancePreserving()), Denoising(), items, config, directory=tmp_path
    )
    assert isinstance(trained.network, Adapter)
    for state in (adapted, trained.network):
        for name, tensor in state.network_state().items():
            assert torch.equal(tensor, frozen[name]), name
        moved = [not torch.equal(t, own[n]) for n, t in state.trained_state().items()]
        assert sum(moved) > 0.6 * len(moved)
    for parameter in network.parameters():
        assert parameter.grad is None and not parameter.requires_grad
    with torch.no_grad():
        time = torch.full((len(x),), 0.5)
        assert not torch.equal(trained.network(x, time, cond), network.eval()(x, time, plain))


@each
def test_a_merged_addition_is_a_network_of_its_own(kind: str) -> None:
    network = awake(NETWORKS[kind]()).eval()
    x, cond = given(network)
    lora = Lora(network, rank=2, alpha=3.0)
    for tensor in lora.trained_state().values():
        tensor += 0.05
    merged, time = lora.merged(), torch.tensor(0.4)
    assert type(merged) is type(network) and set(merged.state_dict()) == set(network.state_dict())
    with torch.no_grad():
        expected = lora(x, time, cond)
        torch.testing.assert_close(merged(x, time, cond), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(network(x, time, cond), expected, rtol=1e-2, atol=1e-3)


def test_additions_stand_where_they_are_asked_for() -> None:
    network = NETWORKS["dit 1-D"]()
    lora = Lora(network, rank=2, targets=("qkv", "blocks.0.out"))
    names = {name.split(".parametrizations.")[0] for name in lora.trained_state()}
    assert names == {f"network.blocks.{i}.qkv" for i in range(3)} | {"network.blocks.0.out"}
    # rank (M + N): 2 (48 + 16) three times and 2 (16 + 16) once
    assert sum(t.numel() for t in lora.trained_state().values()) == 3 * 128 + 64


@each
def test_the_hint_of_a_row_is_its_own(kind: str) -> None:
    """Rows, lengths and the network's own channels are not mixed up."""
    network = awake(NETWORKS[kind]())
    control = Control(network, HINT).eval()
    awake(control.zeros)
    awake(control.hint)
    x, cond = given(network)
    told, time = hinted(cond, x), torch.tensor([0.3, 0.6])
    with torch.no_grad():
        whole = control(x, time, told)
        for b in range(2):
            row = slice(b, b + 1)
            alone = Condition(
                vector=None if told.vector is None else told.vector[row],
                channels=None if told.channels is None else told.channels[row],
                tokens=None if told.tokens is None else told.tokens[row],
            )
            found = control(x[row], time[row], alone)
            torch.testing.assert_close(found, whole[row], rtol=1e-4, atol=1e-5)
        other = control(x, time, hinted(cond, x, 2.0))
    assert not torch.allclose(other, whole, rtol=1e-2, atol=1e-3)


X = torch.zeros(1, 1, 8)
ERRORS: dict[str, tuple[Callable[[], object], str]] = {
    "rank": (lambda: Lora(NETWORKS["unet 1-D"](), rank=0), "rank is 0"),
    "target": (
        lambda: Lora(NETWORKS["dit 1-D"](), targets=("query_norm",)),
        "targets has 'query_norm'.*end in 0, .*qkv",
    ),
    "hint": (lambda: Control(NETWORKS["unet 1-D"](), 0), "hint_channels is 0"),
    "network": (lambda: Control(nn.Linear(2, 2), 1), "network is a Linear"),
    "magnitude": (
        lambda: Control(UNet(1, 1, 1, (4,), magnitude_preserving=True), 1),
        "network is magnitude-preserving",
    ),
    "no hint": (
        lambda: Control(NETWORKS["unet 1-D"](), 1)(X, torch.tensor(0.5)),
        r"cond.channels is None; expected \(1, 1, 8\): 0 of the network's own, then 1",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_argument(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()
