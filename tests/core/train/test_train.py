"""Training: the loop learns, resumes bit for bit, averages, and survives bad numbers."""

from __future__ import annotations

import json
import math
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diff_core.command import explain
from diff_core.denoiser import Denoiser, FromX0
from diff_core.io import CheckpointError
from diff_core.nn import UNet
from diff_core.schedule import Cosine, log_snr
from diff_core.train import (
    Denoising,
    Ema,
    TrainConfig,
    TrainingError,
    edm_weight,
    eps_weight,
    hours_trained,
    learning_rate,
    min_snr_weight,
    train,
    v_weight,
    x0_weight,
)
from diff_core.train.state import read_progress


class Waves:
    """Sines of random phase; item i is a function of i."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        phase = torch.rand(1, generator=torch.Generator().manual_seed(index))
        return {"x_0": torch.sin(2 * math.pi * (torch.arange(16) / 8 + phase))[None]}


def model() -> FromX0:
    torch.manual_seed(0)
    return FromX0(UNet(1, 1, 1, (8, 16), blocks=1, embedding=16), Cosine())


CONFIG = TrainConfig(
    steps=12, batch_size=4, warmup=3, checkpoint_every=5, validate_every=6, log_every=4
)


def test_resume_equals_uninterrupted_bit_for_bit(tmp_path: Path) -> None:
    whole = train(model(), Denoising(), Waves(), CONFIG, directory=tmp_path / "whole")

    class Stop(Exception):
        pass

    class Stopping(Waves):
        def __getitem__(self, index: int) -> dict[str, Tensor]:
            if index >= 7 * CONFIG.batch_size:  # two steps after the checkpoint of step 5
                raise Stop
            return super().__getitem__(index)

    with pytest.raises(Stop):
        train(model(), Denoising(), Stopping(), CONFIG, directory=tmp_path / "parts")
    resumed = train(model(), Denoising(), Waves(), CONFIG, directory=tmp_path / "parts")
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    states = [load_file(tmp_path / name / "state.safetensors") for name in ("whole", "parts")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_loader_processes_do_not_change_the_result(tmp_path: Path) -> None:
    configs = [CONFIG, replace(CONFIG, workers=2)]
    results = [
        train(model(), Denoising(), Waves(), config, directory=tmp_path / str(config.workers))
        for config in configs
    ]
    for a, b in zip(results[0].parameters(), results[1].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_training_lowers_the_loss_and_writes_a_log(tmp_path: Path) -> None:
    config = TrainConfig(steps=200, batch_size=16, learning_rate=3e-3, warmup=20, log_every=10)
    denoiser = model()
    objective = Denoising(v_weight, t_min=0.05)
    batch = torch.utils.data.default_collate([Waves()[i] for i in range(10_000, 10_064)])

    def score(network: Denoiser, step: int) -> dict[str, float]:
        with torch.no_grad():
            return {
                "loss": float(objective(network, batch, torch.Generator().manual_seed(1)).mean())
            }

    before = score(denoiser, 0)["loss"]
    trained = train(denoiser, objective, Waves(), config, directory=tmp_path, validate=score)
    assert score(trained, 0)["loss"] < 0.5 * before
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(10, 201, 10))
    assert lines[-1]["validation"]["loss"] == pytest.approx(score(trained, 200)["loss"])


def test_state_of_another_model_is_refused(tmp_path: Path) -> None:
    train(model(), Denoising(), Waves(), CONFIG, directory=tmp_path)
    other = FromX0(UNet(1, 1, 1, (8, 8)), Cosine())
    with pytest.raises(CheckpointError, match=r"another model: .*channels is \[8, 16\], here"):
        train(other, Denoising(), Waves(), CONFIG, directory=tmp_path)
    (tmp_path / "state.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="damaged"):
        train(model(), Denoising(), Waves(), CONFIG, directory=tmp_path)


class Poisoned(Waves):
    """NaN in the second item of some batches of four."""

    def __init__(self, bad: range) -> None:
        self.bad = bad

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        item = super().__getitem__(index)
        bad = index // 4 in self.bad and index % 4 == 1
        return {"x_0": item["x_0"] * math.nan} if bad else item

    def name(self, index: int) -> str:
        return f"wave{index}.wav"


def test_bad_steps_are_skipped_and_too_many_stop_the_run(tmp_path: Path) -> None:
    some = train(model(), Denoising(), Poisoned(range(3, 5)), CONFIG, directory=tmp_path / "some")
    assert all(torch.isfinite(p).all() for p in some.parameters())
    lines = [json.loads(line) for line in (tmp_path / "some/log.jsonl").read_text().splitlines()]
    skipped = [line for line in lines if "skipped" in line]
    assert [line["skipped"] for line in skipped] == [1, 2]
    assert [line["items"] for line in skipped] == [["wave13.wav"], ["wave17.wav"]]
    config = replace(CONFIG, patience=4)
    with pytest.raises(TrainingError, match="4 steps in a row .* wave25.wav"):
        train(model(), Denoising(), Poisoned(range(3, 9)), config, directory=tmp_path / "many")


def test_the_loop_is_a_bare_loop_bit_for_bit(tmp_path: Path) -> None:
    """Seeds, warm-up, clipping, AdamW and the average, written out once more."""
    config = replace(CONFIG, precision="float32", weight_decay=0.01, clip=0.1, seed=3)
    trained = train(model(), Denoising(), Waves(), config, directory=tmp_path)
    bare = model().train()
    average = [p.detach().clone() for p in bare.parameters()]
    optimizer = torch.optim.AdamW(bare.parameters(), config.learning_rate, weight_decay=0.01)
    for step in range(config.steps):
        batch = torch.utils.data.default_collate([Waves()[step * 4 + k] for k in range(4)])
        optimizer.param_groups[0]["lr"] = learning_rate(config, step)
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(3 * 1_000_003 + step)
        Denoising()(bare, batch, generator).mean().backward()
        torch.nn.utils.clip_grad_norm_(bare.parameters(), 0.1)
        optimizer.step()
        decay = min(config.ema, (1 + step) / (10 + step))
        for mean, new in zip(average, bare.parameters(), strict=True):
            mean.lerp_(new.detach(), 1 - decay)
    for mean, parameter in zip(average, trained.parameters(), strict=True):
        assert torch.equal(mean, parameter)


def test_parts_of_a_batch_add_up_to_its_gradient(tmp_path: Path) -> None:
    """An objective without randomness: three uneven parts give the step of the whole batch."""

    def plain(network: Denoiser, batch: dict[str, Tensor], _: torch.Generator) -> Tensor:
        t = torch.tensor(0.4, dtype=torch.float64)
        return (network(0.7 * batch["x_0"].double(), t) - batch["x_0"]).square().flatten(1).mean(1)

    results = [
        train(
            model().double(),
            plain,
            Waves(),
            replace(CONFIG, precision="float32", accumulate=parts),
            directory=tmp_path / str(parts),
        )
        for parts in (1, 3)
    ]
    for a, b in zip(results[0].parameters(), results[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
def test_every_optimiser_resumes_bit_for_bit(tmp_path: Path, optimizer: str) -> None:
    config = replace(CONFIG, optimizer=optimizer, schedule="constant", keep=2)
    whole = train(model(), Denoising(), Waves(), config, directory=tmp_path / "whole")
    first = replace(config, steps=7)
    train(model(), Denoising(), Waves(), first, directory=tmp_path / "parts")
    resumed = train(model(), Denoising(), Waves(), config, directory=tmp_path / "parts")
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    kept = sorted(p.name for p in (tmp_path / "whole").glob("state*"))
    assert kept == ["state-00000010.safetensors", "state.safetensors"]


def test_the_best_is_kept_and_too_long_without_one_stops_the_run(tmp_path: Path) -> None:
    scores = {2: 1.0, 4: 3.0, 6: math.nan, 8: 2.0, 10: 3.0, 12: 9.0}
    config = replace(CONFIG, validate_every=2, best="score", stop_after=3)
    kept: list[int] = []

    def run(directory: Path, config: TrainConfig) -> None:
        train(
            model(),
            Denoising(),
            Waves(),
            config,
            directory=directory,
            validate=lambda _, step: {"score": scores[step]},
            keep=lambda _, step: kept.append(step),
        )

    run(tmp_path / "a", config)
    assert kept == [2, 4]
    steps = [json.loads(line)["step"] for line in (tmp_path / "a/log.jsonl").open()]
    assert max(steps) == 10
    run(tmp_path / "a", config)  # resumed: it is over
    assert kept == [2, 4]
    kept.clear()
    run(tmp_path / "b", replace(config, better="lower", stop_after=0, steps=4))
    run(tmp_path / "b", replace(config, better="lower", stop_after=0))  # remembers the best
    assert kept == [2]
    with pytest.raises(TrainingError, match="best is 'pesq'; expected .* score"):
        run(tmp_path / "c", replace(config, best="pesq"))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    def fills_the_disk(_model: nn.Module, step: int) -> dict[str, float]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        return {}

    config = replace(CONFIG, steps=20, validate_every=6)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="state.safetensors") as caught:
            train(
                model(),
                Denoising(),
                Waves(),
                config,
                directory=tmp_path,
                validate=fills_the_disk,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "free space" in explain(caught.value) and "\n" not in explain(caught.value)
    assert read_progress(tmp_path / "state.safetensors").step == 5
    assert not list(tmp_path.glob(".state*"))


def test_ema_is_the_weighted_mean_of_the_weights() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = Ema(network, 0.8)
    expected = float(network.weight.detach())
    for step in range(30):
        nn.init.constant_(network.weight, float(step))
        average.update(network, step)
        decay = min(0.8, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.module.weight.detach()) == pytest.approx(expected, rel=1e-5)


def test_learning_rate_rises_then_follows_half_a_cosine() -> None:
    config = TrainConfig(steps=1100, warmup=100, learning_rate=1.0, final_rate=0.1)
    assert learning_rate(config, 0) == pytest.approx(0.01)
    assert learning_rate(config, 99) == pytest.approx(1.0)
    assert learning_rate(config, 600) == pytest.approx(0.55)
    assert learning_rate(config, 1100) == pytest.approx(0.1)


def test_other_schedules_leave_the_peak_as_they_should() -> None:
    config = TrainConfig(steps=2000, warmup=100, learning_rate=1.0, final_rate=0.3)
    inverse = replace(config, schedule="inverse_sqrt")
    assert learning_rate(inverse, 99) == pytest.approx(1.0)
    assert learning_rate(inverse, 399) == pytest.approx(0.5)
    assert learning_rate(inverse, 1999) == pytest.approx(0.3)
    assert learning_rate(replace(config, schedule="constant"), 1999) == 1.0
    assert learning_rate(replace(inverse, warmup=0, final_rate=0.0), 3) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "change",
    [
        *({"steps": 0}, {"ema": 1.0}, {"final_rate": 1.0}, {"batch_size": 0}, {"clip": 0.0}),
        *({"accumulate": 5}, {"stop_after": 1}, {"optimizer": "lion"}, {"precision": "int8"}),
    ],
)
def test_config_out_of_range_is_named(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        TrainConfig(**(CONFIG.__dict__ | change))


def test_weights_turn_x0_error_into_the_error_of_each_parametrisation() -> None:
    schedule, t = Cosine(), torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    x_0, noise, guess = torch.randn(3, 7, dtype=torch.float64)
    x_t = alpha * x_0 + sigma * noise
    eps = (x_t - alpha * guess) / sigma
    level = log_snr(schedule, t)
    error = (guess - x_0).square()
    torch.testing.assert_close(eps_weight(level) * error, (eps - noise).square())
    velocity = (alpha * eps - sigma * guess) - (alpha * noise - sigma * x_0)
    torch.testing.assert_close(v_weight(level) * error, velocity.square())
    torch.testing.assert_close(x0_weight(level) * error, error)
    ratio = sigma / alpha
    torch.testing.assert_close(edm_weight(0.3)(level), (ratio**2 + 0.09) / (ratio * 0.3) ** 2)
    assert (min_snr_weight(5.0)(level) <= 5.0).all()


def test_hours_add_up_the_runs_of_a_log(tmp_path: Path) -> None:
    seconds = [10.0, 1800.0, 5.0, 3600.0, 3600.0, 0.0, 1800.0]  # three runs
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"seconds": s}) + "\n" for s in seconds))
    assert hours_trained(log) == 2.0
    log.write_text("")
    assert hours_trained(log) == 0.0
