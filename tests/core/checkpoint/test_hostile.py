"""Checkpoints made to do harm: each is one line that names the file, soon and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from diff_core import Edm, Preconditioned
from diff_core.checkpoint.description import parse_description
from diff_core.io import (
    Card,
    CheckpointError,
    as_checkpoint_error,
    load,
    open_checkpoint,
    read_card,
    save,
)
from diff_core.nn import UNet


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "a.safetensors"
    torch.manual_seed(0)
    network = UNet(1, 1, 1, (4, 8), blocks=1, embedding=4)
    save(path, Preconditioned(network, Edm()), Card(name="a", data=("x",), scores={"error": 0.5}))
    return path


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def rewritten(good: Path, to: Path, **entries: str | None) -> Path:
    """The checkpoint with other metadata; None leaves an entry out."""
    kept = {k: v for k, v in (metadata(good) | entries).items() if v is not None}
    save_file(load_file(good), to, metadata=kept)
    return to


def described(good: Path, **network: Any) -> str:
    """The description of the model with other settings of the network."""
    model = json.loads(metadata(good)["model"])
    model["network"] |= network
    return json.dumps(model)


def refused(path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 1000


HARMFUL: dict[str, tuple[Any, str]] = {
    "more blocks than there are numbers": ({"blocks": 10**12}, "blocks = 1000000000000"),
    "many blocks": ({"blocks": 10**9}, "many more .* than the file"),
    "many levels": ({"channels": [8] * 9_000, "factors": 1}, "many more .* than the file"),
    "a wide network": ({"channels": [12_000, 12_000]}, "tensors do not fit"),
    "a wide embedding": ({"embedding": 2**24}, "tensors do not fit"),
    "no channels": ({"channels": [0, 0]}, ".*"),
    "negative channels": ({"channels": [-4, 8]}, ".*"),
    "text for a number": ({"channels": "many"}, ".*"),
    "a network in a network": ({"channels": {"type": "Edm"}}, ".*"),
    "an unknown class": ({"type": "os.system"}, "uses 'os.system'; known here"),
    "a schedule for a network": ({"type": "Edm"}, "does not take the settings"),
}


@pytest.mark.parametrize(("network", "message"), HARMFUL.values(), ids=HARMFUL)
def test_a_model_that_the_tensors_do_not_bear_out(
    good: Path, tmp_path: Path, network: dict[str, Any], message: str
) -> None:
    path = rewritten(good, tmp_path / "a.safetensors", model=described(good, **network))
    refused(path, message)


DESCRIPTIONS: dict[str, tuple[str | None, str]] = {
    "missing": (None, "description of the model is damaged"),
    "no JSON": ("{", "description of the model is damaged"),
    "a number": ("5", "described as a int, not a module"),
    "a list": ("[]", "described as a tuple"),
    "nothing": ("null", "described as a NoneType"),
    "a schedule": ('{"type": "Edm"}', "described as a Edm"),
    "no type": ("{}", "uses None; known here"),
    "very deep": ("[" * 100_000 + "]" * 100_000, "description of the model is damaged"),
    "deep": ("[" * 100 + "]" * 100, "nested deeper than 32"),
    "long number": ("9" * 5000, "description of the model is damaged"),
}


@pytest.mark.parametrize(("model", "message"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_description_that_is_none(
    good: Path, tmp_path: Path, model: str | None, message: str
) -> None:
    path = rewritten(good, tmp_path / "a.safetensors", model=model)
    refused(path, message)
    if message.startswith(("description", "nested")):
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(path)


CARDS: dict[str, Any] = {
    "a number": 5,
    "a list": [],
    "empty": {},
    "a name that is none": {"name": 5},
    "a text for lines": {"data": "speech"},
    "numbers for lines": {"data": [1]},
    "text for hours": {"hours": "many"},
    "text for scores": {"scores": {"error": "small"}},
    "a list for the recipe": {"recipe": []},
    "an unknown entry": {"x": 1},
}


@pytest.mark.parametrize("change", CARDS.values(), ids=CARDS)
def test_a_card_of_other_types(good: Path, tmp_path: Path, change: Any) -> None:
    card = json.loads(metadata(good)["card"])
    changed = card | change if isinstance(change, dict) and change else change
    path = rewritten(good, tmp_path / "a.safetensors", card=json.dumps(changed))
    refused(path, "its card cannot be read")
    with pytest.raises(CheckpointError, match="its card cannot be read"):
        read_card(path)


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64, torch.bool])
def test_tensors_of_another_kind(good: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = load_file(good)
    name = next(iter(tensors))
    path = tmp_path / "a.safetensors"
    save_file(tensors | {name: tensors[name].to(dtype)}, path, metadata=metadata(good))
    refused(path, rf"tensor {name} is {dtype} and should be torch.float32")


class Reader(nn.Module):
    """A network whose constructor reads numbers back, which the meta device cannot."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.top = float(torch.linspace(0, 1, width).max())
        self.config = {"width": width}


def test_a_constructor_that_reads_numbers_back_is_built(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    network = Reader(3)
    save(path, network, Card(name="reader"))
    again, _ = load(path, types={"Reader": Reader})
    assert again.top == 1.0
    assert torch.equal(again.linear.weight, network.linear.weight)


@pytest.mark.slow
def test_a_wide_network_takes_no_memory(good: Path, tmp_path: Path) -> None:
    """64 MiB are enough to refuse a network of 7 GiB."""
    path = rewritten(
        good, tmp_path / "a.safetensors", model=described(good, channels=[12_000, 12_000])
    )
    script = f"""
import resource
from pathlib import Path
from diff_core.io import CheckpointError, load
load({str(good)!r})
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**26
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    load({str(path)!r})
except CheckpointError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600
    )
    assert "do not fit the model" in done.stdout, done.stderr


leaf = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=5)
value = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(tree, dict | list):
        return [above]
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return [above, *(place for key, part in items for place in places(part, (*above, key)))]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(data=st.data())
def test_any_part_of_the_description_may_be_anything(
    good: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    model = json.loads(metadata(good)["model"])
    place = data.draw(st.sampled_from(places(model)))
    put = data.draw(value)
    if place:
        inside = model
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = put
    else:
        model = put
    path = tmp_path_factory.mktemp("changed") / "a.safetensors"
    rewritten(good, path, model=json.dumps(model))
    try:
        load(path)
    except CheckpointError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


def test_a_description_of_our_own_is_read() -> None:
    assert parse_description('{"type": "Edm", "sigma_max": 80.0}') == {
        "type": "Edm",
        "sigma_max": 80.0,
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("size"), "a: damaged, or of another version (KeyError: 'size')"),
        (TypeError("no\nnumber"), "a: damaged, or of another version (TypeError: no number)"),
        (RecursionError("deep"), "a: damaged, or of another version (RecursionError: deep)"),
        (ValueError("size is 0"), "a: size is 0"),
        (CheckpointError("a: no such file"), "a: no such file"),
    ],
)
def test_whatever_a_card_leads_to_is_one_line(error: Exception, message: str) -> None:
    with pytest.raises(CheckpointError) as caught, as_checkpoint_error("a"):
        raise error
    assert str(caught.value) == message


def test_a_lack_of_memory_is_no_fault_of_the_checkpoint() -> None:
    with pytest.raises(MemoryError), as_checkpoint_error("a"):
        raise MemoryError
