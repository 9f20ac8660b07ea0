"""Recipes: typed, checked, overridable, and the same after they went through a card."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from diff_core import Cosine, FromX0
from diff_core.io import Card, save
from diff_core.train import TrainConfig, dump_recipe, make_recipe, read_recipe


@dataclass(frozen=True)
class Room:
    size: tuple[float, float, float] = (3.0, 4.0, 2.5)
    walls: Literal["hard", "soft"] = "hard"

    def __post_init__(self) -> None:
        if min(self.size) <= 0:
            raise ValueError(f"size is {self.size}; expected positive lengths")


@dataclass(frozen=True)
class Recipe:
    train: TrainConfig
    weights: dict[str, float] = field(default_factory=dict)
    room: Room | None = None


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_and_overrides_make_a_recipe(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.yaml",
        "train: {steps: 3, learning_rate: 1e-4, final_rate: 0}\nweights: {a b: 2}\n",
    )
    settings = ["train.steps=1e2", "room.size=[1, 2, 3]", "train.compile=true", "weights.c=0.5"]
    recipe = read_recipe(Recipe, path, settings)
    assert recipe.train == TrainConfig(steps=100, learning_rate=1e-4, final_rate=0, compile=True)
    assert recipe.weights == {"a b": 2.0, "c": 0.5}
    assert recipe.room == Room((1.0, 2.0, 3.0))


@settings(max_examples=30)
@given(
    st.builds(
        Recipe,
        train=st.builds(
            TrainConfig,
            steps=st.integers(1, 10**9),
            learning_rate=st.floats(1e-3, 1.0),
            seed=st.integers(0, 2**40),
            optimizer=st.sampled_from(["sgd", "adam", "adamw", "muon"]),
        ),
        weights=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
        room=st.none() | st.builds(Room, walls=st.sampled_from(["hard", "soft"])),
    )
)
def test_a_recipe_comes_back_from_json(recipe: Recipe) -> None:
    assert make_recipe(Recipe, json.loads(json.dumps(dump_recipe(recipe)))) == recipe


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("train: {stepz: 3}", [], "train.stepz is not known; did you mean train.steps?"),
        ("trian: {steps: 3}", [], "trian is not known; did you mean train?"),
        ("zzz: 3", [], "zzz is not known; expected train, weights, room"),
        ("train: {steps: 3}", ["room.sise=3"], "did you mean room.size?"),
        ("train: {steps: 3}", ["steps=3"], "steps is not known; did you mean train.steps?"),
        ("weights: {}", [], "train is missing"),
        ("", [], "train is missing"),
        ("train: {}", [], "train.steps is missing"),
        ("train: {steps: many}", [], "train.steps is 'many': input should be a valid integer"),
        ("train: {steps: 0}", [], "train: steps is 0; expected at least 1"),
        ("train: {steps: 3}", ["train.optimizer=lion"], "'sgd', 'adam', 'adamw' or 'muon'"),
        ("train: {steps: 3}", ["room.size=[1, 2]"], "room.size"),
        ("train: {steps: 3}", ["room.size=[1, 2, -3]"], "expected positive lengths"),
        ("train: {steps: 3}", ["train.steps"], "expected KEY=VALUE"),
        ("train: {steps: 3}", ["train..steps=3"], "expected KEY=VALUE"),
        ("train: {steps: 3}", ["room={"], "not YAML"),
        ("train: {steps: 3, steps: 4}", [], "steps given twice"),
        ("- 3", [], "expected sections"),
        ("a: [", [], "not YAML"),
    ],
)
def test_faults_are_named_in_one_line(
    tmp_path: Path, text: str, overrides: list[str], said: str
) -> None:
    with pytest.raises(ValueError) as caught:
        read_recipe(Recipe, write(tmp_path / "r.yaml", text), overrides)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none.yaml: no such file"):
        read_recipe(Recipe, tmp_path / "none.yaml")


def test_a_model_stands_for_the_recipe_in_its_card(tmp_path: Path) -> None:
    path, recipe = tmp_path / "m.safetensors", Recipe(TrainConfig(steps=7), {"a": 2.0}, Room())
    model = FromX0(nn.Identity(), Cosine())
    model.network.config = {}
    held = dump_recipe(recipe)
    past = {"start": dump_recipe(Recipe(TrainConfig(1))), "blend": {"share": 0.5}}
    save(path, model, Card("m", recipe=held | past))
    assert read_recipe(Recipe, path) == recipe
    assert read_recipe(Recipe, path, ["train.steps=2"]).train.steps == 2
    save(path, model, Card("m", recipe=held | {"rome": None}))
    with pytest.raises(ValueError, match=r"m\.safetensors: rome is not known; did you mean room"):
        read_recipe(Recipe, path)
    save(path, model, Card("m"))
    with pytest.raises(ValueError, match=r"m\.safetensors: train is missing"):
        read_recipe(Recipe, path)
