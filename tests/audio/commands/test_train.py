from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from diff_audio.data.inputs import Sounds
from diff_audio.data.mixer import Mixer
from diff_audio.denoiser.network import BandUNet
from diff_audio.denoiser.training.job import Recipe, build
from diff_audio.restorer.training import job as restorer
from diff_audio.train import RECIPES, main
from diff_audio.vocoder.training import job as vocoder
from diff_core.condition import Condition
from diff_core.io import load, read_card
from diff_core.train import read_recipe
from diff_core.train.job import means
from one_line import one_line

RECIPE = """
network: {channels: [4, 4], width: 8, dilations: [1], embedding: 8}
mixing: {seconds: 0.5, voices: [2, 3]}
validation: {count: 3, seconds: 1.0}
train:
  steps: 6
  batch_size: 2
  warmup: 2
  validate_every: 6
  checkpoint_every: 2
  log_every: 1
  precision: float32
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, speechlike) -> Path:
    """Three speakers, two noises and a recipe that takes a second."""
    root = tmp_path_factory.mktemp("training")
    for speaker in range(3):
        path = root / "speech" / f"speaker{speaker}" / "a.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, speechlike(4.0, seed=speaker).T, 16000)
    (root / "noise").mkdir()
    for index in range(2):
        noise = 0.1 * np.random.default_rng(index).standard_normal(2 * 22050)
        soundfile.write(root / "noise" / f"{index}.flac", noise, 22050)
    (root / "recipe.yaml").write_text(RECIPE)
    return root


def command(folder: Path, out: Path, *more: str) -> list[str]:
    return [
        *("denoise", "--speech", str(folder / "speech"), "--noise", str(folder / "noise")),
        *("--recipe", str(folder / "recipe.yaml"), "--out", str(out)),
        *("--device", "cpu", *more),
    ]


def weights(out: Path) -> dict[str, torch.Tensor]:
    model, _ = load(out / "denoise.safetensors", types={"BandUNet": BandUNet})
    return model.state_dict()


@pytest.fixture(scope="module")
def base(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two steps, from which others start."""
    out = tmp_path_factory.mktemp("base")
    assert main(command(folder, out, "train.steps=2")) == 0
    return out


