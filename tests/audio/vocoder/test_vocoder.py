"""The vocoder's parts: level, phases, network, objective, and pieces that equal the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diff_audio.spectra.mel import Mel
from diff_audio.vocoder import Settings, Vocoder, copying, model, step_times
from diff_audio.vocoder.envelope import known, level, split, whole
from diff_audio.vocoder.gap import FADE, bridge_mel, fill
from diff_audio.vocoder.network import FrameNet
from diff_audio.vocoder.phase import griffin_lim, reach, unit, wave_of
from diff_audio.vocoder.training.objective import Vocoding
from diff_core.condition import Condition
from diff_core.denoiser import FromX0
from diff_core.schedule import RectifiedFlow

MEL = Mel()


def small() -> FromX0:
    """A little network whose last layer is random, so that it uses its whole context."""
    torch.manual_seed(0)
    network = FrameNet(width=16, dilations=(1, 2))
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    return FromX0(network, RectifiedFlow()).eval()


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return Vocoder(small(), device="cpu")


@pytest.fixture(scope="module")
def wave(speechlike) -> torch.Tensor:
    return torch.from_numpy(speechlike(3.0, 22_050, 2)[:, : 258 * 256]).float()


def test_level_is_positive_and_explains_the_mel(wave):
    log_mel = MEL(wave)
    found = level(MEL, log_mel)
    assert found.shape == (2, 513, log_mel.shape[2]) and bool((found > 0).all())
    # A least-squares solution kept positive: most of the mel comes back.
    assert (MEL.of_magnitude(found) - log_mel).abs().mean() < 0.15


def test_level_follows_a_gain(wave):
    log_mel = MEL(wave)
    torch.testing.assert_close(level(MEL, log_mel + 1.0), level(MEL, log_mel) * math.e)


def test_whitened_noise_is_white():
    noise = torch.randn(1, 60_000, generator=torch.Generator().manual_seed(0))
    spectrum = MEL.spectrum(noise)
    power = (spectrum / level(MEL, MEL(noise)).mean(2, keepdim=True)).abs().square().mean(2)[0]
    within = power[5:360]
    assert 0.5 < float(within.min()) and float(within.max()) < 3.0


def test_split_and_whole_are_inverse(wave):
    spectrum = MEL.spectrum(wave)
    assert torch.equal(whole(split(spectrum)), spectrum)


def test_rounds_make_the_spectrum_consistent(wave):
    magnitude = MEL.spectrum(wave).abs()
    angle = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(0)) * 2 * math.pi

    def inconsistency(rounds: int) -> float:
        found = griffin_lim(MEL, magnitude, torch.polar(torch.ones_like(angle), angle), rounds)
        torch.testing.assert_close(found.abs(), magnitude, atol=1e-4, rtol=1e-4)
        made = MEL.spectrum(wave_of(MEL, found)).abs()
        return float((made - magnitude).norm() / magnitude.norm())

    first, few, many = map(inconsistency, (0, 4, 16))
    assert many < few < 0.7 * first


def test_the_true_phase_stays(wave):
    spectrum = MEL.spectrum(wave)
    found = griffin_lim(MEL, spectrum.abs(), unit(spectrum), 4)
    torch.testing.assert_close(found, spectrum, atol=2e-4, rtol=1e-3)


def test_a_round_reaches_no_further_than_it_says(wave):
    magnitude = MEL.spectrum(wave[:1]).abs()
    changed = magnitude.clone()
    changed[..., 100] += 1.0
    flat = torch.ones_like(magnitude).to(torch.complex64)
    one, other = (wave_of(MEL, griffin_lim(MEL, m, flat, 3)) for m in (magnitude, changed))
    touched = torch.nonzero((one - other)[0]).flatten() / MEL.hop
    far = reach(MEL, 4)
    assert 100 - far <= float(touched.min()) and float(touched.max()) <= 100 + far


def test_the_network_sees_its_context_and_no_more():
    denoiser = small()
    network = denoiser.network
    x = torch.randn(1, 1026, 60)
    cond = Condition(channels=torch.randn(1, 593, 60))
    changed = x.clone()
    changed[..., 30] += 1.0
    t = torch.tensor([0.3])
    difference = (denoiser(x, t, cond) - denoiser(changed, t, cond)).abs().amax((0, 1))
    touched = torch.nonzero(difference).flatten()
    assert int(touched.min()) >= 30 - network.context
    assert int(touched.max()) <= 30 + network.context
    assert len(touched) > network.context


def test_at_the_start_magnitudes_depend_on_the_mel_alone():
    denoiser, cond = small(), Condition(channels=torch.randn(1, 593, 20))
    t = torch.ones(1)
    first, second = (whole(denoiser(torch.randn(1, 1026, 20), t, cond)) for _ in range(2))
    out = FrameNet(width=16, dilations=(1,))
    untrained = whole(out(torch.randn(1, 1026, 20), t, cond))
    torch.testing.assert_close(untrained.abs(), torch.ones(1, 513, 20), atol=1e-4, rtol=0)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("x", "channels", "message"),
    [
        (torch.zeros(1, 1000, 4), torch.zeros(1, 593, 4), "x must have shape"),
        (torch.zeros(1, 1026, 4), torch.zeros(1, 80, 4), "cond.channels must have shape"),
        (torch.zeros(1, 1026, 4), None, "got None"),
    ],
)
def test_the_network_refuses_other_shapes(x, channels, message):
    with pytest.raises(ValueError, match=message):
        small()(x, torch.ones(1), Condition(channels=channels))


def test_the_loss_of_the_truth_is_nothing(wave):
    objective = Vocoding()
    spectrum = MEL.spectrum(wave)
    scale = level(MEL, MEL(wave))
    x_0 = split(spectrum / scale)
    t = torch.tensor([1.0, 0.1])
    zero = objective.loss(spectrum.abs(), scale, x_0, x_0, t)
    torch.testing.assert_close(zero, torch.zeros(2), atol=1e-3, rtol=0)
    turned = split(1j * whole(x_0))
    other = objective.loss(spectrum.abs(), scale, x_0, turned, t)
    assert float(other[0]) < 1e-3 < 0.1 < float(other[1])  # at t = 1 no phase is right


def test_what_lies_above_an_empty_band_is_not_judged(wave):
    objective = Vocoding()
    low = MEL.spectrum(wave)
    low[:, 365:] *= 1e-4  # as if recorded at 16 kHz
    scale = level(MEL, MEL.of_magnitude(low.abs()))
    x_0, t = split(low / scale), torch.ones(2)
    guess = whole(x_0)
    guess[:, 372:] += 3.0
    wrong_above = objective.loss(low.abs(), scale, x_0, split(guess), t)
    guess[:, 200:300] += 3.0
    wrong_below = objective.loss(low.abs(), scale, x_0, split(guess), t)
    assert float(wrong_above.max()) < 0.02 < float(wrong_below.min())


def test_the_objective_trains_every_parameter(wave):
    denoiser = small().train()
    batch = {"wave": wave[:, : 32 * 256]}
    losses = Vocoding(one_step=0.0)(denoiser, batch, torch.Generator().manual_seed(0))
    assert losses.shape == (2,)
    losses.mean().backward()
    assert all(bool(p.grad.abs().sum() > 0) for p in denoiser.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in denoiser.parameters())


@pytest.mark.parametrize(
    "numbers", [{"one_step": 1.5}, {"t_min": -0.1}, {"t_min": 0.7}, {"t_max": 1.2}]
)
def test_refused_objectives(numbers):
    with pytest.raises(ValueError, match=next(iter(numbers))):
        Vocoding(**numbers)


@pytest.mark.parametrize("steps", [1, 2, 4, 64])
def test_times(steps):
    times = step_times(steps)
    assert len(times) == steps + 1 and times[0] == 1 and times[-1] == 0
    assert bool((times.diff() < 0).all())


@pytest.mark.parametrize("settings", [Settings(1, 6), Settings(3, 2)])
def test_pieces_equal_the_whole(vocoder, wave, settings, monkeypatch):
    log_mel = MEL(wave)
    monkeypatch.setattr(model, "PIECE", 10_000)
    expected = vocoder(log_mel, settings)
    monkeypatch.setattr(model, "PIECE", 70)
    found = vocoder(log_mel, settings)
    assert found.shape == (2, (log_mel.shape[2] - 1) * 256)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 44_101])
def test_pieces_of_a_recording_equal_the_whole(vocoder, rate, speechlike, monkeypatch):
    samples = speechlike(12.0 if rate == 8000 else 4.0, rate, 2)
    settings, found = Settings(1, 1), []
    for size in (10_000, 50):
        monkeypatch.setattr(copying, "PIECE", size)
        blocks = np.array_split(samples, 7, axis=1)
        pieces = list(copying.copy_synthesis(vocoder, blocks, samples.shape, rate, settings))
        found.append(np.concatenate([part for _, part in pieces], axis=1))
    assert len(pieces) > 1
    assert found[0].shape == samples.shape
    np.testing.assert_allclose(*found, atol=1e-5)


def test_seed_and_batch(vocoder, wave):
    log_mel = MEL(wave)[..., :40]
    first = vocoder(log_mel, Settings(2, 2, seed=1))
    assert torch.equal(first, vocoder(log_mel, Settings(2, 2, seed=1)))
    assert not torch.equal(first, vocoder(log_mel, Settings(2, 2, seed=2)))
    alone = vocoder(log_mel[0], Settings(2, 2, seed=1))
    torch.testing.assert_close(first[:1], alone, atol=1e-4, rtol=0)


def test_silence_stays_silence(vocoder):
    log_mel = torch.full((80, 30), math.log(MEL.floor))
    assert not vocoder(log_mel).any()


@pytest.mark.parametrize(
    ("log_mel", "message"),
    [
        (torch.zeros(79, 10), r"\(B, 80, N\) .* got \(79, 10\)"),
        (torch.zeros(10, 80), "transpose it"),
        (torch.zeros(80, 2), "N >= 3"),
        (torch.zeros(80), "shape"),
        (torch.full((80, 10), math.nan), "NaN"),
        (torch.full((80, 10), -60.0), "no decibels"),
        (torch.zeros(80, 10, dtype=torch.int32), "floating point"),
    ],
)
def test_refused_mels(vocoder, log_mel, message):
    with pytest.raises(ValueError, match=message):
        vocoder(log_mel)


@pytest.mark.parametrize("numbers", [{"steps": 0}, {"steps": 65}, {"rounds": -1}])
def test_refused_settings(numbers):
    with pytest.raises(ValueError, match=next(iter(numbers))):
        Settings(**numbers)


def test_what_is_known_holds_mel_and_level(wave):
    log_mel = MEL(wave)
    scale = level(MEL, log_mel)
    found = known(log_mel, scale)
    assert found.shape == (2, 593, log_mel.shape[2])
    torch.testing.assert_close((found[:, :80] - 2.5) * 2, log_mel)
    torch.testing.assert_close(((found[:, 80:] - 1.7) * 3).exp(), scale)


def test_the_mel_of_a_gap_is_drawn_from_its_edges():
    frame = torch.arange(100.0).expand(1, 80, 100)
    broken = frame.clone()
    broken[..., 40:50] = -11.0
    # Frames 38 to 52 see samples from 40 to 50 hops; on a straight line nothing is lost.
    torch.testing.assert_close(bridge_mel(MEL, broken, 40 * 256, 50 * 256), frame)
    level_end = bridge_mel(MEL, frame, 90 * 256, 99 * 256)
    assert bool((level_end[..., 89:] == 88.0).all())


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_a_filled_gap_leaves_the_rest(vocoder, rate, speechlike):
    samples = torch.from_numpy(speechlike(1.5, rate, 2))
    start, stop = rate // 2, rate // 2 + rate // 20
    filled = fill(vocoder, samples, rate, start, stop, Settings(1, 2))
    fade = round(FADE * rate) + 1
    assert filled.shape == samples.shape
    assert torch.equal(filled[:, : start - fade], samples[:, : start - fade])
    assert torch.equal(filled[:, stop + fade :], samples[:, stop + fade :])
    assert not torch.allclose(filled[:, start:stop], samples[:, start:stop])


def test_a_steady_tone_goes_on_through_a_gap():
    """Whatever the network says of magnitudes, known phases on both sides fix a sine."""
    rate = 22_050
    tone = 0.3 * torch.sin(2 * math.pi * 430.66 * torch.arange(rate) / rate)[None].double()
    broken = tone.clone()
    start, stop = rate // 2, rate // 2 + 441
    broken[:, start:stop] = 0
    untrained = Vocoder(FromX0(FrameNet(width=8, dilations=(1,)), RectifiedFlow()), device="cpu")
    filled = fill(untrained, broken, rate, start, stop, Settings(1, 64))
    error = (filled - tone)[:, start:stop].norm() / tone[:, start:stop].norm()
    assert float(error) < 0.5


@pytest.mark.parametrize(("start", "stop"), [(-1, 10), (10, 10), (0, 2000), (5, 30_000)])
def test_refused_gaps(vocoder, start, stop):
    with pytest.raises(ValueError, match="gap"):
        fill(vocoder, torch.zeros(1, 2000).double(), 16_000, start, stop, Settings(1, 1))
