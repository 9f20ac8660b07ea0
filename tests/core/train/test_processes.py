"""Training as real processes: killed, stopped, several at once, resumed as another number."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diff_core.command import run
from diff_core.io import load, read_card
from diff_core.train.curves import read_curves
from diff_core.train.state import read_progress

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "support" / "tiny_training.py"
RECIPE = """
train:
  steps: 12
  batch_size: 4
  warmup: 2
  validate_every: 6
  checkpoint_every: 5
  log_every: 1
  snapshot_every: 6
  precision: float32
"""


def arguments(out: Path, *more: str) -> list[str]:
    recipe = out.parent / "recipe.yaml"
    recipe.write_text(RECIPE)
    return ["tiny", "--recipe", str(recipe), "--out", str(out), "--device", "cpu", *more]


def here(out: Path, *more: str, code: int = 0) -> Path:
    """The command in this process, which it must leave as it was; its state."""
    spec = importlib.util.spec_from_file_location("tiny_training", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_training"] = module
    spec.loader.exec_module(module)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert run(module.app, "tiny", arguments(out, *more)) == code
    finally:
        signal.signal(signal.SIGTERM, handler)
    return out / "state.safetensors"


def spawned(out: Path, *more: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(SCRIPT), *arguments(out, *more)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
    )


def pair(out: Path, *more: str) -> list[subprocess.Popen[str]]:
    """Two processes that know of each other, as any launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    made = []
    for rank in ("0", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RANK", rank)
            patch.setenv("LOCAL_RANK", rank)
            patch.setenv("WORLD_SIZE", "2")
            patch.setenv("LOCAL_WORLD_SIZE", "2")
            patch.setenv("MASTER_ADDR", "127.0.0.1")
            patch.setenv("MASTER_PORT", port)
            made.append(spawned(out, *more))
    return made


def same(one: Path, two: Path, within: float = 0.0) -> None:
    a, b = load_file(one), load_file(two)
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=0, atol=within)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a run that nothing happened to."""
    return here(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize("fault", ["term", "int"])
def test_a_signal_in_a_step_lets_it_end_and_saves(
    fault: str, tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if fault == "term":
        process = spawned(tmp_path / "run", "fault=term@3")
        _, error = process.communicate()
        assert process.returncode == 143
    else:  # which a shell sends; the same without the seconds of a process
        here(tmp_path / "run", "fault=int@3", code=130)
        error = capsys.readouterr().err
    assert error == f"tiny: stopped by SIG{fault.upper()} after step 4; go on with --resume\n"
    assert read_progress(tmp_path / "run/state.safetensors").step == 4
    same(here(tmp_path / "run", "--resume"), whole)


def test_a_run_goes_on_with_its_own_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    here(out, "train.steps=2", "width=4")
    resume = ["tiny", "--out", str(out), "--device", "cpu", "--resume"]
    app = sys.modules["tiny_training"].app  # whose default recipe is nowhere
    assert run(app, "tiny", [*resume, "width=6"]) == 1
    assert "is the state of another model" in capsys.readouterr().err
    assert run(app, "tiny", [*resume, "train.steps=3"]) == 0
    assert "other settings" not in capsys.readouterr().err
    assert json.loads((out / "recipe.json").read_text())["width"] == 4
    assert run(app, "tiny", [*resume, "train.steps=4", "fault=none@9"]) == 0
    error = capsys.readouterr().err
    assert 'resumed with other settings: fault is "", here "none@9"' in error
    assert "resumed after step 3: steps is 4, was 3" in error


def test_a_torn_log_costs_a_run_no_weights(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    here(out, "train.steps=6", "train.schedule=constant")
    (out / "tiny.safetensors").unlink()
    log = out / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-20] + bytes(100))
    resumed = here(out, "--resume", "train.schedule=constant")
    assert read_progress(resumed).step == 12
    assert read_card(out / "tiny.safetensors").steps == 12
    assert max(read_curves(log)["loss"]) == 12


def test_a_rehearsal_where_the_system_counts_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows has no module `resource`."""
    monkeypatch.setitem(sys.modules, "resource", None)
    here(tmp_path / "run", "--dry-run")
    told = capsys.readouterr().out.splitlines()
    assert "memory: not measured on this system" in told
    assert any(line.startswith("time: ") for line in told)


