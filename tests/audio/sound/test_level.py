"""The level that everything is brought to."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diff_audio.sound.level import (
    FRAME,
    TARGET_DB,
    Gain,
    active_level,
    follow,
    frame_power,
    gain_for,
    normalise,
)


def level_of(wave: np.ndarray) -> float:
    return float(active_level(frame_power(torch.from_numpy(wave))))


def noise(length: int = 16_000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(length)


def test_level_of_steady_sound_is_its_rms():
    wave = np.sqrt(2) * 0.3 * np.sin(2 * np.pi * 500 * np.arange(16_000) / 16_000)
    assert level_of(wave) == pytest.approx(0.3, rel=1e-6)


@given(st.integers(1, 10), st.floats(0, 1e-3))
def test_pauses_do_not_count(seconds, hiss):
    pause = hiss * noise(seconds * 16_000, 1)
    assert level_of(np.concatenate((noise(), pause))) == pytest.approx(level_of(noise()), rel=1e-6)


@given(st.floats(-80, 40))
def test_level_scales_with_the_recording(decibels):
    factor = 10 ** (decibels / 20)
    wave = np.concatenate((noise(), 0.05 * noise(), 0.001 * noise()))
    assert level_of(factor * wave) == pytest.approx(factor * level_of(wave), rel=1e-9)


@given(st.integers(1, 3 * FRAME))
def test_frame_power_is_the_mean_square_of_each_frame(length):
    wave = noise(length)
    expected = [np.mean(wave[i : i + FRAME] ** 2) for i in range(0, length, FRAME)]
    np.testing.assert_allclose(frame_power(torch.from_numpy(wave)), expected)


def test_normalise_brings_each_row_to_the_target():
    wave = torch.from_numpy(np.stack((noise(), 0.01 * noise(seed=1), np.zeros(16_000))))
    out, gain = normalise(wave)
    level = active_level(frame_power(out))
    assert 20 * torch.log10(level[:2]).numpy() == pytest.approx(TARGET_DB)
    assert gain.shape == (3, 1) and float(gain[2]) == 1.0
    assert not out[2].any()


def test_what_is_quiet_is_raised_by_200_db_at_most_and_silence_has_gain_one():
    gains = gain_for(torch.tensor([0.0, 1e-30, 1e30], dtype=torch.float64))
    loud = 10 ** (-26 / 20 - 30)  # brought to -26 dBFS, however loud
    assert gains.tolist() == pytest.approx([1.0, 1e10, loud], abs=0)


def decibels(wave: torch.Tensor) -> float:
    return float(10 * torch.log10(wave.square().mean()))


def test_a_followed_level_is_the_target_everywhere_two_seconds_from_a_change():
    """Two steady sounds 30 dB apart, which one gain for all leaves 30 dB apart."""
    loud, faint = noise(8 * 16_000), 10 ** (-30 / 20) * noise(8 * 16_000, 1)
    wave = torch.from_numpy(np.concatenate((loud, faint)))[None]
    out, gain = follow(wave)
    torch.testing.assert_close(out, wave * gain)
    for start in (0, 2, 4, 10, 12, 14):
        heard = decibels(out[0, start * 16_000 : (start + 2) * 16_000])
        assert heard == pytest.approx(TARGET_DB, abs=0.7)  # a quantile, not the mean
    assert decibels(normalise(wave)[0][0, -32_000:]) < TARGET_DB - 29


@given(st.floats(-80, 40))
def test_a_followed_gain_undoes_a_factor(decibel):
    factor = 10 ** (decibel / 20)
    wave = torch.from_numpy(np.concatenate((noise(40_000), 0.05 * noise(30_000))))[None]
    torch.testing.assert_close(follow(factor * wave)[0], follow(wave)[0], rtol=1e-4, atol=1e-9)


def test_a_followed_gain_is_smooth_and_bounded():
    """At most 45 dB over that of the whole in a pause, and less than 3 dB in 20 ms."""
    wave = torch.from_numpy(np.concatenate((noise(48_000), np.zeros(96_000), noise(48_000))))[None]
    gain = 20 * torch.log10(follow(wave)[1][0])
    assert float(gain.max() - gain.min()) == pytest.approx(45.0, abs=1.0)
    assert float((gain[FRAME:] - gain[:-FRAME]).abs().max()) < 3.0
    silence = torch.zeros(1, 5000, dtype=torch.float64)
    assert not follow(silence)[0].any() and bool((follow(silence)[1] == 1).all())


@pytest.mark.parametrize("length", [1, FRAME, 5 * FRAME - 1, 5 * FRAME + 1, 100_000])
def test_follow_keeps_any_length(length):
    wave = torch.from_numpy(noise(length))[None].float()
    out, gain = follow(wave)
    assert out.shape == gain.shape == wave.shape and out.dtype == torch.float32
    assert bool(torch.isfinite(out).all())


@pytest.mark.parametrize("ratio", [0.5, 1, 3])
def test_a_gain_is_the_same_at_every_rate(ratio):
    """Linear in dB between the middles of stretches of 0.1 s, and constant outside them."""
    gain = Gain(torch.tensor([0.0, 20.0, 20.0]))
    stretch = round(1600 * ratio)
    found = 20 * torch.log10(gain.at(0, 3 * stretch, ratio)).numpy()
    time = (np.arange(3 * stretch) + 0.5) / stretch
    expected = np.interp(time, [0.5, 1.5, 2.5], [0.0, 20.0, 20.0])
    np.testing.assert_allclose(found, expected, atol=1e-9)
    part = gain.at(stretch, 2 * stretch, ratio)
    torch.testing.assert_close(part, gain.at(0, 3 * stretch, ratio)[stretch : 2 * stretch])
    assert Gain.constant(0.25).at(7, 9).tolist() == pytest.approx([0.25, 0.25])
