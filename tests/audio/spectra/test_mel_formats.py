"""Mel spectrograms of other programs: recognised by their values, or turned into ours."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from diff_audio.sound.resample import resample
from diff_audio.spectra.mel import Mel
from diff_audio.spectra.mel_formats import FORMATS, to_ours
from diff_audio.spectra.mel_kinds import KINDS, foreign_kind

ROOT = Path(__file__).parents[3]
MEL = Mel()
SPEECH = ("examples/speech_clean.wav", "docs/audio/denoise/recorded_after.ogg")


def speech(file: str, rate: int = 22_050) -> np.ndarray:
    wave, found = soundfile.read(ROOT / file, dtype="float32")
    return resample(torch.from_numpy(wave), found, rate).numpy()


def ours(file: str) -> np.ndarray:
    return MEL(torch.from_numpy(speech(file))).numpy()


def foreign(file: str, rate=22_050, window=1024, hop=256, power=1, base=np.e, floor=1e-5, **bank):
    """The mel of a file by librosa, with another definition than ours."""
    spectrum = np.abs(librosa.stft(speech(file, rate), n_fft=window, hop_length=hop)) ** power
    filters = librosa.filters.mel(sr=rate, n_fft=window, **({"n_mels": 80, "fmax": 8000} | bank))
    return np.log(np.maximum(filters @ spectrum, floor)) / np.log(base)


@pytest.mark.parametrize("file", [*SPEECH, "examples/speech_noisy.wav", "docs/audio/say/0.ogg"])
@pytest.mark.parametrize("gain", [0.1, 1.0, 3.0])
def test_our_own_mel_is_not_refused(file: str, gain: float) -> None:
    assert foreign_kind(MEL(gain * torch.from_numpy(speech(file))).numpy()) is None


@pytest.mark.parametrize("file", SPEECH)
@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"base": 10.0, "floor": 1e-10, "fmin": 80, "fmax": 7600}, "base 10"),
        ({"base": 10.0, "floor": 1e-10}, "base 10"),
        ({"power": 2, "floor": 1e-10}, "powers"),
    ],
)
def test_another_logarithm_is_recognised(file: str, made: dict, said: str) -> None:
    assert said in (foreign_kind(foreign(file, **made)) or "")


@pytest.mark.parametrize(
    "made",
    [
        {"htk": True},
        {"htk": True, "norm": None},
        {"rate": 44_100, "window": 2048, "hop": 512, "fmax": 16_000},
        {"rate": 24_000, "window": 1024, "hop": 256, "fmax": 8000},
        {"rate": 16_000, "window": 400, "hop": 160, "fmax": 8000},
    ],
)
def test_other_bands_and_rates_are_recognised(made: dict) -> None:
    assert foreign_kind(foreign("examples/speech_clean.wav", **made))


@pytest.mark.parametrize("file", SPEECH)
def test_normalised_and_linear_mels_are_recognised(file: str) -> None:
    values = ours(file)
    decibels = 20 * values / np.log(10)
    minus_four_to_four = 8 * ((decibels - 20 + 100) / 100).clip(0, 1) - 4
    for other in (
        (values - values.mean()) / values.std(),
        (values - values.min()) / np.ptp(values),
        minus_four_to_four,
        np.exp(values),
    ):
        assert "normalised" in (foreign_kind(other) or "")


def test_nothing_is_claimed_of_what_is_short_or_no_speech() -> None:
    assert foreign_kind(foreign(SPEECH[0], base=10.0)[:, :30]) is None
    for seed in range(3):
        noise = np.random.default_rng(seed).uniform(-6, -1, (80, 400))
        assert foreign_kind(noise) is None


@pytest.mark.parametrize("file", SPEECH)
def test_mels_of_hifi_gan_and_tacotron_are_ours(file: str) -> None:
    values = torch.from_numpy(ours(file))
    for name in ("hifigan", "tacotron"):
        torch.testing.assert_close(to_ours(values, name, MEL), values, atol=1e-4, rtol=0)


def whisper(wave: np.ndarray, bands: int) -> np.ndarray:
    """Whisper's features as its paper and code define them, by librosa."""
    power = librosa.feature.melspectrogram(
        y=wave, sr=16_000, n_fft=400, hop_length=160, n_mels=bands, fmax=8000
    )
    logs = np.log10(np.maximum(power, 1e-10))
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def librosas(wave: np.ndarray, ref: float | None) -> np.ndarray:
    power = librosa.feature.melspectrogram(y=wave, sr=22_050)
    return power if ref is None else librosa.power_to_db(power, ref=ref or np.max, top_db=None)


