"""The level that everything is brought to."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diff_audio.sound.level import FRAME, TARGET_DB, active_level, frame_power, gain_for, normalise


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
