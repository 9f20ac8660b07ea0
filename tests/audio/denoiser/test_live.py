"""The live denoiser: causal, the same however it is cut, and late by what it says."""

import numpy as np
import pytest
import torch

from diff_audio.denoiser.live.network import LiveNet
from diff_audio.denoiser.live.stream import LiveDenoiser
from diff_core.condition import Condition
from small_live import small_live


@pytest.fixture(scope="module")
def live():
    return LiveDenoiser(small_live())


@pytest.fixture(scope="module")
def noise():
    return (0.1 * np.random.default_rng(0).standard_normal(20_000)).astype(np.float32)


def run(stream, wave, *sizes):
    """The wave through a stream in chunks of these sizes in turn, without the delay."""
    late = np.pad(wave, (0, stream.latency))
    out, place = [], 0
    while place < len(late):
        size = sizes[len(out) % len(sizes)]
        out.append(stream.process(late[place : place + size]))
        assert len(out[-1]) == len(late[place : place + size])
        place += size
    joined = np.concatenate(out)
    assert not joined[: stream.latency - 382].any()  # nothing comes before it can
    return joined[stream.latency :]


def test_a_frame_depends_on_no_later_one(live):
    network, y = live.network, torch.randn(1, 2, 256, 30)
    changed = y.clone()
    changed[..., 20] += 1
    time = torch.full((1,), 0.6)
    with torch.inference_mode():
        one, other = (
            network(torch.ones_like(x), time, Condition(channels=x)) for x in (y, changed)
        )
    differs = (one - other).abs().amax((0, 1, 2))
    assert differs[:20].max() == 0 and (differs[20:] > 0).all()


def test_a_stream_equals_a_file_however_it_is_cut(live, noise):
    whole = live(noise, 16_000)
    assert np.abs(whole - noise).max() > 0.01
    for hops in (1, 2):
        for sizes in ((128,), (1, 1000, 77), (5000,)):
            stream = live.stream(hops=hops)
            assert stream.latency <= 0.040 * 16_000
            assert np.abs(run(stream, noise, *sizes) - whole).max() < 2e-6


def test_the_frames_are_those_of_the_spectra_of_training(live, noise):
    """The live frames are `Spectral`'s of the wave 127 samples later, so that its own round trip
    through the network, whole, gives the same.
    """
    spectral = live.spectral
    late = torch.nn.functional.pad(torch.from_numpy(noise)[None], (127, 1024))
    with torch.inference_mode():
        y = spectral.analysis(late)
        x_0 = live.denoiser(y, torch.ones(1), Condition(channels=y))
        expected = spectral.synthesis(x_0, late.shape[1])[0, 127:][: len(noise)]
    assert np.abs(live(noise, 16_000) - expected.numpy()).max() < 2e-6


def test_an_untrained_network_delays_and_nothing_else(noise):
    bypass = LiveDenoiser(small_live(trained=False))
    assert np.abs(run(bypass.stream(), noise, 333) - noise).max() < 1e-6
    y = torch.randn(1, 2, 256, 5)
    assert torch.equal(bypass.network(y, torch.ones(1), Condition(channels=y)), y)


def test_the_level_of_the_sound_does_not_matter(live, noise):
    assert np.abs(100 * live(0.01 * noise, 16_000) - live(noise, 16_000)).max() < 1e-3


def test_silence_stays_silent_and_channels_are_apart(live, noise):
    both = live(np.stack((noise, 0 * noise)), 48_000)
    assert both.shape == (2, len(noise)) and not both[1].any()
    assert np.abs(both[0] - live(noise, 48_000)).max() < 2e-6


def test_wrong_chunks_and_settings_are_refused(live):
    with pytest.raises(ValueError, match="chunk must be"):
        live.stream(2).process(np.zeros(5, np.float32))
    with pytest.raises(ValueError, match="NaN"):
        live.stream().process(np.array([np.nan], np.float32))
    for wrong in ({"channels": 0}, {"hops": 3}):
        with pytest.raises(ValueError, match="channels must|hops must"):
            live.stream(**wrong)
    with pytest.raises(ValueError, match="multiple of"):
        LiveNet(bins=100)
