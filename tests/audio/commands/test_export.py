"""`python -m diff_audio.export`: onnxruntime gives what PyTorch gives."""

import builtins
import json
import warnings

import numpy as np
import onnxruntime
import pytest
import torch

from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.export import main
from diff_core.condition import Condition


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "new" / "small.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own tracer
        assert main([str(path), "--weights", str(weights)]) == 0
    return path


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options)


def test_the_file_equals_pytorch_at_any_batch_and_length(exported, weights):
    denoiser = Denoiser.from_pretrained(weights, device="cpu").denoiser
    runtime = session(exported)
    for batch, frames in ((1, 64), (1, 1), (2, 131), (3, 7)):
        noisy = 0.1 * torch.randn(batch, 2, 256, frames)
        with torch.inference_mode():
            expected = denoiser(noisy, torch.ones(()), Condition(channels=noisy)).numpy()
        (found,) = runtime.run(None, {"noisy": noisy.numpy()})
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected - noisy.numpy()).max() > 1e-3


def test_a_wave_is_denoised_by_the_file_alone(exported, weights, speechlike):
    """With the numbers of its metadata, as in the documentation."""
    runtime = session(exported)
    facts = {
        name: json.loads(text)
        for name, text in runtime.get_modelmeta().custom_metadata_map.items()
    }
    denoiser = Denoiser.from_pretrained(weights, device="cpu")
    wave = speechlike(1.0)
    gain = float(denoiser.measure([wave], wave.shape, facts["sample_rate"]).at(0, 1))
    window = torch.hann_window(facts["n_fft"])
    shape = {"n_fft": facts["n_fft"], "hop_length": facts["hop"], "window": window}
    spectrum = torch.stft(
        torch.from_numpy(gain * wave).float(), **shape, pad_mode="constant", return_complex=True
    )
    size = facts["scale"] * spectrum.abs() ** facts["exponent"]
    noisy = torch.view_as_real(torch.polar(size, spectrum.angle())).permute(0, 3, 1, 2)
    (clean,) = runtime.run(None, {"noisy": noisy.numpy()})
    compressed = torch.view_as_complex(torch.from_numpy(clean).permute(0, 2, 3, 1).contiguous())
    size = (compressed.abs() / facts["scale"]) ** (1 / facts["exponent"])
    found = torch.istft(
        torch.polar(size, compressed.angle()), **shape, length=wave.shape[1]
    ).numpy()
    expected = denoiser(wave, facts["sample_rate"])
    assert np.abs(found / gain - expected).max() < 1e-3 * np.abs(expected).max()


def test_faults(exported, weights, tmp_path, capsys):
    assert main([str(exported), "--weights", str(weights)]) == 2
    assert "exists; add --overwrite" in capsys.readouterr().err
    out = tmp_path / "out.onnx"
    assert main([str(out), "--weights", str(tmp_path / "none.safetensors")]) == 1
    assert "no such file" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_without_onnx_the_remedy_is_said(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "onnx":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert main([str(tmp_path / "out.onnx")]) == 1
    assert "pip install 'diff-audio[onnx]'" in capsys.readouterr().err
