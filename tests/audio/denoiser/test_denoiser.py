"""The denoiser in memory: what the network leaves alone comes out as it went in."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import diff_audio
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.network import BandUNet
from diff_audio.denoiser.settings import Settings, step_times
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0


class Scale(nn.Module):
    """A network that multiplies every spectrum by a factor: by its square in the wave."""

    context = 0

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x, time, cond=None):
        return self.factor * cond.channels


def scaling(factor: float) -> Denoiser:
    return Denoiser(FromX0(Scale(factor), SchroedingerBridge()), device="cpu")


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("steps", [1, 4])
def test_an_untrained_network_changes_nothing(rate, steps, speechlike):
    denoiser = Denoiser(FromX0(BandUNet(), SchroedingerBridge()), device="cpu")
    wave = speechlike(0.5, rate, 2)
    out = denoiser(wave, rate, Settings(steps=steps))
    assert np.abs(out - wave).max() < 1e-5


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_upper_band_gets_the_networks_gain(rate):
    wave = 0.1 * np.random.default_rng(0).standard_normal(rate)
    out = scaling(0.5)(wave, rate)
    inner = slice(rate // 10, -rate // 10)
    assert np.abs(out - 0.25 * wave)[inner].max() < 1e-3


def test_the_upper_band_is_never_amplified():
    wave = 0.1 * np.random.default_rng(0).standard_normal(48_000)
    out = scaling(2.0)(wave, 48_000)
    power = [np.abs(np.fft.rfft(w))[12_000:].std() for w in (wave, out)]  # above 12 kHz
    assert power[1] == pytest.approx(power[0], rel=0.01)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("factor", [0.001, 0.03, 30.0])
def test_output_scales_with_the_input(rate, factor, model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(1.0, rate)
    expected = factor * denoiser(wave, rate)
    assert np.abs(denoiser(factor * wave, rate) - expected).max() < 1e-5 * np.abs(expected).max()


@given(st.integers(1, 3000), st.sampled_from([8000, 16_000, 22_050, 48_000]))
def test_every_length_comes_back(length, rate):
    wave = np.random.default_rng(length).standard_normal(length)
    assert np.isfinite(out := scaling(0.9)(wave, rate)).all() and out.shape == wave.shape


def test_output_is_not_delayed(speechlike):
    from diff_audio.metrics import align

    wave = speechlike(1.0, 16_000)[0]
    assert align(wave, scaling(0.7)(wave, 16_000))[1] == 0


def test_channels_share_one_level_and_are_not_mixed(model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(1.0)[0]
    pair = denoiser(np.stack((wave, 0.0 * wave, wave)), 16_000)
    single = denoiser(wave, 16_000)
    assert not pair[1].any()
    for channel in (0, 2):
        assert np.abs(pair[channel] - single).max() < 1e-6


def test_silence_is_returned_as_it_is(model):
    denoiser = Denoiser(model, device="cpu")
    assert not denoiser(np.zeros((2, 5000)), 44_100).any()


def test_digital_silence_within_speech_stays_silent(model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(3.0)
    wave[:, 16_000:32_000] = 0
    out = denoiser(wave, 16_000)
    assert not out[:, 16_600:31_400].any() and out[:, :16_000].any()


@given(st.floats(0, 60))
def test_limit_is_the_documented_mixture(decibels):
    wave = np.random.default_rng(0).standard_normal(2000)
    share = 10 ** (-decibels / 20)
    found = scaling(0.5)(wave, 16_000, Settings(limit_db=decibels))
    free = scaling(0.5)(wave, 16_000)
    np.testing.assert_allclose(found, share * wave + (1 - share) * free, atol=1e-9)


def test_samples_average_and_depend_on_the_seed_only(model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(0.5)
    one, again, other = (
        denoiser(wave, 16_000, Settings(steps=2, samples=2, seed=seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again) and np.abs(one - other).max() > 1e-4


def test_steps_run_from_one_to_zero():
    for steps in (1, 2, 8):
        times = step_times(steps)
        assert len(times) == steps + 1 and times[0] == 1 and times[-1] == 0
        assert (times.diff() < 0).all()


def test_torch_and_numpy_keep_their_kind_and_type(model):
    denoiser = Denoiser(model, device="cpu")
    wave = torch.randn(2, 4000)
    out = denoiser(wave, 16_000)
    assert isinstance(out, torch.Tensor) and out.dtype == torch.float32 and out.shape == (2, 4000)
    as_numpy = denoiser(wave.numpy(), 16_000)
    assert isinstance(as_numpy, np.ndarray) and as_numpy.dtype == np.float32
    np.testing.assert_array_equal(as_numpy, out.numpy())


@pytest.mark.parametrize(
    ("wave", "rate", "said"),
    [
        (np.zeros((20_000, 2)), 16_000, "transpose"),
        (np.zeros((1, 1, 9)), 16_000, r"\(T,\) or \(C, T\)"),
        (np.zeros(9, np.int16), 16_000, "floating point"),
        (np.full(9, np.nan), 16_000, "9 samples that are NaN"),
        (np.ones(9), 10, "rate must be 1000"),
    ],
)
def test_what_cannot_be_denoised_is_refused(wave, rate, said):
    with pytest.raises(ValueError, match=said):
        scaling(1.0)(wave, rate)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"steps": 0}, "steps must be 1 to 64"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"samples": 2}, "needs steps of 2"),
        ({"limit_db": -1.0}, "limit_db must be"),
    ],
)
def test_settings_are_checked(keywords, said):
    with pytest.raises(ValueError, match=said):
        Settings(**keywords)


def test_every_public_name_can_be_imported():
    for name in diff_audio.__all__:
        assert getattr(diff_audio, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        diff_audio.nothing  # noqa: B018


def test_own_checkpoint_and_its_faults(weights, tmp_path, speechlike):
    wave = speechlike(0.2)
    assert Denoiser.from_pretrained(weights, device="cpu")(wave, 16_000).shape == wave.shape
    with pytest.raises(ValueError, match="no such file"):
        Denoiser.from_pretrained(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="device is 'abacus'"):
        Denoiser.from_pretrained(weights, device="abacus")


def test_rumble_far_stronger_than_speech_neither_stays_nor_changes_the_level(speechlike):
    wave, t = speechlike(3.0), np.arange(48_000) / 16_000
    rumble = 30 * np.std(wave) * np.sin(2 * np.pi * 14.0 * t)
    heard = []

    class Listening(Scale):
        def forward(self, x, time, cond=None):
            heard.append(float(cond.channels.square().mean()))
            return super().forward(x, time, cond)

    denoiser = Denoiser(FromX0(Listening(1.0), SchroedingerBridge()), device="cpu")
    outs = [denoiser(part, 16_000) for part in (wave, wave + rumble)]
    assert heard[1] == pytest.approx(heard[0], rel=0.05)
    inner = slice(4000, -4000)
    assert np.std((outs[1] - wave)[:, inner]) < 0.05 * np.std(wave)
