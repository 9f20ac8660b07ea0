"""Faults of recordings: what would be trained on as garbage is refused, and the rest is named."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.data.corpus import Corpus
from diff_audio.data.survey import survey
from diff_audio.sound.resample import resample


def write(path: Path, *channels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack(channels, 1), 16_000, "DOUBLE")
    return path


def test_channels_that_cancel_each_other_are_no_training_data(tmp_path, speechlike):
    wave = speechlike(1.0)[0]
    turned = write(tmp_path / "s/anna/turned.wav", wave, -0.97 * wave)
    write(tmp_path / "s/bert/good.wav", wave, 0.9 * wave)
    write(tmp_path / "s/carl/good.wav", wave)
    corpus = Corpus.open(tmp_path / "s", None, tmp_path / "cache")
    assert not any("turned" in clip.file for clip in corpus.clips)
    ((file, why),) = corpus.skipped
    assert file == str(turned.resolve()) and "channels cancel each other" in why
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {one.row.path.parent.name: one for one in survey(tmp_path / "s").found}
    assert "channels cancel each other" in found["anna"].problem
    assert not found["bert"].problem and not found["carl"].problem


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((1.0, 0.0), "channel 2 of 2 is silent"),
        ((0.001, 0.001), "is very quiet"),
        ((1.0, 1.0), ""),
    ],
)
def test_inspect_remarks_on_what_is_odd(gains, said, tmp_path, speechlike):
    wave = 0.5 * speechlike(1.0)[0] / np.abs(speechlike(1.0)).max()
    write(tmp_path / "a.wav", *(gain * wave for gain in gains))
    (one, *_) = survey(tmp_path).found
    assert one.remark.startswith(said) if said else one.remark == ""


def test_inspect_remarks_on_a_rate_that_was_raised(tmp_path):
    noise = np.random.default_rng(0).standard_normal(32_000) * np.hanning(32_000)
    soundfile.write(tmp_path / "native.wav", 0.1 * np.repeat(noise, 2), 48_000, "PCM_16")
    raised = resample(torch.from_numpy(noise), 16_000, 48_000).numpy()
    soundfile.write(tmp_path / "raised.wav", 0.1 * raised, 48_000, "PCM_24")
    soundfile.write(tmp_path / "low.wav", 0.1 * noise, 16_000, "PCM_16")
    remarks = {one.row.path.stem: one.remark for one in survey(tmp_path).found}
    assert remarks == {
        "native": "",
        "raised": "holds nothing above 9 kHz: its rate was raised, or a codec cut it",
        "low": "",
    }


def test_two_microphones_far_apart_do_not_cancel(tmp_path, speechlike):
    wave = speechlike(1.0)[0]
    write(tmp_path / "s/a.wav", wave, np.roll(wave, 113))
    write(tmp_path / "s/b.wav", wave)
    assert not Corpus.open(tmp_path / "s", None, tmp_path / "cache").skipped
