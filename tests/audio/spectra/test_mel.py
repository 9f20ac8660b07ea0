"""The mel spectrogram against librosa and torchaudio, and what it refuses."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_audio.sound.resample import torchaudio
from diff_audio.spectra.mel import Mel

MELS = [Mel(), Mel(16_000, 512, 128, 40, 50.0, 7600.0, 1e-4)]


def by_librosa(mel: Mel, wave: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=wave,
        sr=mel.sample_rate,
        n_fft=mel.n_fft,
        hop_length=mel.hop,
        n_mels=mel.mels,
        fmin=mel.fmin,
        fmax=mel.fmax,
        power=1.0,
        pad_mode="reflect",
    )
    return np.log(np.maximum(power, mel.floor))


@pytest.mark.parametrize("mel", MELS)
@pytest.mark.parametrize("kind", ["speech", "tone", "noise", "silence"])
def test_equals_librosa(mel, kind, speechlike):
    rate = mel.sample_rate
    time = np.arange(rate) / rate
    wave = {
        "speech": speechlike(1.0, rate)[0],
        "tone": np.sin(2 * np.pi * 997 * time),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(rate),
        "silence": np.zeros(rate),
    }[kind]
    found = mel(torch.from_numpy(wave)).numpy()
    np.testing.assert_allclose(found, by_librosa(mel, wave), atol=1e-5)


@pytest.mark.parametrize("mel", MELS)
def test_equals_torchaudio(mel, speechlike):
    wave = torch.from_numpy(speechlike(1.0, mel.sample_rate, 2)).float()
    theirs = torchaudio().transforms.MelSpectrogram(
        mel.sample_rate,
        n_fft=mel.n_fft,
        hop_length=mel.hop,
        f_min=mel.fmin,
        f_max=mel.fmax,
        n_mels=mel.mels,
        power=1.0,
        norm="slaney",
        mel_scale="slaney",
    )(wave)
    # Its bank of filters is computed in float32.
    torch.testing.assert_close(mel(wave), theirs.clamp(min=mel.floor).log(), atol=5e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(length=st.integers(513, 4000), rows=st.lists(st.integers(1, 3), max_size=2))
def test_shape(length, rows):
    assert Mel()(torch.zeros(*rows, length)).shape == (*rows, 80, 1 + length // 256)


def test_gain_adds_its_logarithm(speechlike):
    wave = torch.from_numpy(speechlike(0.5, 22_050)[0])
    torch.testing.assert_close(Mel()(3 * wave), Mel()(wave) + np.log(3.0))


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (torch.zeros(512), r"T > n_fft // 2 = 512, got \(512,\)"),
        (torch.zeros(1000, dtype=torch.int16), "floating point .* got torch.int16"),
        (torch.zeros(()), "shape"),
    ],
)
def test_refused_waves(wave, message):
    with pytest.raises(ValueError, match=message):
        Mel()(wave)


@pytest.mark.parametrize(
    "numbers", [{"fmax": 12_000.0}, {"fmin": 9000.0}, {"hop": 0}, {"mels": 0}, {"floor": 0.0}]
)
def test_refused_definitions(numbers):
    with pytest.raises(ValueError, match="must be"):
        Mel(**numbers)


def test_a_card_gives_the_definition_back():
    mel = Mel(fmin=20.0)
    signal = {"mel": mel.describe()}
    assert Mel.of(signal) == mel
    mel.check(signal)


def test_a_mismatch_shows_both_definitions():
    other = Mel(fmax=11_025.0, floor=1e-6)
    with pytest.raises(ValueError) as refused:
        Mel().check({"mel": other.describe()})
    text = str(refused.value)
    assert "fmax 8000 | 11025" in text and "floor 1e-05 | 1e-06" in text and "hop" not in text
    assert Mel().fingerprint in text and other.fingerprint in text


@pytest.mark.parametrize("signal", [{}, {"mel": {"mels": 80}}, {"mel": 3}])
def test_a_card_without_a_definition_is_refused(signal):
    with pytest.raises(ValueError, match="no mel definition"):
        Mel.of(signal)


def test_an_edited_definition_is_refused():
    with pytest.raises(ValueError, match="fingerprint"):
        Mel.of({"mel": Mel().describe() | {"mels": 100}})


def test_fingerprints_differ():
    found = {Mel(**change).fingerprint for change in ({}, {"mels": 81}, {"floor": 2e-5})}
    assert len(found) == 3
