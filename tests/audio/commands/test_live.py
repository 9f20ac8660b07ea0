"""`python -m diff_audio.live` with files in the place of devices, its export, and its training."""

import json
import warnings

import numpy as np
import onnxruntime
import pytest
import soundfile

from diff_audio.denoiser.live.stream import LiveDenoiser
from diff_audio.export import main as export
from diff_audio.jobs.live import Session
from diff_audio.live import main
from small_live import save_live


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_live(tmp_path_factory.mktemp("live") / "small.safetensors")


@pytest.fixture(scope="module")
def model(weights):
    return LiveDenoiser.from_pretrained(weights)


def test_a_file_goes_through_the_callback_as_a_microphone_does(
    weights, model, tmp_path, speechlike, capsys
):
    wave = 0.2 * speechlike(1.3, 16_000, 2)
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, wave.T, 16_000, "DOUBLE")
    arguments = ["--weights", str(weights), "--from", str(source), "--to", str(target)]
    assert main(arguments) == 0
    assert "40 ms late" in capsys.readouterr().out
    made, rate = soundfile.read(target)
    assert rate == 16_000 and len(made) == wave.shape[1] + 638 and not made[:256].any()
    expected = model(wave.mean(0), 16_000)
    assert np.abs(made[638:] - expected).max() < 1 / 32768
    assert main(arguments) == 1 and "exists" in capsys.readouterr().err


def test_the_bypass_is_the_input_as_late_and_fades(model, speechlike):
    wave = speechlike(1.0)[0].astype(np.float32)
    session = Session(model)
    late = session.stream.latency
    out = []
    for start in range(0, len(wave), 256):
        if start == 256 * 20:
            session.bypass = True
        out.append(session.process(wave[start : start + 256]))
    out = np.concatenate(out)
    dry, place = np.pad(wave, (late, 0)), 256 * 20
    assert np.array_equal(out[place + 320 :], dry[: len(wave)][place + 320 :])
    clean = np.pad(model(wave, 16_000), (late, 0))[: len(wave)]
    assert np.abs(out[late:place] - clean[late:place]).max() < 2e-6
    share = (out - clean)[place : place + 320] / (dry[: len(wave)] - clean)[place : place + 320]
    assert np.median(np.abs(share - np.arange(1, 321) / 320)) < 1e-3


def test_the_meter_tells_levels_and_what_was_lost(model):
    session = Session(model, keep=1.0)
    assert "in  -90 dB ............" in session.meter()
    block, out = np.full((256, 1), 0.1, np.float32), np.empty((256, 1), np.float32)
    for _ in range(6):
        session.callback(block, out, 256, None, "input overflow")
    assert "in  -20 dB ########...." in session.meter() and "6 blocks late" in session.meter()
    assert np.array_equal(out, block)  # all of the input is kept
    block[3] = np.nan
    session.callback(block, out, 256, None, None)
    assert np.isfinite(out).all()


def test_wrong_usage_is_one_line(tmp_path, capsys, monkeypatch, weights):
    monkeypatch.setattr("diff_audio.live.path_of", lambda name: tmp_path / "none.safetensors")
    assert main([]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "train live" in err and "--weights" in err
    for wrong, said in (
        (["--from", "a.wav"], "need each other"),
        (["--hops", "3"], "--hops"),
        (["--from", "a.wav", "--to", "b.wav", "--microphone", "2"], "exclude"),
    ):
        assert main([*wrong, "--weights", str(weights)]) == 2
        assert said in capsys.readouterr().err
    missing = ["--from", str(tmp_path / "a.wav"), "--to", str(tmp_path / "b.wav")]
    assert main([*missing, "--weights", str(weights)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_without_devices_one_line_says_so(weights, capsys):
    """A machine for tests has no microphone, and perhaps no PortAudio."""
    assert main(["--weights", str(weights), "--seconds", "0", "--microphone", "no such"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "microphone" in err or "PortAudio" in err or "pip install" in err


def test_the_onnx_file_alone_denoises_samples(weights, model, tmp_path, speechlike):
    path = tmp_path / "live.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own tracer
        assert export([str(path), "--live", "--weights", str(weights)]) == 0
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    held = session.get_modelmeta().custom_metadata_map
    facts = {name: json.loads(text) for name, text in held.items()}
    assert facts["latency"] + facts["chunk"] <= 0.040 * facts["sample_rate"]
    wave = speechlike(0.5)[0].astype(np.float32)
    state = np.zeros((1, facts["state"]), np.float32)
    out = []
    for chunk in np.pad(wave, (0, 576)).reshape(-1, facts["chunk"])[:, None]:
        clean, state = session.run(None, {"chunk": chunk, "state": state})
        out.append(clean[0])
    found = np.concatenate(out)[facts["latency"] :][: len(wave)]
    assert np.abs(found - model(wave, 16_000)[: len(found)]).max() < 1e-5
