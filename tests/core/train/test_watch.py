"""Samples watched in training: they choose the model, and change nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diff_core.denoiser import FromX0
from diff_core.io import Card, read_card
from diff_core.schedule import Cosine
from diff_core.train import (
    Denoising,
    Job,
    Seen,
    TrainConfig,
    TrainingError,
    Watched,
    lower_is_better,
    train,
)
from diff_core.train.curves import read_curves
from diff_core.train.run import Options, run_job
from diff_core.train.state import read_progress


class Line(nn.Module):
    """A network of rows (B, 4), with dropout: it draws from torch's global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, object] = {}
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4))
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        times = time.reshape(-1, 1).expand(len(x), 1).to(x)
        return self.drop(self.layers(torch.cat([x, times], 1)))


class Rows:
    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x_0": torch.randn(4, generator=torch.Generator().manual_seed(index)) + 2}


class Killed(BaseException):
    """Like a kill, it leaves on the disk what is there."""


@dataclass
class Drawing:
    """A watch that draws from torch's global generator, as a careless one does.

    values: at a step in the place of what it draws
    """

    values: dict[int, float] = field(default_factory=dict)
    kill_at: int = 0
    names = ("distance",)

    def look(self, average: FromX0, step: int) -> Seen:
        assert not torch.is_grad_enabled() and not average.training
        made = average(torch.randn(64, 4), torch.full((64,), 0.9))
        if step == self.kill_at:
            raise Killed
        distance = float((made.mean(0) - 2).norm())
        return Seen({"distance": self.values.get(step, distance)}, {"made": torch.rand(3, 2, 2)})


CONFIG = TrainConfig(
    steps=12, batch_size=8, learning_rate=0.02, warmup=1, validate_every=4, checkpoint_every=3,
    precision="float32",
)  # fmt: skip


def model() -> FromX0:
    torch.manual_seed(0)
    return FromX0(Line(), Cosine())


def plain(average: FromX0, step: int) -> dict[str, float]:
    return {"error": 1.0 / step}


@dataclass(frozen=True)
class Recipe:
    train: TrainConfig = CONFIG


def run(out: Path, *settings: str, watch: Drawing | None = None, until: int | None = None) -> None:
    """The training command's work, in this process."""

    def build(recipe: Recipe, inputs: object, folder: Path) -> Job[FromX0]:
        def card(average: FromX0, step: int, hours: float) -> Card:
            return Card("line", scores=plain(average, step))

        network = model().eval()  # no dropout: its draws are not part of a state
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return Job(network, Denoising(), Rows(), card, plain, watch=watch or Drawing())

    file = out.parent / "recipe.yaml"
    file.write_text(json.dumps({"train": asdict(CONFIG)}))  # which is YAML too
    module = SimpleNamespace(Recipe=Recipe, build=build)
    options = Options("line", out, device="cpu", until=until, quiet=True)
    run_job(module, file, settings, None, options)


def test_a_resumed_run_sees_and_keeps_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    """Killed in a validation, and cut between two."""
    best = ("train.best=distance", "train.better=lower")
    run(tmp_path / "whole", *best)
    with pytest.raises(Killed):
        run(tmp_path / "parts", *best, watch=Drawing(kill_at=4))
    for until in (5, None):
        run(tmp_path / "parts", *best, until=until)
    curves = [read_curves(tmp_path / name / "log.jsonl") for name in ("whole", "parts")]
    assert curves[0]["distance"] == curves[1]["distance"]
    assert sorted(curves[0]["distance"]) == [4, 8, 12]
    assert len(set(curves[0]["distance"].values())) == 3
    for name in ("line.safetensors", "state.safetensors"):
        one, other = (load_file(tmp_path / run / name) for run in ("whole", "parts"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    states = [read_progress(tmp_path / run / "state.safetensors") for run in ("whole", "parts")]
    assert states[0] == states[1]
    cards = [read_card(tmp_path / run / "line.safetensors") for run in ("whole", "parts")]
    assert cards[0] == replace(cards[1], hours=cards[0].hours)


def test_the_lowest_number_chooses_and_is_in_the_card(tmp_path: Path) -> None:
    values = {4: math.nan, 8: 0.123456, 12: 0.2}
    run(tmp_path / "out", "train.best=distance", "train.better=lower", watch=Drawing(values))
    card = read_card(tmp_path / "out" / "line.safetensors")
    assert card.steps == 8
    assert card.scores == {"error": 0.125, "distance": 0.1235}
    assert "distance" in (tmp_path / "out" / "log.jsonl").read_text()
    assert (tmp_path / "out" / "curves.png").exists()


def test_a_watch_does_not_change_the_training(tmp_path: Path) -> None:
    """Dropout's masks are drawn from the same generator as the samples."""
    found: list[FromX0] = []
    validations: tuple[Callable[..., object], ...] = (plain, Watched(plain, Drawing(), CONFIG))
    for number, validate in enumerate(validations):
        found.append(
            train(
                model(), Denoising(), Rows(), CONFIG, directory=tmp_path / str(number),
                validate=validate,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    for one, other in zip(found[0].parameters(), found[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_watch_sees_the_same_with_and_without_scores() -> None:
    average = model().eval()
    alone, both = (Watched(v, Drawing(), CONFIG)(average, 4) for v in (None, plain))
    assert both.numbers == {"error": 0.25, **alone.numbers}
    assert torch.equal(alone.pictures["made"], both.pictures["made"])
    watched = Watched(None, Drawing(), CONFIG)
    assert watched.told(average, 4) == pytest.approx(alone.numbers, rel=1e-3)


def test_an_unknown_best_lists_the_names_and_loses_no_step(tmp_path: Path) -> None:
    def run(best: str) -> None:
        config = replace(CONFIG, best=best, better="lower")
        validate = Watched(plain, Drawing(), config)
        train(model(), Denoising(), Rows(), config, directory=tmp_path, validate=validate)

    with pytest.raises(TrainingError) as caught:
        run("frechte")
    assert str(caught.value) == (
        "best is 'frechte'; expected a score of the validation: error, distance"
    )
    assert read_progress(tmp_path / "state.safetensors").step == 4
    run("distance")
    assert sorted(read_curves(tmp_path / "log.jsonl")["distance"]) == [4, 8, 12]


def test_the_highest_distance_and_a_name_that_is_there_twice_are_refused() -> None:
    config = replace(CONFIG, best="distance")
    with pytest.raises(ValueError, match="better is 'higher'; expected 'lower', since best is"):
        Watched(plain, Drawing(), config)
    assert lower_is_better(config, Drawing.names).better == "lower"
    assert lower_is_better(config, ["error"]) == config
    twice = Watched(lambda average, step: {"distance": 1.0}, Drawing(), CONFIG)
    with pytest.raises(ValueError, match="distance is a score of the validation and a number"):
        twice(model().eval(), 4)
