"""The texture of noise against noise of a known spectrum."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

_SPEC = spec_from_file_location(
    "noise_spectrum", Path(__file__).parents[3] / "benchmarks" / "medical" / "noise_spectrum.py"
)
assert _SPEC is not None and _SPEC.loader is not None
spectrum = module_from_spec(_SPEC)
_SPEC.loader.exec_module(spectrum)
BINS, flat_places, noise_spectrum, shaped_like = (
    spectrum.BINS, spectrum.flat_places, spectrum.noise_spectrum, spectrum.shaped_like
)  # fmt: skip

SHAPE = (6, 160, 160)
CENTRES = (np.arange(BINS) + 0.5) * np.sqrt(0.5) / BINS


def coloured(seed: int, gain: np.ndarray) -> np.ndarray:
    white = np.random.default_rng(seed).standard_normal(SHAPE)
    frequency = np.hypot(np.fft.fftfreq(160)[:, None], np.fft.fftfreq(160))
    return np.fft.ifft2(np.fft.fft2(white) * np.interp(frequency, CENTRES, gain)).real


def test_spectrum_is_the_known_one() -> None:
    # below the second bin the surface that is taken away takes noise with it
    gain = 20 * np.sqrt(CENTRES)
    found = noise_spectrum(40 + coloured(0, gain), flat_places(np.full(SHAPE, 40.0)))
    np.testing.assert_allclose(found[3:], gain[3:] ** 2, rtol=0.12)


def test_noise_is_shaped_like_that_of_the_scan() -> None:
    own = 30 * CENTRES / CENTRES.max()
    scan = 40 + coloured(0, own)
    scan[:, :40] = -1000  # air has other noise, and does not count
    made = shaped_like(scan, coloured(1, 9 * np.exp(-((CENTRES / 0.5) ** 2))))
    assert made.dtype == np.float32
    places = flat_places(scan)
    assert (places[:, 1] >= 40).all()
    found = noise_spectrum(made, places)
    # regions of 32 pixels see the ends of the spectrum less sharply than the middle
    np.testing.assert_allclose(found[5:18], noise_spectrum(scan, places)[5:18], rtol=0.15)
    assert made[:, 40:].std() == pytest.approx(scan[:, 40:].std(), rel=0.1)
    assert np.corrcoef(made[:, 40:].ravel(), scan[:, 40:].ravel())[0, 1] < 0.05


def test_edges_do_not_count_as_flat_and_a_lung_has_none() -> None:
    scan = np.full(SHAPE, 40.0)
    scan[:, :, 75:] = 140.0
    scan += np.random.default_rng(0).standard_normal(SHAPE)
    places = flat_places(scan)
    assert ((places[:, 2] + 32 <= 75) | (places[:, 2] >= 75)).all()
    with pytest.raises(ValueError, match="no 32 x 32 pixels of soft tissue"):
        flat_places(np.full(SHAPE, -800.0))
