"""The example of text: the corpus, the recipe, training, writing and infilling by the commands."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from diff_core.io import load
from diff_core.train.recipe import read_recipe

FOLDER = Path(__file__).parents[3] / "examples" / "core" / "text"
TINY = (
    "network.width=16 network.depth=1 network.heads=2 window=24 windows=2 draws=2 "
    "train.steps=3 train.batch_size=2 train.validate_every=3 train.warmup=0"
)


@pytest.fixture
def text_model(monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201
    """The module of the example, imported as when it is run: from its own folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("text_model", "write_text"):
        monkeypatch.setitem(sys.modules, name, None)  # so that it is taken out again
        del sys.modules[name]
    monkeypatch.setitem(sys.modules, "text_model", import_module("text_model"))
    return sys.modules["text_model"]


@pytest.mark.slow
def test_it_learns_writes_and_infills(
    text_model,  # noqa: ANN001
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [sys.executable, str(FOLDER / "train_text.py"), "text", "--out", str(tmp_path)]
    made = subprocess.run([*command, *TINY.split()], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    weights = tmp_path / "text.safetensors"
    _, card = load(weights)
    assert card.scores["bits a character"] > 0 and card.licences == ("public domain",)
    alphabet = set(card.signal["alphabet"])

    writer = import_module("write_text")

    def written(*more: str) -> str:
        writer.main([str(weights), "--steps", "4", *more])
        return capsys.readouterr().out

    for name in ("ancestral", "first-hitting", "confidence", "remasking", "corrector"):
        wrote = written("--samples", "2", "--sampler", name, "--length", "10")
        assert set(wrote) <= alphabet | {"\n"} and len(wrote) == 2 * 12
    assert written("--samples", "2", "--sampler", "corrector", "--length", "10") == wrote

    template = "I found Holmes ______ at home."
    filled = written("--samples", "1", "--infill", template)
    assert filled[:15] == template[:15] and filled[21:30] == template[21:]
    assert "_" not in filled[15:21]


def test_the_recipe_is_whole(text_model) -> None:  # noqa: ANN001
    recipe = read_recipe(text_model.Recipe, FOLDER / "recipe.yaml")
    alphabet, text, held_out = text_model.read(text_model.HOLMES, recipe.held_out)
    assert alphabet.decode(held_out).count("Miss Hunter") > 15  # the last story, and only there
    assert "Miss Hunter" not in alphabet.decode(text)
    assert "Gutenberg" not in alphabet.decode(text)


def test_windows_are_functions_of_their_index(text_model) -> None:  # noqa: ANN001
    windows = text_model.Windows(torch.arange(100), 10)
    assert torch.equal(windows[3]["x_0"], windows[3]["x_0"])
    firsts = {int(windows[i]["x_0"][0]) for i in range(2000)}
    assert firsts == set(range(91))
    assert windows.spread(4)[:, 0].tolist() == [0, 30, 60, 90]
    with pytest.raises(ValueError, match="expected more than 100"):
        text_model.Windows(torch.arange(100), 100)


def test_characters_that_are_not_in_the_text_are_named(text_model) -> None:  # noqa: ANN001
    alphabet = text_model.Alphabet("abc")
    assert alphabet.decode(alphabet.encode("cab")) == "cab"
    with pytest.raises(ValueError, match=r"\['#'\] not in the alphabet"):
        alphabet.encode("a#b")
