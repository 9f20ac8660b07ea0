"""Sweeps through the real command: grid and halving, to the bit what single runs give."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from diff_core.command import run
from diff_core.train import TrainConfig
from diff_core.train.curves import read_curves
from diff_core.train.state import read_progress
from diff_core.train.sweep import Result, Setting, Sweep, ranked
from diff_core.train.sweep_table import draw_sweep, table_lines

SCRIPT = Path(__file__).parents[2] / "support" / "tiny_training.py"
RECIPE = """
train:
  steps: 8
  batch_size: 4
  warmup: 2
  validate_every: 2
  checkpoint_every: 3
  log_every: 1
  precision: float32
"""
RATES = [0.0001, 0.003, 0.03]

Command = Callable[..., int]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The training command, with a recipe; arguments are the folder and more options."""
    spec = importlib.util.spec_from_file_location("tiny_sweep", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_sweep"] = module
    spec.loader.exec_module(module)
    recipe = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    recipe.write_text(RECIPE)

    def call(out: Path, *more: str) -> int:
        given = ["tiny", "--recipe", str(recipe), "--out", str(out), "--device", "cpu", *more]
        return run(module.app, "tiny", given)

    return call


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without matplotlib: pictures take longer than these trainings."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def written(path: Path, **sweep: object) -> str:
    path.write_text(yaml.safe_dump(sweep, sort_keys=False))
    return str(path)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def same(one: Path, two: Path) -> None:
    a, b = load_file(one), load_file(two)
    assert a.keys() == b.keys()
    assert all(torch.equal(value, b[name]) for name, value in a.items())


@pytest.mark.usefixtures("no_pictures")
def test_a_grid_is_its_single_runs(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run of the table is the run of the same settings alone, to the bit."""
    out = tmp_path / "sweep"
    keys = {"width": [4, 8], "train.learning_rate": [0.003]}
    file = written(tmp_path / "s.yaml", keys=keys, seeds=[0, 3], score="error")
    assert command(out, "--sweep", file, "train.steps=2", "--dry-run") == 0
    assert [path.name for path in out.iterdir()] == []
    assert "time: " in capsys.readouterr().out
    assert command(out, "--sweep", file, "train.steps=2") == 0
    table = rows(out)
    assert [(r["width"], r["train.learning_rate"], r["seed"]) for r in table] == [
        (width, "0.003", seed) for width in "48" for seed in "03"
    ]
    assert command(tmp_path / "one", "width=8", "train.learning_rate=0.003", "train.steps=2",
                   "--seed", "3") == 0  # fmt: skip
    found = table[3]
    same(out / found["folder"] / "tiny.safetensors", tmp_path / "one/tiny.safetensors")
    assert float(found["error"]) == read_curves(tmp_path / "one/log.jsonl")["error"][2]
    said = capsys.readouterr().out
    assert "2 settings with 2 seeds each, 8 steps in all" in said
    means = {
        (a["width"], a["train.learning_rate"]): (float(a["error"]) + float(b["error"])) / 2
        for a, b in zip(table[::2], table[1::2], strict=True)
    }
    width, rate = min(means, key=means.__getitem__)
    assert f"best: width={width} train.learning_rate={rate}, in" in said


@pytest.mark.usefixtures("no_pictures")
def test_halving_trains_the_better_to_the_end(tmp_path: Path, command: Command) -> None:
    """Rungs at 2, 4 and 8 steps; a winner that stopped twice is the run that never did."""
    out = tmp_path / "sweep"
    keys = {"train.learning_rate": RATES}
    file = written(tmp_path / "s.yaml", keys=keys, score="error", halving=2, first=2)
    assert command(out, "--sweep", file) == 0
    table = {row["train.learning_rate"]: row for row in rows(out)}
    logs = {r: read_curves(out / row["folder"] / "log.jsonl")["error"] for r, row in table.items()}
    first = sorted(logs, key=lambda rate: logs[rate][2])
    second = sorted(first[:2], key=lambda rate: logs[rate][4])
    reached = {first[2]: 2, second[1]: 4, second[0]: 8}
    assert {rate: int(row["steps"]) for rate, row in table.items()} == reached
    states = {r: read_progress(out / table[r]["folder"] / "state.safetensors") for r in reached}
    assert {rate: state.step for rate, state in states.items()} == reached
    assert command(tmp_path / "one", f"train.learning_rate={second[0]}") == 0
    for name in ("tiny.safetensors", "state.safetensors"):
        same(out / table[second[0]]["folder"] / name, tmp_path / "one" / name)
    steps = [row["step"] for row in map(json.loads, (
        out / table[second[0]]["folder"] / "log.jsonl").read_text().splitlines())
        if "validation" in row]  # fmt: skip
    assert steps == [2, 4, 6, 8]  # none of them made twice


@pytest.mark.usefixtures("no_pictures")
def test_a_sweep_that_is_stopped_goes_on(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped in its second run; the end is that of a sweep that was not."""
    keys = {"width": [4, 6], "fault": ["", "term@2"]}
    file = written(tmp_path / "s.yaml", keys=keys, score="error")
    assert command(tmp_path / "cut", "--sweep", file, "train.steps=4") == 143
    assert len(rows(tmp_path / "cut")) == 1
    assert command(tmp_path / "cut", "--sweep", file, "train.steps=4") == 2
    assert command(tmp_path / "cut", "--resume", "train.steps=6") == 1
    assert "holds a sweep of another recipe: train.steps is 4, here 6" in capsys.readouterr().err
    assert command(tmp_path / "cut", "--resume", "train.steps=4") == 143  # the other `fault`
    models = (tmp_path / "cut").glob("runs/*/tiny.safetensors")
    done = [m for m in models if read_progress(m.with_name("state.safetensors")).step == 4]
    times = {path: path.stat().st_mtime_ns for path in done}
    assert len(times) == 3
    assert command(tmp_path / "cut", "--resume", "train.steps=4") == 0
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    table = rows(tmp_path / "cut")
    assert [float(row["steps"]) for row in table] == [4.0] * 4
    assert table[0]["error"] == table[1]["error"]  # a stop changes nothing
    assert table[2]["error"] == table[3]["error"]


@pytest.mark.usefixtures("no_pictures")
def test_a_setting_that_fails_comes_last(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"train.learning_rate": [1e30, 0.003]}
    file = written(tmp_path / "s.yaml", keys=keys, score="error")
    assert command(tmp_path / "a", "--sweep", file, "train.clip=1e30", "train.patience=2") == 0
    caught = capsys.readouterr()
    assert "2 steps in a row gave a loss or gradient that is not finite" in caught.err
    assert "best: train.learning_rate=0.003, in" in caught.out
    assert [row["error"] for row in rows(tmp_path / "a")][0] == "nan"
    file = written(tmp_path / "s.yaml", keys={"train.learning_rate": [1e30]}, score="error")
    assert command(tmp_path / "b", "--sweep", file, "train.clip=1e30", "train.patience=2") == 1
    assert "no setting has a finite error at step 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"keys": {"widht": [4]}, "score": "error"}, "widht is not known; did you mean width?"),
        ({"keys": {"width": ["wide"]}, "score": "error"}, 'sweep, width="wide": recipe'),
        ({"keys": {"width": [date(2026, 1, 2)]}, "score": "error"}, 'width="2026-01-02": recipe'),
        ({"keys": {"width": 4}}, "keys.width is 4"),
        ({"keys": {"width": [4]}}, "score is missing, and train.best too"),
        ({"keys": {"width": []}}, "width is []; expected values, each given once"),
        ({"keys": {"width": [4, 4]}}, "width is [4, 4]; expected values, each given once"),
        ({"keys": {"train.seed": [4]}}, "keys holds train.seed; expected it in `seeds`"),
        ({"keys": {"width": [4]}, "halving": 1, "first": 2}, "expected at least 2 and 1"),
        ({"keys": {"width": [4]}, "halving": 3}, "expected at least 2 and 1"),
        ({"keys": {"train.steps": [4]}, "halving": 3, "first": 1}, "by which the rungs"),
        ({"keys": {"width": [4]}, "sede": [1]}, "sede is not known"),
        ({}, "keys is missing"),
    ],
)
def test_a_faulty_sweep_trains_nothing(
    sweep: dict[str, object],
    said: str,
    tmp_path: Path,
    command: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(tmp_path / "out", "--sweep", written(tmp_path / "s.yaml", **sweep)) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_pictures")
def test_a_score_that_the_log_lacks_is_named(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "s.yaml", keys={"width": [4, 8]}, score="errror")
    assert command(tmp_path / "out", "--sweep", file, "train.steps=2") == 1
    assert "score is 'errror'; expected one of error, gradient, loss" in capsys.readouterr().err


def test_rungs_are_validations_and_grow_by_the_factor() -> None:
    sweep = Sweep({"width": (1, 2)}, halving=3, first=90)
    config = TrainConfig(steps=2000, validate_every=100)
    assert sweep.rungs(config) == (100, 300, 900, 2000)
    assert Sweep({"width": (1, 2)}).rungs(config) == (2000,)
    assert sweep.rungs(TrainConfig(steps=50, validate_every=100)) == (50,)
    scores = {Setting({"width": w}): score for w, score in enumerate((3.0, math.nan, 1.0, 2.0))}
    assert [s.values["width"] for s in sweep.best(scores, higher=False)] == [2, 3]
    assert [s.values["width"] for s in ranked(scores, higher=True)] == [0, 3, 2, 1]


def test_the_table_has_mean_and_deviation_over_the_seeds() -> None:
    found = Result(Setting({"net.width": [4, 8], "kind": "wide"}), 20, (1.0, 3.0))
    lines = table_lines([found], "loss")
    assert lines[0].split() == ["net.width", "kind", "steps", "loss", "spread", "seeds"]
    assert lines[1].split() == ["[4,", "8]", "wide", "20", "2", "1.4142", "2"]


def test_the_picture_has_a_plot_for_each_key(tmp_path: Path) -> None:
    """A run that has no score yet does not spoil it; a further key makes it wider."""
    sizes: list[int] = []
    for keys in ({"width": (4, 8)}, {"width": (4, 8), "kind": ("a", "b")}):
        settings = Sweep(keys, seeds=(0, 1)).settings()
        runs = [[setting.trial(seed, tmp_path) for seed in (0, 1)] for setting in settings]
        for number, trials in enumerate(runs):
            for trial in trials:
                trial.folder.mkdir(parents=True, exist_ok=True)
                for step in (2, 4)[: 2 - (number == 0)]:
                    row = {"step": step, "validation": {"error": number + trial.seed / step}}
                    with (trial.folder / "log.jsonl").open("a") as log:
                        log.write(json.dumps(row) + "\n")
        results = [Result(s, 4 - 2 * (k == 0), (math.nan, 1.0)) for k, s in enumerate(settings)]
        draw_sweep(tmp_path / "sweep.png", results, runs, "error")
        sizes.append(Image.open(tmp_path / "sweep.png").width)
    assert sizes[1] > sizes[0] > 300
