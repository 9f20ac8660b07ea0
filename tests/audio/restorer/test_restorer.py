"""The restorer on arrays: pieces equal the whole, draws, rates, what it may not invent."""

import numpy as np
import pytest
import torch

from diff_audio.restorer import Settings
from diff_audio.restorer import restorer as module
from diff_audio.restorer.scale import from_unit, to_unit
from diff_audio.restorer.settings import step_times
from diff_audio.sound.mark import find
from diff_core.condition import Condition
from small_restorer import small_denoiser, small_restorer


@pytest.fixture(scope="module")
def restorer():
    return small_restorer()


def test_the_network_looks_as_far_as_it_says_and_no_further():
    denoiser = small_denoiser().double()
    network = denoiser.network
    y = torch.randn(1, 80, 160, dtype=torch.float64)
    x = torch.randn_like(y)
    changed = x.clone()
    changed[..., 80:84] += 1

    def made(state):
        time = torch.full((1,), 0.5, dtype=torch.float64)
        return network.unet(state, time, Condition(channels=y))

    touched = (made(changed) - made(x)).abs().amax(1)[0].nonzero()[:, 0]
    assert 80 - network.context <= touched.min() and touched.max() < 84 + network.context
    assert touched.max() - touched.min() > network.context  # and not much less


def test_an_untrained_network_is_a_bypass():
    denoiser, y = small_denoiser(trained=False), torch.randn(2, 80, 21)
    assert torch.equal(denoiser(torch.randn_like(y), torch.ones(2), Condition(channels=y)), y)
    with pytest.raises(ValueError, match="damaged mel"):
        denoiser(y, torch.ones(2), Condition(channels=y[:1]))


def test_the_scale_has_an_inverse_and_a_floor(restorer):
    log_mel = torch.linspace(-11.5, 2.0, 50)
    assert torch.allclose(from_unit(to_unit(log_mel), restorer.mel), log_mel, atol=1e-6)
    assert from_unit(torch.tensor(-90.0), restorer.mel) == pytest.approx(np.log(1e-5))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_pieces_equal_the_whole(restorer, speechlike, rate, monkeypatch):
    wave, settings = speechlike(3.0, rate, 2), Settings(steps=2, draws=2, seed=3, rounds=2)
    gain = restorer.measure([wave], wave.shape, rate)

    def made():
        return list(restorer.run([wave], wave.shape, rate, gain, settings))

    (whole,) = made()
    monkeypatch.setattr(module, "PIECE", 60)
    parts = made()
    assert len(parts) > 2
    assert [part.start for part in parts[1:]] == list(
        np.cumsum([part.wave.shape[1] for part in parts])[:-1]
    )
    joined = np.concatenate([part.wave for part in parts], axis=1)
    assert joined.shape == (2, restorer.length_for(wave.shape[1], rate))
    assert np.abs(joined - whole.wave).max() < 2e-4 * np.abs(whole.wave).max()
    spread = np.concatenate([part.spread for part in parts], axis=1)
    assert np.abs(spread - whole.spread[:, : spread.shape[1]]).max() < 1e-3


@pytest.mark.slow
def test_the_level_of_the_input_is_that_of_the_result(restorer, speechlike):
    wave = speechlike(1.0, 16_000)[0]
    loud, rate = restorer(wave, 16_000, Settings(rounds=0))
    quiet, _ = restorer(0.01 * wave, 16_000, Settings(rounds=0))
    assert rate == 22_050 and loud.ndim == 1
    assert np.abs(100 * quiet - loud).max() < 0.02 * np.abs(loud).max()


def test_draws_depend_on_the_seed_and_a_mean_does_not(restorer):
    log_mel = torch.randn(1, 80, 16) - 5

    def drawn(**settings):
        return restorer.draw(log_mel, 0, Settings(**settings))

    many = drawn(steps=3, draws=3, seed=1)
    assert many.shape == (3, 1, 80, 16)
    assert torch.equal(many[:1], drawn(steps=3, seed=1))
    assert not torch.equal(many[0], many[1]) and not torch.equal(many[:1], drawn(steps=3, seed=2))
    assert torch.equal(drawn(steps=1, seed=1), drawn(steps=1, seed=2))


def test_nothing_is_made_of_silence(restorer):
    out, rate = restorer(np.zeros((2, 9_000)), 44_100)
    assert out.shape == (2, 9_000) and rate == 44_100 and not out.any()
    assert restorer(np.zeros(0), 8_000)[0].shape == (0,)
    assert np.isfinite(restorer(np.array([0.3]), 16_000)[0]).all()


@pytest.mark.slow
def test_the_result_bears_the_mark(restorer, speechlike):
    out, rate = restorer(speechlike(6.0, 22_050)[0], 22_050)
    assert {found.kind for found in find(out, rate)} == {"restore"}


def test_settings_and_waves_out_of_range_are_refused(restorer):
    for wrong in ({"steps": 0}, {"steps": 9}, {"draws": 0}, {"draws": 2, "steps": 1}):
        with pytest.raises(ValueError, match="steps|draws"):
            Settings(**wrong)
    assert step_times(4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    with pytest.raises(ValueError, match="finite"):
        restorer(np.array([np.nan]), 16_000)
    with pytest.raises(ValueError, match="1000 to 768000"):
        restorer(np.zeros(100), 10)
