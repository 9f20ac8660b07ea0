from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_audio.spectra.stft import Spectral


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 3000),
    setting=st.sampled_from([(510, 128), (512, 128), (1022, 256), (64, 16)]),
    exponent=st.sampled_from([0.3, 0.5, 1.0]),
    level=st.sampled_from([1e-3, 0.05, 1.0]),
)
def test_synthesis_inverts_analysis(
    length: int, setting: tuple[int, int], exponent: float, level: float
) -> None:
    spectral = Spectral(*setting, exponent=exponent)
    wave = level * torch.randn(2, length, generator=torch.Generator().manual_seed(length))
    spec = spectral.analysis(wave)
    assert spec.shape == (2, 2, spectral.bins, spectral.frames(length))
    back = spectral.synthesis(spec, length)
    assert back.shape == wave.shape
    assert (back - wave).abs().max() < 1e-5 * max(1.0, wave.abs().max().item())


def test_analysis_is_the_compressed_discrete_fourier_transform_of_each_window() -> None:
    spectral = Spectral()
    wave = 0.1 * torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    spec = spectral.analysis(wave)[0].numpy()
    window = np.sin(np.pi * np.arange(510) / 510) ** 2  # periodic Hann
    padded = np.pad(wave[0].numpy().astype(np.float64), 255)
    for frame in (0, 7, spectral.frames(4000) - 1):
        values = np.fft.rfft(padded[frame * 128 : frame * 128 + 510] * window)
        expected = 0.15 * np.sqrt(np.abs(values)) * np.exp(1j * np.angle(values))
        assert np.abs(spec[0, :, frame] + 1j * spec[1, :, frame] - expected).max() < 1e-4


def test_frames_are_centred_on_multiples_of_the_hop() -> None:
    spectral = Spectral()
    for frame in (3, 10):
        wave = torch.zeros(1, 2000)
        wave[0, frame * spectral.hop] = 1.0
        energy = spectral.analysis(wave).square().sum((0, 1, 2))
        assert energy.argmax() == frame


def test_gain_becomes_its_power() -> None:
    spectral = Spectral()
    wave = 0.1 * torch.randn(1, 2000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        spectral.analysis(4 * wave), 2 * spectral.analysis(wave), rtol=1e-4, atol=1e-5
    )


def test_gradients_are_finite_at_silence_and_right_elsewhere() -> None:
    spectral = Spectral(64, 16)
    silent = torch.zeros(1, 400, requires_grad=True)
    spectral.analysis(silent).square().sum().backward()
    assert torch.isfinite(silent.grad).all()
    spec = torch.zeros(1, 2, 33, 26, requires_grad=True)
    spectral.synthesis(spec, 400).abs().sum().backward()
    assert torch.isfinite(spec.grad).all()
    wave = torch.randn(1, 100, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda w: spectral.synthesis(spectral.analysis(w) * 1.1, 100), wave
    )


@pytest.mark.parametrize(
    ("keywords", "named"),
    [
        ({"hop": 300}, "hop"),
        ({"hop": 0}, "hop"),
        ({"exponent": 0.0}, "exponent"),
        ({"scale": -1.0}, "scale"),
    ],
)
def test_bad_settings_are_named(keywords: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Spectral(**keywords)  # type: ignore[arg-type]


def test_bad_shapes_are_named() -> None:
    spectral = Spectral()
    with pytest.raises(ValueError, match="wave"):
        spectral.analysis(torch.zeros(100))
    with pytest.raises(ValueError, match="spec"):
        spectral.synthesis(torch.zeros(1, 2, 100, 9), 1000)
    with pytest.raises(ValueError, match="length 5000"):
        spectral.synthesis(torch.zeros(1, 2, 256, 9), 5000)