def test_a_fine_tuning_keeps_the_start_that_it_does_not_better(tmp_path: Path) -> None:
    start = here(tmp_path / "first").with_name("tiny.safetensors")
    out = tmp_path / "second"
    here(out, "--start-from", str(start), "train.best=error", "train.better=higher")
    kept, card = load_file(out / "tiny.safetensors"), read_card(out / "tiny.safetensors")
    scores = read_curves(out / "log.jsonl")["error"]
    assert 0 in scores
    best = max(scores, key=scores.__getitem__)
    assert card.steps == 12 + best
    if best == 0:
        assert all(torch.equal(value, kept[name]) for name, value in load_file(start).items())


def test_data_of_a_chain_of_trainings_stands_once(tmp_path: Path) -> None:
    """Three trainings on the same data: the card of the last names them as the second does."""
    first = here(tmp_path / "first").with_name("tiny.safetensors")
    second, third = (tmp_path / name / "tiny.safetensors" for name in ("second", "third"))
    here(second.parent, "--start-from", str(first))
    here(third.parent, "--start-from", str(second))
    data = read_card(first).data
    assert data
    for path in (second, third):
        card = read_card(path)
        assert card.data == (*(f"start: {line}" for line in data), *data)
        assert len(card.licences) == len(card.data)


def test_killed_while_it_writes_a_checkpoint(tmp_path: Path, whole: Path) -> None:
    """The fourth file that is written: after checkpoint 5, snapshot 6 and model 6."""
    out = tmp_path / "run"
    process = spawned(out, "fault=torn@4")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list(out.glob(".state.safetensors.*"))) == 1  # the torn one
    assert read_progress(out / "state.safetensors").step == 5
    same(here(out, "--resume"), whole)
    assert not list(out.glob(".*"))
    for name in ("tiny.safetensors", "averages/00000006.safetensors"):
        same(out / name, whole.parent / name)


def test_two_processes_are_one_and_may_become_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten steps by two with two parts each, stopped together by a signal to one of them; ten more
    by a launcher, preempted as a job of a scheduler; and the last ten by one.
    """
    out = tmp_path / "run"
    launcher = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    launcher = (*launcher, "--main_process_port", "0")
    settings = ("train.steps=30", "train.accumulate=4", "watched=true")
    both = pair(out, *settings, "fault=term@9")
    (said, error), _ = (process.communicate() for process in both)
    assert [process.returncode for process in both] == [143, 143]
    assert "30 steps of 4 items: 2 processes with 2 parts each" in said
    assert "tiny: stopped by SIGTERM after step 10" in error
    process = spawned(out, "--resume", *settings, "fault=preempt@19", launcher=launcher)
    _, error = process.communicate()
    assert "tiny: stopped by SIGTERM after step 20" in error
    alone = here(tmp_path / "alone", *settings)
    capsys.readouterr()
    resumed = here(out, "--resume", *settings)
    error = capsys.readouterr().err
    assert "resumed after step 20: processes is 1, was 2" in error
    assert "the same batches in the same parts: equal up to rounding" in error
    same(resumed, alone, within=1e-9)
    losses = [read_curves(path.with_name("log.jsonl"))["loss"] for path in (resumed, alone)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)
    assert sorted(losses[0]) == list(range(1, 31))
    seen = [read_curves(path.with_name("log.jsonl"))["distance"] for path in (resumed, alone)]
    assert seen[0] == pytest.approx(seen[1], abs=1e-9)
    assert sorted(seen[0]) == [6, 12, 18, 24, 30]


def test_when_one_of_two_dies_the_other_stops_and_says_so(tmp_path: Path) -> None:
    first, second = pair(tmp_path / "run", "fault=kill@7")
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    _, error = second.communicate(timeout=30)
    assert second.returncode == 1
    line = error.strip().splitlines()[-1]
    assert line.startswith("tiny, process 1: process 1 of 2 has lost another")
    assert read_progress(tmp_path / "run/state.safetensors").step == 5


def test_a_sharded_model_goes_on_and_is_saved_whole(tmp_path: Path) -> None:
    """FSDP: from the state of one process, by two, to the same end."""
    alone = here(tmp_path / "alone", "train.accumulate=2")
    out = tmp_path / "run"
    here(out, "train.accumulate=2", "fault=term@4", code=143)
    for process in pair(out, "--resume", "--sharded", "train.accumulate=2"):
        _, error = process.communicate()
        assert process.returncode == 0, error
    same(out / "state.safetensors", alone, within=1e-9)
    assert load(out / "tiny.safetensors")[1].steps == 12
    assert read_card(out / "tiny.safetensors").scores == pytest.approx(
        read_card(alone.parent / "tiny.safetensors").scores
    )
