"""Loudness in blocks, and the limiter of the true peak."""

import math

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import butter, resample_poly, sosfilt

from diff_audio.sound.limiter import context, limiter_gain, true_peak
from diff_audio.sound.loudness import Loudness


def loudness_of(wave, rate, blocks=1):
    meter = Loudness(rate, len(wave))
    for block in np.array_split(wave, blocks, axis=1):
        meter.add(block)
    return meter


def sine(frequency, seconds, rate, decibels=0.0, phase=0.0):
    t = np.arange(round(seconds * rate)) / rate
    return 10 ** (decibels / 20) * np.sin(2 * np.pi * frequency * t + phase)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_loudness_is_that_of_pyloudnorm(rate, channels, speechlike):
    wave = speechlike(6.0, rate, channels)
    wave[:, rate : 2 * rate] *= 1e-3  # a pause under the relative gate
    expected = pyloudnorm.Meter(rate).integrated_loudness(wave.T)
    assert loudness_of(wave, rate, blocks=37).of() == pytest.approx(expected, abs=1e-6)


def test_a_sine_at_full_scale_has_the_loudness_of_the_recommendation():
    wave = sine(997.0, 3.0, 48_000)[None]
    assert loudness_of(wave, 48_000).of() == pytest.approx(-3.01, abs=0.05)
    both = np.concatenate([wave, wave])
    meter = loudness_of(both, 48_000)
    assert meter.of() == pytest.approx(0.0, abs=0.05)
    assert meter.of_channel(1) == pytest.approx(-3.01, abs=0.05)
    assert meter.of([0.1, 0.0]) == pytest.approx(-23.01, abs=0.05)


def test_the_low_frequency_channel_does_not_count(speechlike):
    wave = speechlike(1.0, 16_000, 6)
    louder = wave.copy()
    louder[3] *= 30
    assert loudness_of(louder, 16_000).of() == loudness_of(wave, 16_000).of()


def test_silence_and_what_is_short_have_no_loudness(speechlike):
    assert loudness_of(np.zeros((2, 48_000)), 48_000).of() is None
    assert loudness_of(1e-5 * speechlike(1.0), 16_000).of() is None
    assert loudness_of(speechlike(0.399), 16_000).of() is None
    assert loudness_of(speechlike(0.4), 16_000).of() is not None


def test_true_peak_lies_between_the_samples():
    """The frequency is a quarter of the sample rate, sampled 45 degrees from its crests."""
    wave = sine(12_000.0, 0.1, 48_000, phase=math.pi / 4)[None]
    assert np.abs(wave).max() == pytest.approx(math.sqrt(0.5))
    assert true_peak(wave)[1000:-1000] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_nothing_passes_the_ceiling(rate, channels):
    rng = np.random.default_rng(0)
    wave = rng.standard_normal((channels, rate))
    wave[0, rate // 2] = 20.0
    wave = 0.3 * sosfilt(butter(8, 0.7, output="sos"), wave)
    limited = wave * limiter_gain(wave, rate, 0.5)
    dense = resample_poly(limited, 8, 1, axis=1)
    # four values a sample miss up to 0.33 dB of a crest at 0.7 of the band
    assert 0.4 < np.abs(dense).max() <= 0.5 * 10 ** (0.33 / 20)
    assert np.abs(limited).max() <= 0.5 * (1 + 1e-9)


def test_what_lies_under_the_ceiling_is_left_alone():
    wave = sine(440.0, 0.2, 16_000, -6.0)[None]
    assert (limiter_gain(wave, 16_000, 0.6) == 1.0).all()
    wave[0, 1600] = 1.0
    gain = limiter_gain(wave, 16_000, 0.6)
    assert (
        gain[1600] == pytest.approx(0.6, rel=0.03)
        and (gain[: 1600 - context(16_000)] == 1.0).all()
    )
    assert np.abs(np.diff(gain)).max() < 0.01  # no click


def test_a_piece_with_context_has_the_gain_of_the_whole():
    wave = np.random.default_rng(1).standard_normal((1, 20_000))
    whole, around = limiter_gain(wave, 16_000, 1.0), context(16_000)
    piece = limiter_gain(wave[:, 8000 - around : 9000 + around], 16_000, 1.0)
    np.testing.assert_allclose(piece[around:-around], whole[8000:9000], rtol=1e-5)


def test_every_length_has_a_gain():
    for length in (0, 1, 2, 5, 50):
        assert limiter_gain(np.ones((2, length)), 16_000, 0.5).shape == (length,)
