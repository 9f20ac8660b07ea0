"""Made noise: each kind by what its name promises."""

from __future__ import annotations

import numpy as np
import pytest

from diff_audio.data.made_noise import MADE, made_noise

RATE, LENGTH = 16000, 48000


def spectrum(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    power = np.abs(np.fft.rfft(wave.astype(np.float64) * np.hanning(len(wave)))) ** 2
    return np.fft.rfftfreq(len(wave), 1 / RATE), power / power.sum()


def many(kind: str, count: int = 30) -> list[np.ndarray]:
    return [made_noise(np.random.default_rng(seed), kind, LENGTH, RATE) for seed in range(count)]


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(("length", "rate"), [(1600, 8000), (LENGTH, RATE), (48000, 48000)])
def test_power_is_one_and_the_seed_decides(kind, length, rate) -> None:
    first, again, other = (
        made_noise(np.random.default_rng(seed), kind, length, rate) for seed in (5, 5, 6)
    )
    assert first.shape == (length,) and first.dtype == np.float32
    assert np.mean(first.astype(np.float64) ** 2) == pytest.approx(1.0, rel=1e-4)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind is 'rain'; expected one of hiss, hum"):
        made_noise(np.random.default_rng(0), "rain", LENGTH, RATE)


def test_hiss_is_steady_and_of_many_bands() -> None:
    waves = many("hiss")
    for wave in waves:
        halves = [np.mean(half**2) for half in np.split(wave.astype(np.float64), 2)]
        assert 0.5 < halves[0] / halves[1] < 2.0
    centres = [np.sum(f * p) for f, p in map(spectrum, waves)]
    assert min(centres) < 1500 and max(centres) > 5000


def test_hum_is_made_of_lines() -> None:
    """Nearly all power lies in few frequencies, but for engines, which also rustle."""
    shares = [np.sort(p)[::-1][:600].sum() for _f, p in map(spectrum, many("hum"))]
    assert np.median(shares) > 0.99
    mains = max(many("hum"), key=lambda wave: np.sort(spectrum(wave)[1])[-600:].sum())
    frequency, power = spectrum(mains)
    lines = frequency[power > 0.02]
    assert any(np.all(np.abs(lines / base - np.rint(lines / base)) < 0.03) for base in (50, 60))


def test_whines_are_a_few_tones_anywhere_above_300_hz() -> None:
    found = [spectrum(wave) for wave in many("whine")]
    assert all(p[f < 250].sum() < 0.01 for f, p in found)
    peaks = [f[np.argmax(p)] for f, p in found]
    assert min(peaks) < 2000 and max(peaks) > 5000


def test_clicks_and_keys_are_impulsive_and_wind_is_low() -> None:
    def kurtosis(wave: np.ndarray) -> float:
        return float(np.mean(wave.astype(np.float64) ** 4))

    for kind in ("clicks", "typing"):
        assert np.median([kurtosis(wave) for wave in many(kind)]) > 15  # normal noise: 3
    low = [p[f < 1000].sum() for f, p in map(spectrum, many("wind"))]
    assert np.median(low) > 0.9
