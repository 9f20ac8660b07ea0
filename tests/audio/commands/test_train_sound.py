"""`python -m diff_audio.train live` and `train restore` on a folder of recordings, to the command
that uses the result.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from diff_audio.live import main as live
from diff_audio.restore import main as restore
from diff_audio.spectra.mel import Mel
from diff_audio.train import main
from diff_core.io import read_card

RECIPES = {
    "live": "network: {channels: [4, 4], width: 8, depth: 1}\n"
    "validation: {count: 3, seconds: 1.0}\n",
    "restore": "network: {channels: [8, 8], blocks: 1, kernel: 3, embedding: 8}\nvalidation: 2\n",
}
REST = """
mixing: {seconds: 0.5, voices: [2, 3], early: 0.01, narrow: 0.5, room: 1.0}
train:
  steps: 4
  batch_size: 2
  warmup: 1
  validate_every: 4
  checkpoint_every: 2
  log_every: 1
  precision: float32
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory, speechlike):
    root = tmp_path_factory.mktemp("speech")
    for speaker, rate in enumerate((22_050, 16_000, 44_100)):
        path = root / f"speaker{speaker}" / "a.wav"
        path.parent.mkdir()
        soundfile.write(path, speechlike(2.0, rate, seed=speaker).T, rate)
    return root


@pytest.fixture(scope="module", params=RECIPES)
def run(request, speech, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPES[request.param] + REST)
    command = [request.param, "--speech", speech, "--out", folder / "run", "--device", "cpu"]
    assert main([*map(str, command), "--recipe", str(recipe), "train.steps=2"]) == 0
    return request.param, folder / "run", command


@pytest.mark.slow
def test_a_run_writes_a_model_that_its_command_uses(run, speech, tmp_path):
    name, out, _ = run
    path = out / f"{name}.safetensors"
    card = read_card(path)
    assert card.name == name and card.steps == 2 and card.scores and card.limits
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)
    source, target = str(speech / "speaker1/a.wav"), str(tmp_path / "made.wav")
    if name == "restore":
        assert Mel.of(card.signal) == Mel()
        assert {"mean", "draw", "spread", "texture", "damaged"} <= set(card.scores)
        assert restore([source, "-o", target, "--weights", str(path), "--steps", "2"]) == 0
        assert soundfile.info(target).frames == 2 * 22_050
    else:
        assert live(["--from", source, "--to", target, "--weights", str(path)]) == 0
        assert soundfile.info(target).frames == 2 * 16_000 + 638


@pytest.mark.slow
def test_a_run_goes_on_where_it_stopped(run):
    name, out, command = run
    assert main([*map(str, command), "--resume", "train.steps=4"]) == 0
    assert read_card(out / f"{name}.safetensors").steps == 4
