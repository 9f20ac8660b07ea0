"""`python -m diff_audio.train vocoder` on a folder of recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from diff_audio.data.corpus import Corpus
from diff_audio.spectra.mel import Mel
from diff_audio.train import main
from diff_audio.vocoder import Settings, Vocoder
from diff_audio.vocoder.training.job import Pieces, Utterances
from diff_core.io import load, read_card

RECIPES = {
    "vocoder": "network: {width: 16, dilations: [1]}",
    "diffwave": "diffwave: {channels: [8, 8], factors: [16]}",
}
REST = """
pieces: {frames: 16}
validation: 1
train:
  steps: 3
  batch_size: 2
  warmup: 1
  validate_every: 3
  checkpoint_every: 3
  log_every: 1
  precision: float32
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory, speechlike) -> Path:
    """Three speakers, two seconds each, at two rates."""
    root = tmp_path_factory.mktemp("speech")
    for speaker, rate in enumerate((22_050, 16_000, 44_100)):
        path = root / f"speaker{speaker}" / "a.wav"
        path.parent.mkdir()
        soundfile.write(path, speechlike(2.0, rate, seed=speaker).T, rate)
    return root


@pytest.fixture(scope="module", params=RECIPES)
def run(request, speech, tmp_path_factory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPES[request.param] + REST)
    arguments = ["vocoder", "--speech", speech, "--recipe", recipe, "--out", folder / "run"]
    assert main([*map(str, arguments), "--device", "cpu", "--board"]) == 0
    return request.param, folder / "run"


def test_training_writes_a_model_with_its_card(run):
    name, out = run
    path = out / "vocoder.safetensors"
    card = read_card(path)
    assert card.name == name and card.steps == 3
    assert Mel.of(card.signal) == Mel()
    assert any(score.startswith("estoi") for score in card.scores)
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)
    if name == "vocoder":
        made = Vocoder.from_pretrained(path, device="cpu")(torch.zeros(80, 5), Settings(1, 1))
        assert made.shape == (1, 4 * 256)
    else:
        with pytest.raises(ValueError, match="UNet|diffwave"):
            Vocoder.from_pretrained(path, device="cpu")
        assert type(load(path)[0]).__name__ == "FromV"


def test_held_out_recordings_can_be_heard_on_the_board(run):
    board = EventAccumulator(str(run[1] / "board")).Reload()
    heard = [tag.partition(", ")[0] for tag in board.Tags()["audio"]]
    assert sorted(heard) == ["made anew", "recorded"]  # one of three speakers is held out


def test_items_are_a_function_of_seed_and_index(speech, tmp_path):
    corpus = Corpus.open(speech, None, tmp_path / "corpus", rate=22_050)
    pieces = Pieces(frames=8, level=(-30.0, -20.0))
    items = Utterances(corpus, Mel(), pieces, seed=1)
    again, other = Utterances(corpus, Mel(), pieces, 1), Utterances(corpus, Mel(), pieces, 2)
    waves = [items[k]["wave"] for k in range(6)]
    assert all(torch.equal(wave, again[k]["wave"]) for k, wave in enumerate(waves))
    assert not torch.equal(waves[0], other[0]["wave"])
    levels = [20 * float(wave.square().mean().sqrt().log10()) for wave in waves]
    assert all(wave.shape == (8 * 256,) for wave in waves)
    assert all(-31 < level < -19 for level in levels)


def test_weights_are_the_shares_of_the_sets(speech, tmp_path):
    corpus = Corpus.open(speech, None, tmp_path / "corpus", rate=22_050)
    groups = sorted({clip.group for clip in corpus.select("speech", "train")})
    pieces = Pieces(frames=8, weights={groups[0]: 1.0} | dict.fromkeys(groups[1:], 1e-9))
    items = Utterances(corpus, Mel(), pieces)
    rng = np.random.default_rng(0)
    found = {items.choose(rng.random()).group for _ in range(50)}
    assert found == {groups[0]}


def test_a_missing_folder_is_one_line(tmp_path, capsys):
    assert main(["vocoder", "--speech", str(tmp_path / "no"), "--out", str(tmp_path)]) == 1
    assert "no" in capsys.readouterr().err
