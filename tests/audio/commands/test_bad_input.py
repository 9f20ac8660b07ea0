"""Every fault has one line that names the file and says what to do, and leaves nothing behind."""

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.denoise import main
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.jobs.denoise import denoise_file
from full_disk import full_disk


@pytest.fixture
def fault(weights, capsys):
    """fault("bad.wav", ...) -> (exit code, the one line on standard error)."""

    def run(*arguments):
        capsys.readouterr()
        code = main([*map(str, arguments), "--weights", str(weights)])
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("diff_audio.denoise: ")
        return code, lines[0]

    return run


@pytest.fixture
def good(tmp_path, speechlike):
    path = tmp_path / "good.wav"
    soundfile.write(path, speechlike(0.5)[0], 16_000, "PCM_16")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def broken(kind, path, good):
    data = good.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("these are not the samples that you are looking for")
    elif kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "header only":
        path.write_bytes(data[:20])
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0), 16_000)
    elif kind == "folder":
        path.mkdir()


@pytest.mark.parametrize(
    ("kind", "wrong", "remedy"),
    [
        ("missing", "no such file", "check the name"),
        ("empty", "empty (0 bytes)", "copy it again"),
        ("text", "not a sound file", "convert it"),
        ("truncated", "cut off", "copy it again"),
        ("header only", "header is damaged", "convert it"),
        ("no samples", "no samples", "copy it again"),
        ("folder", "no sound files", "--recursive"),
    ],
)
def test_a_bad_file_has_one_line_and_no_output(kind, wrong, remedy, fault, tmp_path, good):
    bad = tmp_path / "bad.wav"
    broken(kind, bad, good)
    before = names(tmp_path)
    code, line = fault(bad)
    assert code == 1 and str(bad) in line and wrong in line and remedy in line
    assert names(tmp_path) == before


def test_nan_and_inf_are_counted_located_and_refused_unless_told(
    fault, weights, tmp_path, speechlike
):
    wave = speechlike(1.0, channels=2).T
    wave[8000, 1], wave[8000:8003, 0], wave[9000, 0] = np.inf, np.nan, -np.inf
    soundfile.write(tmp_path / "bad.wav", wave, 16_000, "FLOAT")
    code, line = fault(tmp_path / "bad.wav")
    assert code == 1
    assert "5 samples are NaN or Inf, the first at 0.500 s (sample 8000, channel 1)" in line
    assert "--nan-to-zero" in line and names(tmp_path) == ["bad.wav"]
    assert main([str(tmp_path / "bad.wav"), "--nan-to-zero", "--weights", str(weights)]) == 0
    assert np.isfinite(soundfile.read(tmp_path / "bad_denoised.wav")[0]).all()


def test_existing_output_is_kept_unless_told(fault, weights, good):
    out = good.with_name("good_denoised.wav")
    out.write_text("precious")
    code, line = fault(good)
    assert code == 1 and "exists" in line and "--overwrite" in line
    assert out.read_text() == "precious"
    assert main([str(good), "--overwrite", "--weights", str(weights)]) == 0
    assert soundfile.info(out).frames == 8000


def test_output_that_cannot_be_written(fault, good, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, line = fault(good, "-o", tmp_path / "file" / "out.wav")
    assert code == 1 and str(good) in line and "choose another folder" in line
    assert names(tmp_path) == ["file", "good.wav"]


def test_output_format_that_cannot_hold_the_input(fault, tmp_path):
    soundfile.write(tmp_path / "many.wav", np.zeros((100, 12)), 16_000)
    code, line = fault(tmp_path / "many.wav", "-o", tmp_path / "many.mp3")
    assert code == 1 and "12 channels" in line
    assert names(tmp_path) == ["many.wav"]


@pytest.mark.parametrize(("suffix", "room"), [("wav", 30_000), ("flac", 30_000), ("flac", 0)])
def test_full_disk_leaves_no_partial_file(suffix, room, fault, tmp_path, speechlike):
    source = tmp_path / f"in.{suffix}"
    soundfile.write(source, speechlike(4.0)[0], 16_000)
    with full_disk(room):
        code, line = fault(source)
    assert code == 1 and str(source) in line
    assert "disk is full" in line and names(tmp_path) == [source.name]


@pytest.mark.parametrize("fault_at", [0.01, 0.5])
def test_an_interrupt_leaves_no_partial_file(fault_at, model, tmp_path, speechlike):
    soundfile.write(tmp_path / "in.wav", speechlike(25.0)[0], 16_000)

    def interrupt(share):
        if share >= fault_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        denoise_file(
            Denoiser(model, device="cpu"),
            tmp_path / "in.wav",
            tmp_path / "out.wav",
            on_progress=interrupt,
        )
    assert names(tmp_path) == ["in.wav"]


def test_good_files_are_done_and_bad_ones_listed(weights, good, tmp_path, capsys):
    (tmp_path / "bad.wav").write_text("no")
    inputs = [str(tmp_path / "bad.wav"), str(good), str(tmp_path / "none.wav")]
    assert main([*inputs, "--weights", str(weights)]) == 1
    assert (tmp_path / "good_denoised.wav").exists()
    last = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 3 failed" in last and "bad.wav" in last and "none.wav" in last


def test_two_inputs_with_one_output_are_told(weights, good, tmp_path, capsys):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.wav").write_bytes(good.read_bytes())
    inputs = [str(tmp_path / folder / "x.wav") for folder in ("a", "b")]
    assert main([*inputs, "-o", str(tmp_path / "out"), "--weights", str(weights)]) == 1
    assert "same output" in capsys.readouterr().err
    assert names(tmp_path / "out") == ["x.wav"]


def test_damaged_weights(good, tmp_path, capsys):
    (tmp_path / "w.safetensors").write_text("no")
    assert main([str(good), "--weights", str(tmp_path / "w.safetensors")]) == 1
    assert "w.safetensors: not a safetensors file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--magic"], "No such option: --magic"),
        (["--steps", "0"], "--steps"),
        (["--samples", "2", "--steps", "1"], "steps of 2 or more"),
        (["--quality", "perfect"], "--quality"),
        (["--limit", "-3"], "--limit"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(options, said, fault, good):
    code, line = fault(good, *options)
    assert code == 2 and said in line


def test_no_input_at_all(capsys):
    assert main([]) == 2
    assert "INPUT" in capsys.readouterr().err


def test_one_output_file_for_several_inputs_is_wrong_usage(fault, good, tmp_path):
    code, line = fault(good, tmp_path / "other.wav", "-o", tmp_path / "out.wav")
    assert code == 2 and "name a folder" in line


def test_cuda_without_cuda_is_wrong_usage(fault, good, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, line = fault(good, "--device", "cuda")
    assert code == 2 and "cuda is not available" in line


def test_debug_shows_the_traceback(tmp_path, weights, capsys):
    assert main([str(tmp_path / "none.wav"), "--debug", "--weights", str(weights)]) == 1
    assert "Traceback" in capsys.readouterr().err
