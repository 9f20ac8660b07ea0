"""The training command on real files: it learns, resumes, and says what is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from typer.testing import CliRunner, Result

from diff_core.io import load, read_card
from diff_core.train import read_recipe
from diff_core.train.job import means
from diff_medical.data.inputs import StrictScans
from diff_medical.data.patches import Patches
from diff_medical.enhancer.training.job import Recipe, build
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.network import NETWORK_TYPES
from diff_medical.train import RECIPES, app, main
from diff_medical.weights import path_of

SETTINGS = ["train.steps=6", "train.batch_size=2", "patches.size=16", "network.channels=[4,6]"]
SETTINGS += ["train.checkpoint_every=2", "train.validate_every=3", "train.precision=float32"]
OPTIONS = ["--device", "cpu", *SETTINGS]


@pytest.fixture
def data(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> Path:
    write_scan(make_head((32, 30, 28)), "data/a.nii.gz")
    thick = np.diag([1.0, 1.0, 6.0, 1.0])
    write_scan(make_head((32, 32, 6), seed=1), "data/b.nii", affine=thick)
    ct = np.where(make_head((24, 24, 24), seed=2) > 0, 40, -1000)
    write_scan(ct.astype(np.int16), "data/c.nii.gz")
    write_scan(make_head((24, 24, 24), seed=3), "data/val/d.nii.gz")
    return tmp_path / "data"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["enhance", *map(str, arguments)])


def one_line_of(result: Result) -> str:
    assert result.exit_code == 1
    lines = [
        line for line in result.stderr.splitlines() if line.startswith("diff_medical.train: ")
    ]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0]


@pytest.mark.slow
def test_the_command_as_a_user_types_it(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "diff_medical.train", "enhance", "--data", str(data)]
    done = subprocess.run(
        [*command, "--out", str(out), "--board", *OPTIONS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out / "enhance.safetensors")

    denoiser, card = load(out / "enhance.safetensors", types=NETWORK_TYPES)
    assert card.data == ("a.nii.gz", "b.nii", "c.nii.gz")
    assert card.steps == 6
    assert card.recipe["patches"]["size"] == 16
    assert set(card.scores) == {"psnr 5%", "ssim 5%", "psnr 10%", "ssim 10%"}
    clean = torch.rand(10, 10, 10)
    assert posterior_mean(denoiser, clean, 0.1).isfinite().all()

    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    scores = {row["step"]: row["validation"] for row in log if "validation" in row}
    assert sorted(scores) == [3, 6]
    assert {"psnr 5%", "loss at 0.7..1.5", "loss at 4.5..5.5"} <= set(scores[6])
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    board = EventAccumulator(str(out / "board")).Reload()
    assert {"validation/psnr 5%", "training/loss"} <= set(board.Tags()["scalars"])
    assert [event.step for event in board.Images("noisy, denoised, clean")] == [3, 6]


@pytest.mark.slow
def test_resume_equals_uninterrupted_bit_for_bit(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert invoke("--data", data, "--out", whole, *OPTIONS).exit_code == 0

    item = Patches.__getitem__

    def until_step_3(self: Patches, index: int) -> dict[str, Tensor]:
        if index >= 6:
            raise RuntimeError("the plug is pulled")
        return item(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Patches, "__getitem__", until_step_3)
        assert "plug" in str(invoke("--data", data, "--out", parts, *OPTIONS).exception)
    assert read_card(parts / "enhance.safetensors").steps == 3  # usable, from its validation
    resumed = invoke("--data", data, "--out", parts, *OPTIONS, "--resume")
    assert resumed.exit_code == 0, resumed.output

    for name in ("state.safetensors", "enhance.safetensors"):
        one, two = load_file(whole / name), load_file(parts / name)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert (
        load(whole / "enhance.safetensors", types=NETWORK_TYPES)[1].scores
        == load(parts / "enhance.safetensors", types=NETWORK_TYPES)[1].scores
    )


def test_the_seed_decides(data: Path, tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", "1"), ("b", "2")):
        options = ["--out", tmp_path / name, *OPTIONS, "train.steps=1", "--seed", seed]
        assert invoke("--data", data, *options).exit_code == 0
        weights.append(load_file(tmp_path / name / "enhance.safetensors"))
    assert not all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_finished_training_is_not_overwritten_unasked(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "state.safetensors").write_bytes(b"precious")
    result = invoke("--data", data, "--out", out, *OPTIONS)
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    assert (out / "state.safetensors").read_bytes() == b"precious"


def test_a_damaged_state_is_said_to_be(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "state.safetensors").write_bytes(b"rubbish")
    result = invoke("--data", data, "--out", out, *OPTIONS, "--resume")
    assert f"{out / 'state.safetensors'}: not a" in one_line_of(result)


def test_another_network_cannot_resume(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert invoke("--data", data, "--out", out, *OPTIONS).exit_code == 0
    result = invoke("--data", data, "--out", out, *OPTIONS, "network.channels=[6,6]", "--resume")
    assert "another model: network.channels is [4, 6], here [6, 6]" in one_line_of(result)


def test_nothing_to_train_on(tmp_path: Path, write_scan: Callable[..., Path]) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert "no NIfTI files" in one_line_of(invoke("--data", tmp_path / "empty", "--out", out))
    assert "no such folder" in one_line_of(invoke("--data", tmp_path / "none", "--out", out))
    flat = write_scan(np.ones((8, 8, 8), np.float32), "flat/flat.nii.gz")
    result = invoke("--data", flat.parent, "--out", out)
    assert "none of the scans can be used" in one_line_of(result)
    assert f"skipped {flat}: all voxels are equal" in result.stderr
    strict = invoke("--data", flat.parent, "--out", out, "--strict")
    assert one_line_of(strict).endswith(f"{flat}: all voxels are equal")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("network.channels=wide", "network.channels is 'wide'"),
        ("train.precision=int8", "train.precision is 'int8'"),
        ("train.learning_rate=-1", "learning_rate is -1"),
        ("train.steps=0", "steps is 0"),
        ("patches.size=8", "size is 8"),
        ("patches.sise=80", "did you mean patches.size?"),
    ],
)
def test_bad_settings_are_named(data: Path, tmp_path: Path, setting: str, named: str) -> None:
    assert named in one_line_of(invoke("--data", data, "--out", tmp_path / "out", setting))


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--device", "abacus"]])
def test_usage_errors_exit_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enhance", "--data", "x", "--out", "y", *arguments]) == 2
    assert arguments[-1] in capsys.readouterr().err


@pytest.mark.slow
def test_ct_of_a_lower_dose_is_learnt_and_scored(
    data: Path,
    tmp_path: Path,
    make_head: Callable[..., np.ndarray],
    write_scan: Callable[..., Path],
) -> None:
    ct = np.where(make_head((32, 28, 8), seed=4) > 0, 40, -1000)
    write_scan(ct.astype(np.int16), "data/val/e.nii.gz")
    out = tmp_path / "out"
    options = [*OPTIONS, "train.steps=2", "degradation.low_dose=1.0", "patches.ct=1.0"]
    done = invoke("--data", data, "--out", out, *options)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("simulating the noise of lower doses, 24 slices") == 1
    card = read_card(out / "enhance.safetensors")
    expected = {f"psnr {w} dose {d}" for w in ("chest", "abdomen") for d in ("25%", "10%")}
    assert expected <= set(card.scores)
    assert "low-dose CT" in card.limits


def test_a_card_has_the_means_over_its_cases(data: Path, tmp_path: Path) -> None:
    recipe = read_recipe(Recipe, RECIPES / "enhance.yaml", SETTINGS)
    job = build(recipe, StrictScans(data), tmp_path)
    assert job.cases is not None
    model = job.model.eval()
    for step, note in ((3, ", one direction, stride 3"), (6, "")):  # the last is scored in full
        cases = job.cases(model, step)
        card = job.card(model, step, 0.0)
        assert set(cases) == {f"{m} {n}{note}" for m in ("psnr", "ssim") for n in ("5%", "10%")}
        assert card.scores == {name: round(value, 4) for name, value in means(cases).items()}
    assert card.data == ("a.nii.gz", "b.nii", "c.nii.gz")


def test_the_shipped_recipe_is_of_the_shipped_weights() -> None:
    from diff_core.checkpoint.description import describe
    from diff_medical.slices.network import slab_denoiser

    recipe = read_recipe(Recipe, RECIPES / "enhance_grown.yaml")
    shipped, _ = load(path_of("enhance"), types=NETWORK_TYPES)
    assert describe(slab_denoiser(**vars(recipe.network))) == describe(shipped)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom diff_medical.train import app\n"
        "print(CliRunner().invoke(app, ['enhance', '--help']).exit_code)\n"
        "print([m for m in ('torch', 'nibabel', 'skimage', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["0", "[]"]
