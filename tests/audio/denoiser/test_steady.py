"""Steady noise above the network's band."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt
from torch import nn

from diff_audio.denoiser import steady
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import Settings
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0

RATES = [22_050, 44_100, 48_000, 96_000]


class Strong(nn.Module):
    """A network that keeps what is loud and nothing else: a gate at each point of the spectrum."""

    context = 0

    def forward(self, x, time, cond=None):
        loud = cond.channels.square().sum(1, keepdim=True) > 0.002
        return cond.channels * loud


@pytest.fixture
def denoiser():
    return Denoiser(FromX0(Strong(), SchroedingerBridge()), device="cpu")


def above(wave, low, rate):
    return sosfiltfilt(butter(8, low, "highpass", fs=rate, output="sos"), wave)


def bursts(seconds, rate, seed=0):
    """Speech-like bursts of white noise of 0.1 s, five in two seconds, then a second of pause."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    return 0.3 * rng.standard_normal(len(t)) * ((t % 0.4 < 0.1) & (t % 3.0 < 2.0))


def fall(noise, done, low, rate):
    """How much less there is above `low` Hz in the pause from 2.2 to 2.8 s, dB."""
    pause = slice(round(2.2 * rate), round(2.8 * rate))
    before, after = (np.mean(above(wave, low, rate)[pause] ** 2) for wave in (noise, done))
    return 10 * np.log10(before / after)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", ["hiss", "whine"])
def test_steady_noise_above_the_network_falls_and_speech_stays(kind, rate, denoiser):
    speech = bursts(3.0, rate)
    t = np.arange(len(speech)) / rate
    noise = above(np.random.default_rng(1).standard_normal(len(speech)), 9000, rate)
    noise = noise if kind == "hiss" else np.sin(2 * np.pi * 9876.5 * t)
    noise *= 0.01 / np.std(noise)
    done = denoiser(speech + noise, rate)
    assert fall(noise, done, 9500, rate) > 20
    inside = (t % 0.4 > 0.03) & (t % 0.4 < 0.07) & (t < 2.0)
    kept = above(done, 9500, rate)[inside], above(speech, 9500, rate)[inside]
    after, before = (np.mean(part**2) for part in kept)
    # within what a whine's notch takes of a narrow band
    assert 10 * np.log10(after / before) == pytest.approx(0, abs=1.5)


def test_what_the_network_keeps_is_no_noise():
    """A network that keeps white noise for speech keeps it above its band too."""
    denoiser = Denoiser(FromX0(Identity(), SchroedingerBridge()), device="cpu")
    wave = 0.1 * np.random.default_rng(0).standard_normal(3 * 48_000)
    assert np.abs(denoiser(wave, 48_000) - wave).max() < 1e-5


class Identity(nn.Module):
    context = 0

    def forward(self, x, time, cond=None):
        return cond.channels


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("linked", [True, False])
def test_pieces_and_streams_equal_the_whole(linked, rate, denoiser, monkeypatch):
    import diff_audio.sound.measured as module

    noise = above(np.random.default_rng(1).standard_normal(8 * rate), 9000, rate)
    wave = np.stack((bursts(8.0, rate) + 0.01 * noise, bursts(8.0, rate, 1)))
    settings = Settings(linked=linked)
    whole = denoiser(wave, rate, settings)
    monkeypatch.setattr(module, "PIECE_SECONDS", 1.9)
    assert np.abs(denoiser(wave, rate, settings) - whole).max() < 1e-4 * np.abs(whole).max()
    assert np.abs(whole - wave).max() > 0.01


def test_no_value_depends_on_more_than_the_reach():
    rate, rng = 48_000, torch.Generator().manual_seed(0)
    high = torch.randn(1, 5 * rate, generator=rng)
    flat = torch.ones(1, 5 * rate // 384 + 2)
    around, low = steady.reach(rate), 2 * rate

    def done(wave, low=0):
        return steady.without_steady_noise(wave, rate, low, flat, flat, 384.0, linked=True)

    whole, part = done(high), done(high[:, low:], low)
    inner = slice(low + around, None)
    assert (whole[:, inner] - part[:, around:]).abs().max() < 1e-5
    assert (whole - high).abs().max() > 0.1


def test_one_gain_for_linked_channels_and_none_for_silence():
    rate = 48_000
    white = np.random.default_rng(0).standard_normal(rate)
    hiss = torch.from_numpy(0.1 * above(white, 9000, rate))[None].float()
    pair = torch.cat((hiss, 0.1 * hiss, 0.0 * hiss))
    flat = torch.ones(3, rate // 384 + 2)
    out = steady.without_steady_noise(pair, rate, 0, flat, flat, 384.0, linked=True)
    torch.testing.assert_close(out[1], 0.1 * out[0])
    assert not out[2].any() and torch.isfinite(out).all()
    assert out[0, 4000:-4000].square().mean() < 0.01 * hiss.square().mean()


@pytest.mark.parametrize("length", [1, 100, 2000])
@pytest.mark.parametrize("rate", [16_001, 17_000, 48_000])
def test_every_length_and_rate_comes_back(length, rate, denoiser):
    wave = np.random.default_rng(0).standard_normal((2, length))
    out = denoiser(wave, rate)
    assert out.shape == wave.shape and np.isfinite(out).all()
