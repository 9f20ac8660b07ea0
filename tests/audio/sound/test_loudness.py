"""Loudness and true peaks, against pyloudnorm's meter and closed forms."""

import math

import numpy as np
import pyloudnorm
import pytest

from diff_audio.sound.loudness import Loudness, gain_db, limit, loudness, true_peak_db

RATE = 48_000


def tone(frequency: float, seconds: float, rate: int = RATE, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate + phase)


def bursts(rate: int, channels: int, seed: int = 0) -> np.ndarray:
    """Noise whose level changes every half second, some of it under both gates."""
    source = np.random.default_rng(seed)
    levels = np.repeat(10 ** (source.uniform(-90, -10, 24) / 20), rate // 2)
    return source.standard_normal((channels, len(levels))) * levels


def test_a_full_scale_tone_of_1_khz_has_the_loudness_that_the_standard_states():
    """BS.1770-4: 0 dBFS at 997 Hz in one front channel reads -3.01 LUFS."""
    assert loudness(tone(997, 5), RATE) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_loudness_is_that_of_pyloudnorm(rate, channels):
    wave = bursts(rate, channels)
    expected = pyloudnorm.Meter(rate, "DeMan").integrated_loudness(wave.T)
    assert loudness(wave, rate) == pytest.approx(expected, abs=0.02)


def test_pieces_are_measured_as_the_whole():
    wave = bursts(22_050, 1)[0]
    meter = Loudness(22_050)
    cuts = np.random.default_rng(1).integers(0, len(wave), 40)
    for piece in np.split(wave, np.sort(cuts)):
        meter.add(piece)
    assert meter.lufs == pytest.approx(loudness(wave, 22_050), abs=1e-9)


def test_silence_and_very_short_sounds_have_a_loudness():
    assert loudness(np.zeros(RATE), RATE) == -math.inf == Loudness(RATE).lufs
    assert gain_db(-math.inf) == 0.0 and gain_db(-29.0, -19.0) == 10.0
    assert loudness(tone(997, 0.2), RATE) == pytest.approx(-3.01, abs=0.3)


def test_a_true_peak_lies_between_the_samples():
    """A tone of a quarter of the rate, sampled 45 degrees off its peaks, shows 3 dB too little."""
    wave = tone(RATE / 4, 1, phase=math.pi / 4)
    assert np.abs(wave).max() == pytest.approx(math.sqrt(0.5))
    assert true_peak_db(wave) == pytest.approx(0.0, abs=0.2)
    assert true_peak_db(np.zeros(9)) == -math.inf


@pytest.mark.parametrize("seed", range(5))
def test_the_limiter_holds_the_true_peak_and_leaves_the_rest(seed):
    source = np.random.default_rng(seed)
    wave = 0.2 * source.standard_normal((2, RATE))
    wave[:, RATE // 2 : RATE // 2 + 300] *= 8
    limited = limit(wave, RATE, -1.0)
    assert true_peak_db(limited) <= -1.0
    quiet = slice(0, RATE // 4)
    if true_peak_db(wave[:, : RATE // 3]) <= -1.0:
        assert np.array_equal(limited[:, quiet], wave[:, quiet])
    assert np.abs(limited).max() > 0.7  # turned down, not away
    assert np.allclose(limited[0] * wave[1], limited[1] * wave[0])  # one gain for both channels


def test_what_needs_no_limit_is_the_same_array():
    wave = 0.5 * tone(440, 1)
    assert limit(wave, RATE) is wave
    with pytest.raises(ValueError, match="peak is 1.0 dBTP; expected at most 0"):
        limit(wave, RATE, 1.0)


def test_wrong_channels_are_named():
    with pytest.raises(ValueError, match="expected 1 to 5 channels"):
        Loudness(RATE, 6)
    with pytest.raises(ValueError, match="samples have 2 channels; expected 1"):
        Loudness(RATE).add(np.zeros((2, 9)))
