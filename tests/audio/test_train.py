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

from diff_audio.network import BandUNet
from diff_audio.train import main, read_recipe
from diff_core.condition import Condition
from diff_core.io import load

RECIPE = """
[network]
channels = [4, 4]
width = 8
dilations = [1]
embedding = 8
[mixing]
seconds = 0.5
voices = [2, 3]
[validation]
count = 3
seconds = 1.0
[train]
steps = 6
batch_size = 2
warmup = 2
validate_every = 6
checkpoint_every = 2
log_every = 1
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
    (root / "recipe.toml").write_text(RECIPE)
    return root


def command(folder: Path, out: Path, *more: str) -> list[str]:
    return [
        *("denoise", "--speech", str(folder / "speech"), "--noise", str(folder / "noise")),
        *("--recipe", str(folder / "recipe.toml"), "--out", str(out)),
        *("--device", "cpu", "--precision", "float32", *more),
    ]


def weights(out: Path) -> dict[str, torch.Tensor]:
    model, _ = load(out / "denoise.safetensors", types={"BandUNet": BandUNet})
    return model.state_dict()


def log(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_command_trains_and_resumes_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    done = subprocess.run(
        [sys.executable, "-m", "diff_audio.train", *command(folder, whole)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "float32 on cpu" in done.stdout and "denoise.safetensors" in done.stdout
    assert sorted(p.name for p in whole.iterdir()) == [
        "corpus", "denoise.safetensors", "log.jsonl", "state.safetensors",
    ]  # fmt: skip

    # The same in two sittings: one that dies after its checkpoint at step 4, and its resumption.
    script = (
        "import os, sys\n"
        "from diff_audio import train, mixing\n"
        "get = mixing.Mixer.__getitem__\n"
        "mixing.Mixer.__getitem__ = lambda self, i: os._exit(9) if i == 9 else get(self, i)\n"
        "sys.exit(train.main(sys.argv[1:]))\n"
    )
    died = subprocess.run([sys.executable, "-c", script, *command(folder, halves)], check=False)
    assert died.returncode == 9
    assert max(row["step"] for row in log(halves)) == 4
    assert main(command(folder, halves, "--resume")) == 0
    assert max(row["step"] for row in log(halves)) == 6
    assert set(weights(whole)) == set(weights(halves))
    for name, value in weights(whole).items():
        assert torch.equal(weights(halves)[name], value), name


@pytest.mark.slow
def test_checkpoint_tells_what_it_is_and_has_learned(folder: Path, tmp_path: Path) -> None:
    assert main(command(folder, tmp_path, "--steps", "3", "--seed", "7")) == 0
    model, card = load(tmp_path / "denoise.safetensors", types={"BandUNet": BandUNet})
    assert card.steps == 3
    assert card.recipe["train"]["seed"] == 7
    assert card.signal["sample_rate"] == 16000
    assert len(card.data) == len(card.licences) == 3  # two speakers' folders, one of noise
    assert any("si_sdr" in name for name in card.scores)
    y = torch.randn(1, 2, 256, 9)
    assert not torch.equal(model(y, torch.ones(1), Condition(channels=y)), y)
    assert [row for row in log(tmp_path) if "validation" in row]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err.strip()
    assert "\n" not in error, error
    return error


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
    assert main(command(folder, tmp_path / "out", "--precision", "int4")) == 2
    assert "int4" in one_line(capsys)


def test_recipe_faults_are_named(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[trian]\nsteps = 3\n")
    with pytest.raises(ValueError, match="has trian; expected network"):
        read_recipe(path)
    path.write_text("steps")
    with pytest.raises(ValueError, match="not TOML"):
        read_recipe(path)


def test_unknown_setting_in_a_recipe_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[train]\nsteps = 3\n[mixing]\nloudness = 3\n")
    assert main(command(folder, tmp_path / "out", "--recipe", str(path))) == 1
    error = one_line(capsys)
    assert "[mixing]" in error and "loudness" in error


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


def test_default_recipe_is_complete_and_valid() -> None:
    from diff_audio.mixing import Mixing
    from diff_audio.objective import Enhancement
    from diff_audio.train import RECIPE as default
    from diff_core.bridge import SchroedingerBridge
    from diff_core.train import TrainConfig

    recipe = read_recipe(default)
    Mixing(**recipe["mixing"])
    Enhancement(**recipe["objective"])
    SchroedingerBridge(**recipe["bridge"])
    assert TrainConfig(**recipe["train"]).steps > 1000
    stored = 2 * sum(p.numel() for p in BandUNet(**recipe["network"]).parameters())
    assert stored <= 16e6  # bytes in float16
