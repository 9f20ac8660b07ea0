"""Files of adapters: what comes back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diff_core import Condition, FromV, VariancePreserving, io
from diff_core.checkpoint import CheckpointError, read_tensors, write_tensors
from diff_core.nn import Adapter, Control, DiT, Lora, UNet

CARD = io.Card("site B", purpose="noise of one site", data=("own scans",), licences=("CC0",))
ADAPTERS: dict[str, Callable[[nn.Module], Adapter]] = {
    "lora": lambda network: Lora(network, rank=3, alpha=6.0, targets=("qkv", "1")),
    "control": lambda network: Control(network, 1),
}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "unet": lambda: UNet(1, 1, 1, (8, 16), blocks=1, attention=(1,), heads=2, embedding=16),
    "dit": lambda: DiT(1, 1, 1, width=16, depth=2, heads=2),
}
both = [(a, n) for a in ADAPTERS for n in NETWORKS]


def network(kind: str) -> nn.Module:
    torch.manual_seed(0)
    made = NETWORKS[kind]()
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return made


def trained(adapter: str, kind: str) -> Adapter:
    made = ADAPTERS[adapter](network(kind))
    torch.manual_seed(1)
    for tensor in made.trained_state().values():
        tensor += 0.1 * torch.randn(tensor.shape)
    return made.eval()


def answer(model: nn.Module) -> Tensor:
    x = torch.sin(torch.arange(20.0)).reshape(2, 1, 10)
    cond = Condition(channels=x.flip(-1)) if isinstance(model, Control) else None
    with torch.no_grad():
        return model(x, torch.tensor(0.3), cond)


@pytest.mark.parametrize(("adapter", "kind"), both)
def test_an_adapter_comes_back_to_the_bit(adapter: str, kind: str, tmp_path: Path) -> None:
    model, path = trained(adapter, kind), tmp_path / "adapter.safetensors"
    io.save_adapter(path, FromV(model, VariancePreserving()), CARD)
    assert io.read_card(path) == CARD
    loaded, card = io.load_adapter(path, network(kind))
    assert card == CARD and type(loaded) is type(model) and not loaded.training
    assert torch.equal(answer(loaded), answer(model))
    # the frozen network is not in the file
    held = read_tensors(path)[1]
    assert set(held) == set(model.trained_state()) and len(held) < len(model.state_dict())


@pytest.mark.parametrize(("adapter", "kind"), both)
def test_the_whole_is_a_checkpoint_like_others(adapter: str, kind: str, tmp_path: Path) -> None:
    model, path = trained(adapter, kind), tmp_path / "whole.safetensors"
    io.save(path, FromV(model, VariancePreserving()), CARD)
    loaded, _ = io.load(path)
    assert torch.equal(answer(loaded.network), answer(model))


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    io.save_adapter(path, trained("control", "unet"), CARD)
    with pytest.raises(CheckpointError, match="of another network than this DiT"):
        io.load_adapter(path, network("dit"))
    other = network("unet")
    next(other.parameters()).data.view(-1)[0] += 1e-6
    with pytest.raises(CheckpointError, match="a network with other weights"):
        io.load_adapter(path, other)


def test_a_whole_model_and_an_adapter_are_told_apart(tmp_path: Path) -> None:
    model = trained("control", "dit")
    io.save(tmp_path / "whole", model, CARD)
    io.save_adapter(tmp_path / "part", model, CARD)
    with pytest.raises(CheckpointError, match="holds a whole model, not an adapter"):
        io.load_adapter(tmp_path / "whole", network("dit"))
    with pytest.raises(CheckpointError, match="tensors do not fit the model.*missing"):
        io.load(tmp_path / "part")
    with pytest.raises(ValueError, match="model has 0 adapters"):
        io.save_adapter(tmp_path / "none", network("dit"), CARD)


DAMAGE: dict[str, tuple[Callable[[dict, dict], None], str]] = {
    "a giant": (
        lambda model, _: model.update(hint_channels=2**30),
        "hint_channels is 1073741824, its tensors have at most",
    ),
    "no adapter": (lambda model, _: model.update(type="UNet"), "'UNet' is no adapter"),
    "unknown": (lambda model, _: model.update(type="os.system"), "is no adapter known here"),
    "a keyword": (lambda model, _: model.update(more=1), "damaged, or of another version"),
    "a tensor less": (lambda _, tensors: tensors.popitem() and None, "do not fit the adapter"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    change, message = DAMAGE[name]
    path = tmp_path / "adapter.safetensors"
    io.save_adapter(path, trained("control", "unet"), CARD)
    metadata, tensors = read_tensors(path)
    model = json.loads(metadata["model"])
    change(model, tensors)
    write_tensors(path, tensors, metadata | {"model": json.dumps(model)})
    with pytest.raises(CheckpointError, match=message) as caught:
        io.load_adapter(path, network("unet"))
    assert "\n" not in str(caught.value)
