"""What goes wrong around a run: torn logs, full disks, kills in a validation, two at once."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from diff_core import Cosine, FromX0
from diff_core.nn import UNet
from diff_core.train import Denoising, TrainConfig, TrainingError, read_recipe, train
from diff_core.train.curves import read_curves
from diff_core.train.log import Log, hours_trained, read_log
from diff_core.train.state import read_progress


@dataclass(frozen=True)
class Recipe:
    train: TrainConfig


ROW = '{"step": 4, "seconds": 1800.0, "loss": 0.5, "rate": 0.01, "gradient": 2.0}'
TORN = [
    ROW[:70],  # what a full disk leaves
    ROW[:70] + "\n" + ROW[:1],
    "\0" * 4096,  # what a power cut leaves
    '{"step": 4, "sec\udcff',
    "[" * 5000,
    "3",
]


@pytest.mark.parametrize("torn", TORN, ids=range(len(TORN)))
def test_a_torn_line_costs_itself_and_nothing_else(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{ROW}\n{torn}", errors="surrogateescape")
    log = Log(path)
    log.add({"step": 8, "seconds": 1800.0, "loss": 0.25})
    log.add({"step": 12, "seconds": 3600.0, "loss": math.nan})
    log.close()
    assert [row["step"] for row in read_log(path)] == [4, 8, 12]
    assert hours_trained(path) == 1.0
    curves = read_curves(path)
    assert curves["loss"][4] == 0.5 and curves["loss"][8] == 0.25
    assert math.isnan(curves["loss"][12])


def test_a_log_is_one_line_a_row_and_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert read_log(path) == [] and hours_trained(path) == 0.0
    for row in ({"step": 1}, {"step": 2}):
        log = Log(path)  # a run that goes on opens the file again
        log.add(row)
        log.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1},
        {"step": 2},
    ]


@pytest.mark.parametrize(
    "text",
    ["train: " + "[" * 3000, "train: " + "{a: " * 3000, "- " * 3000 + "x"],
    ids=["lists", "mappings", "items"],
)
def test_a_deep_recipe_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"deep.yaml: nested too deeply") as caught:
        read_recipe(Recipe, path)
    assert "\n" not in str(caught.value)
    good = tmp_path / "good.yaml"
    good.write_text("train: {steps: 3}")
    with pytest.raises(ValueError, match="train.seed: nested too deeply"):
        read_recipe(Recipe, good, ["train.seed=" + "[" * 3000])


CONFIG = TrainConfig(
    steps=12, batch_size=2, warmup=2, checkpoint_every=2, validate_every=4, log_every=1
)


def model() -> FromX0:
    torch.manual_seed(0)
    return FromX0(UNet(1, 1, 1, (4,), blocks=1, embedding=4), Cosine())


class Noise:
    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x_0": torch.randn(1, 8, generator=torch.Generator().manual_seed(index))}


class Killed(BaseException):
    """Like a kill, it leaves on the disk what is there."""


def run(
    directory: Path,
    config: TrainConfig,
    scores: dict[int, float],
    *,
    kill_at: tuple[int, ...] = (),
    score_start: bool = False,
) -> dict[int, list[Tensor]]:
    """The weights kept, by step. Killed in the validations `kill_at`, each once, and resumed."""
    kept: dict[int, list[Tensor]] = {}
    kills = list(kill_at)

    def validate(_: FromX0, step: int) -> dict[str, float]:
        if step in kills:
            kills.remove(step)
            raise Killed
        return {"score": scores[step]}

    def keep(average: FromX0, step: int) -> None:
        kept[step] = [p.detach().clone() for p in average.parameters()]

    for _ in range(len(kill_at) + 1):
        try:
            train(
                model(),
                Denoising(),
                Noise(),
                config,
                directory=directory,
                validate=validate,
                keep=keep,
                score_start=score_start,
            )
        except Killed:
            continue
    assert not kills
    return kept


@pytest.mark.parametrize("stop_after", [0, 1])
@pytest.mark.parametrize("kill_at", [(4,), (8,), (12,), (4, 8, 12)], ids=str)
@pytest.mark.parametrize("best", ["", "score"])
def test_a_kill_in_a_validation_changes_nothing(
    tmp_path: Path, best: str, kill_at: tuple[int, ...], stop_after: int
) -> None:
    scores = {4: 3.0, 8: 2.0, 12: 4.0}
    config = replace(CONFIG, best=best, stop_after=stop_after if best else 0)
    if config.stop_after:
        kill_at = tuple(step for step in kill_at if step < 12)
    whole = run(tmp_path / "whole", config, scores)
    parts = run(tmp_path / "parts", config, scores, kill_at=kill_at)
    assert list(whole) == list(parts)
    for step, weights in whole.items():
        assert all(map(torch.equal, weights, parts[step]))
    states = [tmp_path / name / "state.safetensors" for name in ("whole", "parts")]
    assert read_progress(states[0]) == read_progress(states[1])
    logs = [read_curves(tmp_path / name / "log.jsonl") for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_a_state_from_before_validations_were_recorded_goes_on(tmp_path: Path) -> None:
    config = replace(CONFIG, schedule="constant")
    whole = run(tmp_path / "whole", config, dict.fromkeys((4, 8, 12), 1.0))
    out = tmp_path / "parts"
    run(out, replace(config, steps=4), {4: 1.0})
    path = out / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    progress = json.loads(metadata["progress"])
    del progress["validated"]
    save_file(load_file(path), path, metadata=metadata | {"progress": json.dumps(progress)})
    assert read_progress(path).validated is None
    parts = run(out, config, dict.fromkeys((8, 12), 1.0))
    assert list(parts) == [8, 12]
    assert all(map(torch.equal, whole[12], parts[12]))


def test_the_start_of_a_fine_tuning_is_scored_as_step_0(tmp_path: Path) -> None:
    """What does not become better than it was, stays as it was."""
    config = replace(CONFIG, best="score")
    scores = {0: 5.0, 4: 3.0, 8: 2.0, 12: 4.0}
    for name, kill_at in (("whole", ()), ("parts", (0, 8))):
        kept = run(tmp_path / name, config, scores, kill_at=kill_at, score_start=True)
        assert list(kept) == [0]
        assert all(map(torch.equal, kept[0], (p.detach() for p in model().parameters())))
        curve = read_curves(tmp_path / name / "log.jsonl")["score"]
        assert curve == scores
    better = run(tmp_path / "better", config, scores | {8: 6.0}, score_start=True)
    assert list(better) == [0, 8]
    assert list(run(tmp_path / "fresh", config, scores)) == [4, 12]


def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    told: list[str] = []

    def another() -> None:
        try:
            train(model(), Denoising(), Noise(), CONFIG, directory=tmp_path)
        except TrainingError as error:
            told.append(str(error))

    def validate(_: FromX0, step: int) -> dict[str, float]:
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
        return {}

    train(model(), Denoising(), Noise(), CONFIG, directory=tmp_path, validate=validate)
    assert len(told) == 3
    assert all(f"{tmp_path}: another process trains here" in line for line in told)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.jsonl", "state.safetensors"]
    steps = [row["step"] for row in read_log(tmp_path / "log.jsonl") if "loss" in row]
    assert steps == list(range(1, 13))


@pytest.mark.slow
def test_a_save_that_is_killed_leaves_nothing_for_ever(tmp_path: Path) -> None:
    """The system kills the process inside the write of a state: at the limit of a file's size."""
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_faults as here
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
limit = lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)) or {{}}
out = Path({str(tmp_path)!r})
here.train(
    here.model(), here.Denoising(), here.Noise(), here.CONFIG, directory=out, validate=limit
)
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=600, check=False)
    assert done.returncode == -signal.SIGXFSZ
    left = {p.name for p in tmp_path.iterdir()} - {"state.safetensors", "log.jsonl"}
    assert any(name.startswith(".tmp") for name in left), left
    mine = [tmp_path / ".bashrc", tmp_path / ".editor.settings.json"]
    for path in mine:
        path.write_text("mine")
    assert read_progress(tmp_path / "state.safetensors").step == 4
    train(model(), Denoising(), Noise(), CONFIG, directory=tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        "state.safetensors",
        "log.jsonl",
        *(path.name for path in mine),
    }
