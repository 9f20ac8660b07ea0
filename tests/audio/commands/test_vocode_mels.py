"""Mels in files of other kinds and of other programs: converted, or refused by their name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.spectra.mel import Mel
from one_line import one_line

MEL = Mel()
FOREIGN = Path(__file__).parents[3] / "examples" / "speech_clean.wav"


@pytest.fixture
def spoken() -> np.ndarray:
    from diff_audio.sound.resample import resample

    wave, rate = soundfile.read(FOREIGN, dtype="float32")
    return MEL(resample(torch.from_numpy(wave), rate, 22_050)).numpy()


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_arrays_and_tensors_in_other_files(suffix, vocode, log_mel, tmp_path):
    values = np.load(log_mel)
    path = tmp_path / f"other{suffix}"
    if suffix == ".npz":
        np.savez(path, mel=values, rate=np.array(22_050))
    else:
        torch.save({"mel": torch.from_numpy(values), "name": "x"}, path)
    assert vocode(log_mel, path) == 0
    first, second = (
        soundfile.read(tmp_path / f"{stem}_vocoded.wav")[0] for stem in ("in", "other")
    )
    np.testing.assert_array_equal(first, second)


class _Trap:
    def __reduce__(self):
        return (Path.touch, (Path(self.path),))  # type: ignore[attr-defined]


def test_a_pickle_is_never_run(vocode, tmp_path, capsys):
    trap, mark = _Trap(), tmp_path / "ran"
    trap.path = str(mark)  # type: ignore[attr-defined]
    torch.save({"mel": trap}, tmp_path / "in.pt")
    assert vocode(tmp_path / "in.pt") == 1
    assert "holds more than tensors" in one_line(capsys)
    torch.save(trap, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert vocode(tmp_path / "old.pt") == 1
    assert "is no zip file of torch.save" in one_line(capsys)
    np.save(tmp_path / "in.npy", np.array([trap], dtype=object), allow_pickle=True)
    assert vocode(tmp_path / "in.npy") == 1
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("in.npz", {"a": np.zeros((80, 5)), "b": np.zeros((80, 5))}, "holds a, b; expected"),
        ("in.npz", {"mel": np.zeros((80, 5), int)}, "floating-point"),
        ("in.pt", {"name": "x"}, "holds no tensor"),
    ],
)
def test_a_file_without_one_mel_is_one_line(name, made, said, vocode, tmp_path, capsys):
    path = tmp_path / name
    np.savez(path, **made) if name.endswith("z") else torch.save(made, path)
    assert vocode(path) == 1
    assert said in one_line(capsys)


def test_a_foreign_mel_is_refused_by_its_name(vocode, spoken, tmp_path, capsys):
    np.save(tmp_path / "in.npy", spoken / np.log(10))
    assert vocode(tmp_path / "in.npy") == 1
    text = one_line(capsys)
    assert (
        "logarithms to base 10" in text and "--mel (hifigan" in text and "--mel diff-audio" in text
    )
    assert not (tmp_path / "in_vocoded.wav").exists()
    np.save(tmp_path / "in.npy", (spoken - spoken.mean()) / spoken.std())
    assert vocode(tmp_path / "in.npy") == 1
    assert "normalised" in one_line(capsys)


def test_what_is_assumed_of_an_array_is_printed_unless_it_is_said(vocode, log_mel, capsys):
    assert vocode(log_mel) == 0
    assert "taken for natural logarithms at 22,050 Hz, hop 256" in one_line(capsys)
    assert vocode(log_mel, "--mel", "diff-audio", "--overwrite") == 0
    assert capsys.readouterr().err == ""
    log_mel.with_name("in.npy.json").write_text(json.dumps({"mel": MEL.describe()}))
    assert vocode(log_mel, "--overwrite") == 0
    assert capsys.readouterr().err == ""


def test_a_mel_of_a_named_program_is_converted(vocode, tmp_path):
    import librosa

    wave, rate = soundfile.read(FOREIGN, dtype="float32")
    power = librosa.feature.melspectrogram(
        y=librosa.resample(wave, orig_sr=rate, target_sr=16_000), sr=16_000, n_fft=400,
        hop_length=160, n_mels=80, fmax=8000,
    )  # fmt: skip
    logs = np.log10(np.maximum(power, 1e-10))
    np.save(tmp_path / "in.npy", (np.maximum(logs, logs.max() - 8) + 4) / 4)
    assert vocode(tmp_path / "in.npy", "--mel", "whisper") == 0
    info = soundfile.info(tmp_path / "in_vocoded.wav")
    assert info.samplerate == 22_050
    assert info.duration == pytest.approx(len(wave) / rate, abs=0.02)
    assert json.loads((tmp_path / "in_vocoded.wav.json").read_text())["input_mel"] == "whisper"


def test_noise_is_never_written(vocode, tmp_path, capsys):
    """A mel whose wave is cut off everywhere is of another definition, whatever its statistics."""
    np.save(tmp_path / "in.npy", np.full((80, 60), 2.4, np.float32))
    assert vocode(tmp_path / "in.npy", "--mel", "diff-audio") == 1
    assert "beyond full scale" in one_line(capsys)
    assert not list(tmp_path.glob("in_vocoded*"))


def test_another_floor_is_silence(vocode, log_mel, tmp_path):
    values = np.load(log_mel)
    np.save(tmp_path / "deep.npy", np.where(values < -9, np.log(1e-7), values))
    assert vocode(tmp_path / "deep.npy") == 0


def test_a_recording_has_no_format_of_mel(vocode, tmp_path, speechlike, capsys):
    soundfile.write(tmp_path / "in.wav", speechlike(0.5)[0], 16_000)
    assert vocode(tmp_path / "in.wav", "--mel", "whisper") == 1
    assert "is a recording" in one_line(capsys)
