"""Rumble, before the level and the network."""

import numpy as np
import pytest
import torch

from diff_audio.sound.rumble import FILTER_REACH, REACH, highpass, without_rumble

T = np.arange(48_000) / 16_000


def tone(frequency, size=1.0):
    return torch.from_numpy(size * np.sin(2 * np.pi * frequency * T))[None]


def change(frequency):
    """Return the gain at a frequency, away from the ends, dB."""
    wave, inner = tone(frequency), slice(4000, -4000)
    after = highpass(wave)[:, inner].square().mean()
    return 10 * np.log10(float(after / wave[:, inner].square().mean()) + 1e-12)


@pytest.mark.parametrize("frequency", [80, 120, 1000, 7000])
def test_speech_passes(frequency):
    assert change(frequency) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("frequency", [1, 8, 25])
def test_rumble_does_not(frequency):
    assert change(frequency) < -50


def test_a_direct_current_is_rumble_from_the_first_sample_on():
    wave = torch.full((1, 8000), 0.4, dtype=torch.float64)
    assert not highpass(wave).any() and without_rumble(wave).abs().max() < 1e-6


def test_weak_rumble_stays_and_strong_goes():
    speech = tone(300, 0.07)
    weak, strong = speech + tone(15, 0.005), speech + tone(15, 1.0)
    assert without_rumble(weak) is weak
    left = without_rumble(strong) - speech
    assert left[:, 4000:-4000].abs().max() < 0.002


def test_digital_silence_stays():
    wave = tone(20) + tone(200)
    wave[:, 16_000:32_000] = 0
    for done in (highpass(wave), without_rumble(wave)):
        assert not done[:, 16_000:32_000].any()


@pytest.mark.parametrize(("process", "reach"), [(highpass, FILTER_REACH), (without_rumble, REACH)])
def test_a_piece_with_its_reach_equals_the_whole(process, reach):
    rng = np.random.default_rng(0)
    wave = torch.from_numpy(np.cumsum(rng.standard_normal((2, 30_000)), axis=1) / 100)
    whole, part = process(wave), process(wave[:, 10_000 - reach : 12_000 + reach])
    assert (whole - wave).abs().max() > 0.1
    np.testing.assert_allclose(part[:, reach:-reach], whole[:, 10_000:12_000], atol=1e-6)


@pytest.mark.parametrize("length", [0, 1, 700, 3000])
def test_every_length_and_type(length):
    wave = torch.ones(2, length)
    for done in (highpass(wave), without_rumble(wave)):
        assert done.shape == wave.shape and done.dtype == wave.dtype


def test_a_cut_within_speech_is_no_rumble():
    """The last sample is far from zero, as where a recording was cut."""
    wave = tone(150, 0.07)[:, : 16_000 + 27]
    assert wave[0, -1].abs() > 0.01
    assert without_rumble(wave) is wave
