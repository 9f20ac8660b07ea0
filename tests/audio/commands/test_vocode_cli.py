"""`python -m diff_audio.vocode` on real files."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.sound.read import probe
from diff_audio.spectra.mel import Mel
from diff_audio.vocode import main
from diff_audio.vocoder import Settings, Vocoder
from media import encode, hide_ffmpeg
from one_line import one_line

MEL = Mel()


def test_a_mel_becomes_the_wave_that_the_class_makes(vocode, log_mel, small):
    assert vocode(log_mel, "--seed", "3") == 0
    found, rate = soundfile.read(log_mel.with_name("in_vocoded.wav"))
    values = torch.from_numpy(np.load(log_mel))
    expected = Vocoder.from_pretrained(small, device="cpu")(values, Settings(2, 2, 3))[0]
    assert rate == 22_050 and len(found) == (values.shape[1] - 1) * 256
    np.testing.assert_allclose(found, expected.clamp(-1, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels"),
    [
        ("a.wav", "PCM_16", 8000, 1),
        ("a.wav", "FLOAT", 48_000, 2),
        ("a.flac", "PCM_24", 44_100, 1),
        ("a.ogg", "VORBIS", 16_000, 2),
        ("a.wav", "PCM_16", 22_050, 3),
    ],
)
def test_a_recording_keeps_its_form(name, subtype, rate, channels, vocode, tmp_path, speechlike):
    wave = speechlike(0.5317, rate, channels)
    soundfile.write(tmp_path / name, wave.T, rate, subtype)
    assert vocode(tmp_path / name) == 0
    info = soundfile.info(tmp_path / f"a_vocoded{Path(name).suffix}")
    found = info.samplerate, info.channels, info.frames, info.subtype
    assert found == (rate, channels, wave.shape[1], subtype)


@pytest.mark.parametrize("samples", [1, 100, 700])
def test_very_short_recordings(samples, vocode, tmp_path):
    soundfile.write(tmp_path / "in.wav", np.full(samples, 0.1), 22_050)
    assert vocode(tmp_path / "in.wav") == 0
    assert soundfile.info(tmp_path / "in_vocoded.wav").frames == samples


def test_silence_stays_silence(vocode, tmp_path):
    soundfile.write(tmp_path / "in.wav", np.zeros((5000, 2)), 44_100)
    assert vocode(tmp_path / "in.wav") == 0
    assert not soundfile.read(tmp_path / "in_vocoded.wav")[0].any()


def test_the_output_says_that_it_is_synthetic(vocode, log_mel, small):
    out = log_mel.with_name("out.flac")
    assert vocode(log_mel, "-o", out, "--seed", "5") == 0
    with soundfile.SoundFile(out) as file:
        assert file.comment.startswith("Synthetic") and "seed 5" in file.comment
    record = json.loads(out.with_name("out.flac.json").read_text())
    assert record["synthetic"] is True and record["seed"] == 5 and record["steps"] == 2
    assert record["model_sha256"] == hashlib.sha256(small.read_bytes()).hexdigest()
    assert record["input_sha256"] == hashlib.sha256(log_mel.read_bytes()).hexdigest()
    assert record["mel"] == MEL.describe()


def test_tags_of_a_recording_are_kept(vocode, tmp_path, speechlike):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 16_000, 1, "PCM_16") as file:
        file.title = "Interview"
        file.write(speechlike(0.3)[0])
    assert vocode(tmp_path / "a.flac") == 0
    with soundfile.SoundFile(tmp_path / "a_vocoded.flac") as file:
        assert file.title == "Interview" and file.comment.startswith("Synthetic")


def test_what_is_odd_about_a_recording_is_printed(vocode, tmp_path, speechlike, capsys):
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(0.6, 22_050).T, 22_050)
    data = bytearray(path.read_bytes())
    data[40:44] = bytes(4)  # the length that its header gives
    path.write_bytes(data)
    assert vocode(path, "-o", tmp_path / "b.wav") == 0
    assert "its header gives no length" in capsys.readouterr().err


def test_metadata_that_another_format_does_not_hold_is_named(vocode, tmp_path, speechlike, capsys):
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(0.6, 22_050).T, 22_050)
    data = bytearray(path.read_bytes())
    data += b"bext" + (602).to_bytes(4, "little") + b"scene 4".ljust(602, b"\0")
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    path.write_bytes(data)
    assert vocode(path, "-o", tmp_path / "b.ogg") == 0
    assert "left out of the output: bext" in capsys.readouterr().err


def test_a_memo_and_a_video_are_read_where_ffmpeg_is(
    vocode, tmp_path, speechlike, capsys, monkeypatch
):
    folder = tmp_path / "in"
    folder.mkdir()
    wave = 0.3 * speechlike(0.6, 16_000)
    encode(folder / "a.m4a", wave, 16_000)
    encode(folder / "b.webm", wave, 16_000, "-c:a", "libopus")
    assert vocode(folder) == 0
    made = sorted(folder.glob("*_vocoded.m4a"))
    assert [path.stem for path in made] == ["a_vocoded", "b_vocoded"]
    assert all(probe(path).tags["comment"].startswith("Synthetic sound") for path in made)
    assert f"{folder / 'b.webm'}: the sound alone is written, as M4A" in capsys.readouterr().err
    assert vocode(folder / "a.m4a", "-o", tmp_path / "c.mp4") == 2
    assert "end it in .m4a" in capsys.readouterr().err
    hide_ffmpeg(monkeypatch)
    assert vocode(folder) == 1
    assert "left out: " in capsys.readouterr().err


def test_channels_are_made_each_on_its_own(vocode, tmp_path):
    two = np.random.default_rng(0).uniform(-6, -1, (2, 80, 20)).astype(np.float32)
    np.save(tmp_path / "two.npy", two)
    np.save(tmp_path / "one.npy", two[0])
    assert vocode(tmp_path / "two.npy", tmp_path / "one.npy") == 0
    both, _ = soundfile.read(tmp_path / "two_vocoded.wav")
    alone, _ = soundfile.read(tmp_path / "one_vocoded.wav")
    assert both.shape == (19 * 256, 2)
    np.testing.assert_allclose(both[:, 0], alone, atol=1e-4)


def test_nothing_is_overwritten_unasked(vocode, log_mel, capsys):
    out = log_mel.with_name("out.wav")
    out.write_bytes(b"precious")
    assert vocode(log_mel, "-o", out) == 1
    assert "exists" in one_line(capsys) and out.read_bytes() == b"precious"
    assert vocode(log_mel, "-o", out, "--overwrite") == 0
    assert soundfile.info(out).frames > 0


BAD_ARRAYS = {
    "bands": (np.zeros((79, 10), np.float32), "(B, 80, N)"),
    "turned": (np.zeros((10, 80), np.float32), "transpose it"),
    "decibels": (np.full((80, 10), -40.0), "natural logarithms"),
    "nan": (np.full((80, 10), np.nan), "NaN"),
    "whole numbers": (np.zeros((80, 10), int), "floating-point"),
    "objects": (np.array([{}], dtype=object), "not an array"),
}


@pytest.mark.parametrize(("array", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_a_bad_array_is_one_line(array, message, vocode, tmp_path, capsys):
    np.save(tmp_path / "in.npy", array)
    assert vocode(tmp_path / "in.npy") == 1
    text = one_line(capsys)
    assert "in.npy" in text and message in text
    assert not (tmp_path / "in_vocoded.wav").exists()


def test_a_record_beside_that_is_nested_too_deeply_is_one_line(vocode, log_mel, capsys):
    log_mel.with_name("in.npy.json").write_text("[" * 100_000)
    assert vocode(log_mel) == 1
    assert "in.npy.json beside it is not JSON" in one_line(capsys)


def test_another_mel_definition_is_refused(vocode, log_mel, capsys):
    beside = log_mel.with_name("in.npy.json")
    beside.write_text(json.dumps({"mel": Mel(fmax=11_025.0).describe()}))
    assert vocode(log_mel) == 1
    assert "fmax 8000 | 11025" in one_line(capsys)
    beside.write_text(json.dumps({"mel": MEL.describe()}))
    assert vocode(log_mel) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"\x93NUMPY\x01\x00v\x00{", "damaged"),
        (b"\x93NUMPY\x01\x00\x20\x00" + b"{'descr': '<f4', 'shape': (3,".ljust(32), "damaged"),
        (b"\x93NUMPY\x01\x00\x03\x00((\n", "damaged"),
    ],
)
def test_a_damaged_array_is_one_line(content, message, vocode, tmp_path, capsys):
    (tmp_path / "in.npy").write_bytes(content)
    assert vocode(tmp_path / "in.npy") == 1
    assert message in one_line(capsys)


def test_nan_in_a_recording_is_located(vocode, tmp_path, capsys):
    wave = np.zeros(9000)
    wave[4410] = np.nan
    soundfile.write(tmp_path / "in.wav", wave, 44_100, "FLOAT")
    assert vocode(tmp_path / "in.wav") == 1
    assert "sample 4410" in one_line(capsys)


def test_a_gap_is_filled_and_the_rest_kept(vocode, tmp_path, speechlike):
    wave = speechlike(4.0, 44_100, 2).T
    wave[70_560:75_000] = 0
    soundfile.write(tmp_path / "in.wav", wave, 44_100, "PCM_16")
    assert vocode(tmp_path / "in.wav", "--gap", "1.6", "1.7") == 0
    before, after = (
        soundfile.read(tmp_path / name, dtype="int16")[0] for name in ("in.wav", "in_filled.wav")
    )
    changed = np.flatnonzero((before != after).any(1))
    assert 70_560 - 200 < changed.min() < 70_700 and 74_800 < changed.max() < 74_970 + 200
    with soundfile.SoundFile(tmp_path / "in_filled.wav") as file:
        assert file.comment.startswith("Partly synthetic") and "1.6 to 1.7 s" in file.comment
    assert json.loads((tmp_path / "in_filled.wav.json").read_text())["gap"] == [1.6, 1.7]


@pytest.mark.parametrize(
    ("gap", "code", "message"),
    [
        (("0.5", "0.4"), 2, "--gap"),
        (("0.9", "1.2"), 1, "lasts 1.000 s"),
        (("0", "1"), 1, "leaves nothing"),
    ],
)
def test_a_gap_that_cannot_be_filled(gap, code, message, vocode, tmp_path, speechlike, capsys):
    soundfile.write(tmp_path / "in.wav", speechlike(1.0)[0], 16_000)
    assert vocode(tmp_path / "in.wav", "--gap", *gap) == code
    assert message in one_line(capsys)


def test_a_gap_in_a_mel_is_refused(vocode, log_mel, capsys):
    assert vocode(log_mel, "--gap", "0.1", "0.2") == 1
    assert "mel spectrogram" in one_line(capsys)


def test_one_bad_file_does_not_stop_the_others(vocode, log_mel, capsys):
    missing = log_mel.with_name("missing.npy")
    assert vocode(missing, log_mel, "--json") == 1
    failed, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert "no such file" in failed["error"] and done["frames"] % 256 == 0
    assert done["steps"] == 2 and done["rounds"] == 2


def test_a_checkpoint_of_something_else_is_refused(weights, log_mel, capsys):
    assert main([str(log_mel), "--weights", str(weights), "--device", "cpu"]) == 1
    assert "the model" in one_line(capsys)


@pytest.mark.parametrize(
    "arguments", [["--steps", "0"], ["--rounds", "-1"], ["-o", "x.npy"], ["--seed", "x"]]
)
def test_wrong_usage(arguments, log_mel, capsys):
    assert main([str(log_mel), *arguments]) == 2
    assert one_line(capsys)


def test_help_is_light():
    code = (
        "import sys; from diff_audio.vocode import main; main(['--help']); "
        "print(sorted({'torch', 'soundfile', 'librosa'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--passes" in done.stdout
