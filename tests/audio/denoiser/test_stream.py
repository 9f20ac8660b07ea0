"""Live sound: chunks of any size give what the whole recording gives, late by what is said."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import Settings
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0


class Scale(nn.Module):
    """A network that multiplies every spectrum by 0.9: by its square in the wave."""

    context = 0

    def forward(self, x, time, cond=None):
        return 0.9 * cond.channels


def streamed(stream, wave, sizes):
    """Everything that comes out, without the delay."""
    outs, place = [], 0
    for size in sizes:
        chunk = wave[..., place : place + size]
        outs.append(stream.process(chunk))
        assert outs[-1].shape == chunk.shape
        place += size
    assert place >= wave.shape[-1]
    outs.append(stream.flush())
    assert outs[-1].shape == (*chunk.shape[:-1], stream.latency)  # as the chunks were
    return np.concatenate([np.atleast_2d(out) for out in outs], axis=1)[:, stream.latency :]


def level_of(denoiser, wave, rate):
    return denoiser.measure([wave], wave.shape, rate).level_db


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("options", [Settings(), Settings(steps=2, seed=3, limit_db=10.0)])
def test_a_stream_equals_the_whole_recording(rate, options, model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(2.7, rate, channels=2)
    whole = denoiser(wave, rate, options)
    stream = denoiser.stream(rate, 2, options, level_db=level_of(denoiser, wave, rate))
    found = streamed(stream, wave, [rate // 100] * 280)
    assert found.shape == wave.shape and np.abs(whole - wave).max() > 0.01
    assert np.abs(found - whole).max() < 1e-4 * np.abs(whole).max()  # -80 dB


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 9000), max_size=6), st.integers(1, 30_000))
def test_the_size_of_the_chunks_changes_nothing(sizes, length):
    wave = np.random.default_rng(0).standard_normal((1, length))
    stream = Denoiser(FromX0(Scale(), SchroedingerBridge()), device="cpu").stream(16_000)
    found = streamed(stream, wave, [*sizes, length])
    assert np.abs(found - 0.81 * wave).max() < 1e-5


def test_output_is_late_by_the_latency_and_no_more(model, speechlike):
    stream = Denoiser(model, device="cpu").stream(16_000, level_db=-26.0, block=0.5)
    assert stream.latency < 16_000
    wave = speechlike(3.0)[0]
    out = stream.process(wave)
    assert not out[: stream.latency].any() and out[stream.latency :].any()
    pulse = np.zeros(32_000)
    pulse[10_000] = 1.0
    stream.flush()
    heard = np.abs(np.concatenate((stream.process(pulse), stream.flush())))
    assert np.argmax(heard) == 10_000 + stream.latency


def test_the_level_is_found_while_it_runs(model, speechlike):
    """Loud or soft, after the first seconds the result has one shape."""
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(6.0)[0]
    whole = denoiser(wave, 16_000)
    outs = []
    for factor in (0.01, 1.0):
        stream = denoiser.stream(16_000)
        outs.append(np.concatenate((stream.process(factor * wave), stream.flush())) / factor)
    np.testing.assert_allclose(*outs, atol=1e-5)
    late = outs[1][stream.latency :][32_000:]
    assert np.std(late - whole[32_000:]) < 0.05 * np.std(whole)


def test_a_followed_level_reaches_the_network_in_a_stream_too(speechlike):
    """A guest 40 dB under the host is heard at the level of the file, once a second has passed."""
    heard = []

    class Listening(Scale):
        def forward(self, x, time, cond=None):
            heard.append(float(cond.channels.square().mean()))
            return super().forward(x, time, cond)

    denoiser = Denoiser(FromX0(Listening(), SchroedingerBridge()), follow=True, device="cpu")
    voice = speechlike(8.0)
    wave = np.concatenate((voice, 0.01 * voice, voice), axis=1)
    stream = denoiser.stream(16_000, block=0.25)
    found = streamed(stream, wave, [4000] * 96)
    assert np.abs(found - 0.81 * wave).max() < 1e-5
    decibels = 10 * np.log10(heard)
    host, guest = decibels[8:30].mean(), decibels[40:62].mean()
    assert abs(host - guest) < 3.0


def test_a_stream_measures_each_frame_once(speechlike):
    """What a stream knows of the level in the end is what a file's reading finds."""
    denoiser = Denoiser(FromX0(Scale(), SchroedingerBridge()), follow=True, device="cpu")
    wave = speechlike(40.3, 44_100)
    stream = denoiser.stream(44_100)
    gains = []
    inner = stream.denoiser.one
    stream.denoiser.one = lambda seen, piece, bands, gain, settings, echo: (
        gains.append(gain) or inner(seen, piece, bands, gain, settings, echo)
    )
    streamed(stream, wave, [441] * 4030)
    whole = denoiser.measure([wave], wave.shape, 44_100)
    last = gains[-1]
    assert last.first > 8 * 16_000
    start, stop = last.first + 3 * 16_000, 40 * 16_000
    np.testing.assert_allclose(last.at(start, stop), whole.at(start, stop), rtol=0.02)


def test_silence_kinds_and_types(model):
    stream = Denoiser(model, device="cpu").stream(16_000, channels=2)
    out = stream.process(torch.zeros(2, 40_000))
    assert isinstance(out, torch.Tensor) and out.dtype == torch.float32 and not out.any()
    assert stream.process(np.zeros((2, 0), np.float32)).dtype == np.float32
    assert stream.flush().shape == (2, stream.latency)


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        (np.zeros((2, 9)), r"\(1, T\)"),
        (np.zeros(9, np.int16), "floating point"),
        (np.full(9, np.inf), "NaN or Inf"),
    ],
)
def test_wrong_chunks_are_refused(chunk, said, model):
    with pytest.raises(ValueError, match=said):
        Denoiser(model, device="cpu").stream(16_000).process(chunk)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"channels": 0}, "channels"), ({"block": 0.0}, "block"), ({"rate": 10}, "rate must be")],
)
def test_wrong_options_are_refused(options, said, model):
    with pytest.raises(ValueError, match=said):
        Denoiser(model, device="cpu").stream(**{"rate": 16_000, **options})


def test_a_network_without_bounds_cannot_stream(model):
    model.network.__class__ = type("Endless", (type(model.network),), {"context": None})
    with pytest.raises(ValueError, match="cannot stream"):
        Denoiser(model, device="cpu").stream(16_000)