@pytest.mark.parametrize("file", SPEECH)
@pytest.mark.parametrize("form", ["whisper 80", "whisper 128", "librosa power", "librosa dB"])
def test_a_converted_mel_is_near_ours(file: str, form: str) -> None:
    """Noise and speech of the same recording by both ways: equal but for what a window hides."""
    name, kind = form.split()
    if name == "whisper":
        made = whisper(speech(file, 16_000), int(kind))
    else:
        made = librosas(speech(file), None if kind == "power" else 1.0)
    found = to_ours(torch.from_numpy(made), name, MEL).numpy()
    expected = ours(file)
    assert abs(found.shape[1] - expected.shape[1]) <= 1
    frames = min(found.shape[1], expected.shape[1])
    found, expected = found[:, :frames], expected[:, :frames]
    heard = expected > expected.max() - 7
    error = (found - expected)[heard]
    assert abs(np.median(error)) < 0.35  # 3 dB
    assert np.corrcoef(found[heard], expected[heard])[0, 1] > 0.85
    # the conversion is right, and what the short window blurred still tells where it came from
    assert foreign_kind(found) in (None, KINDS["16 kHz, hop 160"])


def test_white_noise_keeps_its_level() -> None:
    """Of noise no window hides anything; the logarithm of what varies more lies 1.5 dB lower."""
    wave = 0.1 * np.random.default_rng(0).standard_normal(16_000 * 4)
    found = to_ours(torch.from_numpy(whisper(wave, 80)), "whisper", MEL).numpy()
    same = resample(torch.from_numpy(wave), 16_000, 22_050).float()
    expected = MEL(same).numpy()
    difference = found[5:75].mean(1) - expected[5:75].mean(1)
    assert np.abs(difference).max() < 0.25
    assert difference.std() < 0.05


def test_decibels_under_the_peak_get_the_level_of_speech() -> None:
    made = librosas(speech(SPEECH[0]), 0.0)
    assert made.max() == 0
    found = to_ours(torch.from_numpy(made), "librosa", MEL)
    assert -1 < float(found.max()) < 2.5


@pytest.mark.parametrize(
    ("values", "name", "said"),
    [
        (torch.zeros(80, 10), "vocos", "expected one of hifigan"),
        (torch.zeros(79, 10), "whisper", "80 or 128, N"),
        (torch.zeros(80, 2), "hifigan", "N >= 3"),
        (torch.full((80, 10), float("nan")), "whisper", "NaN"),
        (torch.full((80, 10), -40.0), "whisper", "Whisper's features"),
        (torch.linspace(-4, 4, 800).reshape(80, 10), "tacotron", "-4 to 4"),
        (torch.full((80, 10), -40.0), "hifigan", "natural logarithms"),
        (torch.linspace(-8, 1, 800).reshape(80, 10), "librosa", "under 20 dB"),
    ],
)
def test_values_that_a_format_does_not_have_are_refused(
    values: torch.Tensor, name: str, said: str
) -> None:
    with pytest.raises(ValueError, match="mel") as caught:
        to_ours(values, name, MEL)
    assert said in str(caught.value)


def test_formats_are_the_choices_of_the_command() -> None:
    from typing import get_args

    from diff_audio.vocode import MelFormat

    union = MelFormat.__origin__  # type: ignore[attr-defined]
    (choices, _none) = get_args(union)
    assert set(get_args(choices)) == {"diff-audio", *FORMATS}
