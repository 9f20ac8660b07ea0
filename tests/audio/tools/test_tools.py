"""The tools for sound, each beside the command of its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from diff_audio.denoise import main as denoise
from diff_audio.say import main as say
from diff_audio.tools.page import page
from diff_audio.weights import path_of
from diff_core.command.studio import Choices, Made
from diff_core.command.studio.models import Models
from small_restorer import save_restorer

RATE = 16_000


def worked(models: Models, name: str, source: Path, **given: str) -> Made:
    """The products of a tool, for what a browser sends of its form."""
    tool = models.page.find(name)
    further = {field.name: field.read(given.get(field.name, "")) for field in tool.fields}
    quality = "default" if tool.qualities else ""
    return models.work(source, Choices(quality, 1.0, further, tool=name), lambda _share: None)


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speechlike: Any) -> Path:
    """A recording in the working directory, as the queue has it."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speechlike(1.5, RATE).T, RATE, "PCM_24")
    return Path("in.wav")


def test_a_tool_is_shown_where_its_weights_are(weights: Path) -> None:
    names = [tool.name for tool in Models(page(), weights, "cpu").page.tools]
    shipped = path_of("restore").exists()
    assert names == ["denoise", *(["restore"] if shipped else []), "say"]


def test_a_level_is_set_as_by_the_command(weights: Path, sound: Path, tmp_path: Path) -> None:
    models = Models(page(), weights, "cpu")
    made = worked(models, "denoise", sound, loudness="-20", room="0.2")
    command = ["in.wav", "-o", "out.wav", "--weights", str(weights), "--quiet"]
    assert denoise([*command, "--loudness", "-20", "--room", "0.2"]) == 0
    assert made.result.read_bytes() == Path("out.wav").read_bytes()
    html = made.report.read_text()
    assert html.count("<audio") == html.count("<img") == 2
    with pytest.raises(ValueError, match="keep_noise"):
        worked(models, "denoise", sound, loudness="-20", keep_noise="on")


def test_a_restorer_of_ones_own_brings_its_tool(sound: Path, tmp_path: Path) -> None:
    models = Models(page(), save_restorer(tmp_path / "own.safetensors"), "cpu")
    assert "restore" in [tool.name for tool in models.page.tools]
    made = worked(models, "restore", sound, steps="1", seed="7")
    assert made.result.name == "in_restored.wav" and soundfile.info(made.result).duration == 1.5
    record = json.loads(made.further["record"].read_text())
    assert record["synthetic"] is True and (record["steps"], record["seed"]) == (1, 7)
    assert record["notice"] in made.report.read_text()


@pytest.mark.slow
def test_a_text_is_spoken_as_by_the_command(weights: Path, sound: Path) -> None:
    Path("say.txt").write_text("Good morning.")
    models = Models(page(), weights, "cpu")
    made = worked(models, "say", Path("say.txt"), rate="1.2", format="wav", captions="on")
    assert say(["Good morning.", "-o", "out.wav", "--rate", "1.2", "--quiet"]) == 0
    spoken, expected = (soundfile.read(path)[0] for path in (made.result, "out.wav"))
    assert spoken.shape == expected.shape and np.abs(spoken).max() > 0.05
    assert np.allclose(spoken, expected, atol=1e-3)  # other threads, other roundings
    assert json.loads(made.further["record"].read_text()) == json.loads(
        Path("out.wav.json").read_text()
    )
    assert made.further["captions"].read_text().startswith("WEBVTT")
    assert "Synthetic speech" in made.report.read_text()
    with pytest.raises(ValueError, match="rate is '9'; expected 0.25 to 4"):
        worked(models, "say", Path("say.txt"), rate="9")
