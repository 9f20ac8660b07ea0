"""The models of both domains as folders: saved, with a card, and loaded again."""

import pytest
from huggingface_hub import ModelCard

import diff_audio
import diff_medical
from diff_audio.denoiser.live.stream import LiveDenoiser
from diff_audio.restorer.restorer import Restorer
from diff_core.hub import MODEL
from small_live import save_live
from small_restorer import save_restorer


@pytest.mark.parametrize(("kind", "save"), [(LiveDenoiser, save_live), (Restorer, save_restorer)])
def test_a_model_that_is_not_shipped_is_saved_and_loaded_likewise(kind, save, tmp_path):
    path = save(tmp_path / "own.safetensors")
    folder = kind.from_pretrained(path).save_pretrained(tmp_path / "model")
    again = kind.from_pretrained(folder)
    assert again.checkpoint == folder / MODEL and again.card.name
    assert again.checkpoint.read_bytes() == path.read_bytes()
    (line,) = (x for x in (folder / "README.md").read_text().splitlines() if "import" in x)
    names: dict = {}
    exec(line, names)
    assert names[kind.__name__] is kind


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (diff_audio.Denoiser, "audio-to-audio"),
        (diff_audio.Vocoder, "audio-to-audio"),
        (diff_audio.Speaker, "text-to-speech"),
        (diff_medical.Enhancer, "image-to-image"),
        (diff_medical.Generator, "unconditional-image-generation"),
    ],
)
def test_a_model_is_saved_as_a_folder_and_loaded_from_it(kind, task, tmp_path):
    model = kind.from_pretrained(device="cpu")
    folder = model.save_pretrained(tmp_path / "model", licence="apache-2.0")
    again = kind.from_pretrained(str(folder), device="cpu")
    assert again.checkpoint == folder / MODEL
    assert again.checkpoint.read_bytes() == model.checkpoint.read_bytes()
    data = ModelCard.load(folder / "README.md").data
    assert (data.pipeline_tag, data.license) == (task, "apache-2.0")
    assert data.library_name == kind.__module__.partition(".")[0]
    text = (folder / "README.md").read_text()
    assert f"from {data.library_name} import {kind.__name__}\n" in text
    assert f"{kind.__name__}.from_pretrained(" in text
