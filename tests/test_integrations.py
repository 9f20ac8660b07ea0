"""The widget, the module of Slicer and the live loop, as far as they run without a host."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import soundfile
import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "integrations"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def phantom() -> nib.Nifti1Image:
    image = nib.load(ROOT / "examples/phantom_t1_noisy.nii.gz")
    middle = image.shape[2] // 2
    return image.slicer[24:88, 24:88, middle - 2 : middle + 2]


def test_the_napari_widget_returns_layers_on_the_grid_of_the_scan(phantom):
    source = FOLDER / "napari/src/diff_napari"
    manifest = yaml.safe_load((source / "napari.yaml").read_text())
    (command,) = manifest["contributions"]["commands"]
    package, _, name = command["python_name"].partition(":")
    assert package == source.name
    assert manifest["contributions"]["widgets"][0]["command"] == command["id"]
    widget = getattr(load(source / "__init__.py"), name)
    values = np.asarray(phantom.dataobj).T  # (Z, Y, X), as napari shows it
    layer = SimpleNamespace(
        data=values, name="head", scale=np.array(phantom.header.get_zooms()[::-1], float),
        translate=np.zeros(3), contrast_limits=[0.0, 900.0],
    )  # fmt: skip
    (made, words, kind), (removed, hidden, _) = widget(layer, quality="draft")
    assert kind == "image" and made.shape == values.shape
    assert words["name"] == "head enhanced" and words["contrast_limits"] == (0.0, 900.0)
    assert np.array_equal(words["scale"], layer.scale) and hidden["visible"] is False
    assert np.allclose(made + removed, values, atol=1e-3) and np.abs(removed).max() > 0
    assert np.diff(made, axis=2).std() < np.diff(values.astype(float), axis=2).std()
    layer.data = np.zeros((2, 3, 4, 5))
    with pytest.raises(ValueError, match="head is no grey image"):
        widget(layer)


@pytest.mark.slow
def test_the_module_of_slicer_runs_the_command_in_a_python_of_its_own(phantom, tmp_path):
    module = load(FOLDER / "slicer/DiffEnhance/DiffEnhanceCommand.py")
    source, target = tmp_path / "in.nii.gz", tmp_path / "out.nii.gz"
    nib.save(phantom, source)
    words = module.command(
        sys.executable, source, target, modality="mr", strength=0.5, quality="draft"
    )
    paths = [p for p in sys.path if p.endswith("src")]
    start = f"import sys; sys.path[:0] = {paths!r}; sys.argv = sys.argv[1:]; import runpy; "
    start += "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
    at = words.index("-m")
    words[at : at + 1] = ["-c", start, "x"]  # the sources; a user's Python has them installed
    lines: list[str] = []
    foreign = {**os.environ, "PYTHONHOME": "/no/such/slicer"}
    module.enhance(words, lines.append, environment=foreign)
    assert nib.load(target).shape == phantom.shape
    failing = [sys.executable, "-c", "print('no such scan'); raise SystemExit(1)"]
    with pytest.raises(RuntimeError, match="no such scan"):
        module.enhance(failing, lines.append, environment=foreign)
    assert lines[-1] == "no such scan"


def test_the_panel_of_slicer_uses_what_its_command_takes():
    tree = ast.parse((FOLDER / "slicer/DiffEnhance/DiffEnhance.py").read_text())
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    kinds = {"", "Widget", "Logic", "Test"}
    assert classes == {f"DiffEnhance{kind}" for kind in kinds}  # Slicer finds them by these names
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {node.func.id: node for node in calls if isinstance(node.func, ast.Name)}
    given = {word.arg for word in names["command"].keywords}
    assert given == {"modality", "strength", "quality"}


def test_the_live_loop_writes_what_the_stream_returns():
    from diff_audio import Denoiser

    live = load(FOLDER / "live/live.py")
    wave, rate = soundfile.read(ROOT / "examples/speech_noisy.wav", dtype="float32")
    chunks = np.array_split(wave[:rate], 7)
    denoiser = Denoiser.from_pretrained(device="cpu")
    written: list[np.ndarray] = []
    live.pump(iter(chunks), denoiser.stream(rate, level_db=-30.0), written.append)
    assert [len(part) for part in written[:-1]] == [len(chunk) for chunk in chunks]
    stream = denoiser.stream(rate, level_db=-30.0)
    whole = np.concatenate([stream.process(wave[:rate]), stream.flush()])
    assert np.allclose(np.concatenate(written), whole, atol=1e-5)
