"""The notes of denoising: none of a clean removal, and every warning says what to try."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from diff_audio.denoise import _warnings, main
from diff_audio.denoiser.confidence import Second
from diff_audio.denoiser.settings import Settings
from diff_audio.pages.report import _notes

CLEAN = Path(__file__).parents[3] / "examples" / "speech_clean.wav"


def white(rng: np.random.Generator, length: int) -> np.ndarray:
    return rng.standard_normal(length)


def pink(rng: np.random.Generator, length: int) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(length))
    return np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 30.0), length)


@pytest.mark.parametrize(("noise", "snr"), [(white, 5), (white, 20), (pink, 10)])
def test_a_clean_removal_does_not_warn(noise, snr, tmp_path, capsys):
    clean, rate = soundfile.read(CLEAN, frames=3 * 16_000)
    added = noise(np.random.default_rng(snr), len(clean))
    noisy = clean + added * clean.std() / added.std() * 10 ** (-snr / 20)
    path, judged = tmp_path / "in.wav", tmp_path / "in.json"
    soundfile.write(path, 0.9 * noisy / np.abs(noisy).max(), rate)
    assert main([str(path), "--confidence", str(judged), "--device", "cpu"]) == 0
    assert capsys.readouterr().err == ""
    seconds = json.loads(judged.read_text())["seconds"]
    assert len(seconds) == 3 and not any(second["doubtful"] for second in seconds)


def test_every_warning_of_the_command_says_what_to_try():
    clipped, cut = _warnings(SimpleNamespace(flat=50, clipped=3, notes=()))  # type: ignore[arg-type]
    assert clipped.endswith("record again at a lower level, or use a declipper first")
    assert cut.endswith("convert it to a float WAV first")


def test_every_warning_of_the_report_says_what_to_try():
    doubtful = Second(0, -20.0, -20.0, 1.0, 1.0, doubtful=True)
    tracks = SimpleNamespace(kept=np.ones((1, 4)), removed=np.ones((1, 4)))
    loud = {"rate": 16_000, "flat": 50, "clipped": 3, "replaced": 2, "room": 0.0}
    notes = [
        *_notes(SimpleNamespace(level_db=None, **loud), Settings(), tracks, []),  # type: ignore[arg-type]
        *_notes(SimpleNamespace(level_db=-20.0, **loud), Settings(), tracks, [doubtful]),  # type: ignore[arg-type]
    ]
    warnings = {text.split(". ")[-1] for _, text, is_warning in notes if is_warning}
    assert {text.split()[0] for text in warnings} == {
        "Check",
        "Record",
        "Lower",
        "Export",
        "Listen",
    }
