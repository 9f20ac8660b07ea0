"""The power by frequency of volumes whose spectra are known."""

import numpy as np
import pytest

from diff_medical.brain.spectrum import EDGES, radial_power


@pytest.mark.parametrize("waves", [1, 3, 7])
def test_a_wave_has_all_its_power_in_the_band_of_its_frequency(waves: int) -> None:
    size = 24
    x = np.arange(size)[:, None, None]
    volume = np.broadcast_to(np.cos(2 * np.pi * waves * x / size), (size,) * 3)
    found = radial_power(volume.astype(np.float32))
    band = int(np.searchsorted(EDGES, waves / size)) - 1
    inside = 0  # frequencies of the half that a real volume has
    for a in range(-size // 2, size // 2):
        for b in range(-size // 2, size // 2):
            for c in range(size // 2 + 1):
                inside += EDGES[band] <= np.sqrt(a * a + b * b + c * c) / size < EDGES[band + 1]
    assert found.shape == (8,)
    assert found[band] == pytest.approx(np.log10(2 * (size**3 / 2) ** 2 / inside), abs=1e-6)
    assert np.delete(found, band).max() < found[band] - 8


def test_white_noise_is_flat() -> None:
    sigma = 3.0
    volume = sigma * np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32)
    expected = np.log10(sigma**2 * volume.size)
    assert np.abs(radial_power(volume)[1:] - expected).max() < 0.05