def log(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_command_trains_and_resumes_bit_for_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    done = subprocess.run(
        [sys.executable, "-m", "diff_audio.train", *command(folder, whole)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "float32 on cpu" in done.stdout and "denoise.safetensors" in done.stdout
    assert sorted(p.name for p in whole.iterdir()) == [
        "corpus", "curves.png", "denoise.safetensors", "log.jsonl", "recipe.json",
        "state.safetensors",
    ]  # fmt: skip

    # The same in two sittings: one that dies after its checkpoint at step 4, and its resumption.
    item = Mixer.__getitem__

    def until_step_4(self: Mixer, index: int) -> dict[str, torch.Tensor]:
        if index == 9:
            raise RuntimeError("the plug is pulled")
        return item(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Mixer, "__getitem__", until_step_4)
        with pytest.raises(RuntimeError, match="plug"):
            main(command(folder, halves))
    assert max(row["step"] for row in log(halves)) == 4
    assert main(command(folder, halves, "--resume")) == 0
    assert max(row["step"] for row in log(halves)) == 6
    assert set(weights(whole)) == set(weights(halves))
    for name, value in weights(whole).items():
        assert torch.equal(weights(halves)[name], value), name


@pytest.mark.slow
def test_checkpoint_tells_what_it_is_and_has_learned(folder: Path, tmp_path: Path) -> None:
    assert main(command(folder, tmp_path, "--board", "train.steps=3", "--seed", "7")) == 0
    model, card = load(tmp_path / "denoise.safetensors", types={"BandUNet": BandUNet})
    assert card.steps == 3
    assert card.recipe["train"]["seed"] == 7
    assert card.recipe["network"]["channels"] == [4, 4]
    assert card.signal["sample_rate"] == 16000
    assert len(card.data) == len(card.licences) == 3  # two speakers' folders, one of noise
    assert any("si_sdr" in name for name in card.scores)
    y = torch.randn(1, 2, 256, 9)
    assert not torch.equal(model(y, torch.ones(1), Condition(channels=y)), y)
    assert [row for row in log(tmp_path) if "validation" in row]
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    assert {"clean", "noisy", "denoised"} <= set(board.Tags()["audio"])
    assert "validation/si_sdr" in board.Tags()["scalars"]


def test_a_run_is_never_overwritten_nor_resumed_by_mistake(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(folder, tmp_path, "--resume")) == 2
    assert "holds no run" in one_line(capsys)
    (tmp_path / "state.safetensors").write_bytes(b"earlier")
    assert main(command(folder, tmp_path)) == 2
    assert "--resume" in one_line(capsys)
    assert (tmp_path / "state.safetensors").read_bytes() == b"earlier"


def test_faults_are_one_clear_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for option, expected in (
        (("--speech", str(empty)), "speech folder"),
        (("--noise", str(empty)), "noise folder"),
        (("--noise", str(tmp_path / "none")), "no such folder"),
        (("--manifest", str(tmp_path / "none")), "manifest"),
        (("--recipe", str(tmp_path / "none")), "recipe"),
    ):
        assert main(command(folder, tmp_path / "out", *option)) == 1
        assert expected in one_line(capsys)
    assert main(["denoise", "--out", str(tmp_path)]) == 2
    assert "--speech" in one_line(capsys)
    for setting, expected in (
        ("train.precision=int4", "int4"),
        ("mixing.second=three", "mixing.second"),
        ("mixing.loudness=3", "mixing.loudness is not known"),
    ):
        assert main(command(folder, tmp_path / "out", setting)) == 1, setting
        assert expected in one_line(capsys)


def test_help_needs_no_heavy_import() -> None:
    script = (
        "import sys\nfrom diff_audio.train import main\ncode = main(['denoise', '--help'])\n"
        "heavy = {'torch', 'scipy', 'librosa', 'torchaudio'} & set(sys.modules)\n"
        "sys.exit(f'{code} {heavy}' if heavy or code else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--speech" in done.stdout and "--resume" in done.stdout


@pytest.mark.slow
def test_a_dry_run_tells_the_plan_and_trains_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(folder, tmp_path, "--dry-run")) == 0
    plan = capsys.readouterr().out
    for said in (
        "speech, train: 0.00222 h at 16000 Hz, 2 recordings of 2 speakers",
        "speech, val: 0.00111 h at 16000 Hz, 1 recording of 1 speaker",
        *("unprocessed: si_sdr", "6 steps of 2 items", "GiB", "s a step"),
    ):
        assert said in plan
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


def test_strict_stops_at_a_file_that_cannot_be_used(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "noise" / "bad.wav"
    bad.parent.mkdir()
    bad.write_bytes(b"RIFF nothing")
    arguments = command(folder, tmp_path / "out", "--dry-run", "--noise", str(bad.parent))
    assert main([*arguments, "--strict"]) == 1
    assert f"{bad}: is not a sound file" in one_line(capsys)


@pytest.mark.slow
def test_fine_tuning_starts_from_a_model_and_keeps_its_past(
    folder: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = tmp_path / "tuned"
    start = ("--start-from", str(base / "denoise.safetensors"))
    still = ("train.steps=1", "train.learning_rate=1e-12", "train.final_rate=0")
    assert main(command(folder, tuned, *start, *still)) == 0
    for name, value in weights(base).items():
        torch.testing.assert_close(weights(tuned)[name], value)
    assert main(command(folder, tuned, "--resume", "train.steps=2")) == 0
    before, after = (read_card(out / "denoise.safetensors") for out in (base, tuned))
    assert after.data == (*(f"start: {line}" for line in before.data), *before.data)
    assert len(after.licences) == len(after.data)
    assert (before.steps, after.steps) == (2, 4) and after.recipe["start"] == before.recipe
    capsys.readouterr()
    assert main(command(folder, tmp_path / "other", *start, "network.width=12")) == 1
    assert "network.width is 8, here 12" in one_line(capsys)


@pytest.mark.slow
def test_a_model_grows_by_blocks_that_begin_as_the_identity(
    folder: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = tmp_path / "large"
    start = ("--start-from", str(base / "denoise.safetensors"), "--grow")
    still = ("train.steps=1", "train.learning_rate=1e-12", "train.final_rate=0")
    assert main(command(folder, large, *start, *still, "network.dilations=[1, 2, 4]")) == 0
    models = [
        load(out / "denoise.safetensors", types={"BandUNet": BandUNet})[0] for out in (base, large)
    ]
    x, y = torch.randn(2, 1, 2, 256, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = (model(x, torch.tensor([0.5]), Condition(channels=y)) for model in models)
    torch.testing.assert_close(before, after)
    capsys.readouterr()
    assert main(command(folder, tmp_path / "thin", *start, "network.width=12")) == 1
    assert "is (8, 24), here (12, 36)" in one_line(capsys)
    assert main(command(folder, tmp_path / "none", "--grow")) == 2


def test_a_card_has_the_means_over_its_cases(folder: Path, tmp_path: Path) -> None:
    recipe = read_recipe(Recipe, folder / "recipe.yaml", ["validation.snr=2.5"])
    job = build(recipe, Sounds(folder / "speech", folder / "noise"), tmp_path)
    assert job.cases is not None
    model = job.model.eval()
    cases = job.cases(model, recipe.train.steps)
    scores = job.card(model, recipe.train.steps, 0.0).scores
    assert {len(values) for values in cases.values()} == {recipe.validation.count}
    assert means(cases) == pytest.approx({name: scores[name] for name in cases})
    assert "si_sdr, held-out mixtures at 2.5 dB, 1 pass" in cases


def test_the_shipped_recipe_is_of_the_shipped_weights() -> None:
    recipe = read_recipe(Recipe, RECIPES / "denoise_grown.yaml")
    assert recipe.train.steps > 1000
    made = BandUNet(**vars(recipe.network))
    shipped, _ = load(
        RECIPES.parent / "weights" / "denoise.safetensors", types={"BandUNet": BandUNet}
    )
    assert shipped.schedule == recipe.bridge
    assert {n: p.shape for n, p in shipped.network.named_parameters()} == {
        n: p.shape for n, p in made.named_parameters()
    }


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_mixtures_is_validated(folder: Path, tmp_path: Path, count: int) -> None:
    recipe = read_recipe(Recipe, folder / "recipe.yaml", [f"validation.count={count}"])
    job = build(recipe, Sounds(folder / "speech", folder / "noise"), tmp_path)
    assert job.validate is not None
    found = job.validate(job.model.eval(), 1)
    assert {"si_sdr", "estoi"} < set(found)
    losses = [value for name, value in found.items() if name.startswith("loss")]
    assert len(losses) == 4
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (Recipe, "validation.count"),
        (restorer.Recipe, "validation"),
        (vocoder.Recipe, "validation"),
    ],
)
def test_a_validation_of_nothing_is_refused(tmp_path: Path, kind: type, key: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("train: {steps: 1}\n")
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"is {count}; expected 1 or more"):
            read_recipe(kind, path, [f"{key}={count}"])
