"""The training command on a small folder: a voice, its card, and another that starts from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.spectra.mel import Mel
from diff_audio.text import SYMBOLS
from diff_audio.train import main
from diff_audio.voice.model import Voice
from diff_core.io import load

SMALL = (
    "network.width=16 network.depth=1 network.heads=2 network.decoder_width=16 "
    "network.dilations=[1] train.batch_size=2 train.steps=3 train.validate_every=3 "
    "train.checkpoint_every=3 train.warmup=1"
).split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "wavs").mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for number in range(5):
        envelope = np.repeat(rng.uniform(0.05, 0.3, 30), 800)
        soundfile.write(root / "wavs" / f"{number}.wav", envelope * rng.normal(size=24000), 24000)
        lines.append(f"{number}|{'So ' * (number + 1)}it goes.")
    (root / "metadata.csv").write_text("\n".join(lines))
    return root


def test_a_voice_is_trained_and_another_starts_from_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    data = ["--data", str(folder), "--device", "cpu"]
    named = ["--speaker", "ann", "--licence", "CC0-1.0"]
    assert main(["voice", *data, *named, "--out", str(first), *SMALL]) == 0
    plan = capsys.readouterr().out
    assert "train: 0.00 h, 4 recordings of 4 texts" in plan and "speakers: ann" in plan
    model, card = load(first / "voice.safetensors", types={"Voice": Voice})
    assert card.signal["speakers"] == ["ann"] and card.signal["symbols"] == list(SYMBOLS)
    assert Mel.of(card.signal) == Mel() and card.steps == 3 and card.licences == ("CC0-1.0",)
    assert set(card.scores) == {
        f"{name} loss, held-out texts" for name in ("prior", "duration", "flow")
    }
    assert all(np.isfinite(score) for score in card.scores.values())
    assert float(model.band_std.min()) > 0

    start = ["--start-from", str(first / "voice.safetensors"), "--speaker", "bob"]
    frozen = ["train.learning_rate=1e-12", "train.final_rate=0"]
    assert main(["voice", *data, *start, "--out", str(second), *SMALL, *frozen]) == 0
    tuned, card = load(second / "voice.safetensors", types={"Voice": Voice})
    assert card.signal["speakers"] == ["bob"]
    assert card.data[0].startswith("start: ") and card.licences == ("CC0-1.0", "unknown")
    for name, value in model.state_dict().items():
        assert torch.allclose(tuned.state_dict()[name], value, atol=2e-3), name


def test_a_bad_line_is_told_and_nothing_trained(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wavs").symlink_to(folder / "wavs")
    (tmp_path / "metadata.csv").write_text("0|Good.\n1|\n")
    out = tmp_path / "out"
    assert main(["voice", "--data", str(tmp_path), "--out", str(out), *SMALL]) == 1
    error = capsys.readouterr().err
    assert "line 2 has no text" in error and error.count("\n") == 1
    assert not (out / "voice.safetensors").exists()
