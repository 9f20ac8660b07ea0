"""The dial of quality and linked channels."""

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from diff_audio import denoise
from diff_audio.denoiser import estimate
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.estimate import link
from diff_audio.denoiser.settings import QUALITIES, Settings
from diff_core.bridge import SchroedingerBridge
from diff_core.denoiser import FromX0


class OwnGain(nn.Module):
    """A network that gives each channel a gain of its own."""

    context = 0

    def forward(self, x, time, cond=None):
        gain = torch.linspace(0.9, 0.3, len(x)).reshape(-1, 1, 1, 1)
        return gain * cond.channels


def own_gains() -> Denoiser:
    return Denoiser(FromX0(OwnGain(), SchroedingerBridge()), device="cpu")


def complex_spectra(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@given(st.integers(0, 9), st.integers(1, 4))
def test_linked_channels_share_the_mean_mask(seed, channels):
    noisy, clean = (complex_spectra(seed + 10 * k, channels, 2, 3, 5) for k in (0, 1))
    y, d = (torch.complex(s[:, 0], s[:, 1]).numpy() for s in (noisy, clean))
    mask = (d * y.conj()).sum(0) / (np.abs(y) ** 2).sum(0)
    found = link(noisy, clean)
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], mask * y, atol=1e-12)
    assert found.square().sum() <= clean.square().sum() * (1 + 1e-9)  # a projection


def test_a_sound_keeps_its_place_if_channels_are_linked():
    wave = 0.1 * np.random.default_rng(0).standard_normal(8000)
    pair = np.stack((wave, 0.5 * wave))
    for settings, same in ((Settings(), True), (Settings(linked=False), False)):
        left, right = own_gains()(pair, 16_000, settings)
        ratio = float(np.linalg.norm(right) / np.linalg.norm(left))
        assert (ratio == pytest.approx(0.5, rel=1e-3)) is same


def test_silence_beside_sound_stays_silent_and_one_channel_is_left_alone(model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(0.5)[0]
    alone = denoiser(wave, 16_000, Settings(linked=False))
    pair = denoiser(np.stack((wave, 0 * wave)), 16_000)
    assert not pair[1].any() and np.abs(pair[0] - alone).max() < 1e-6
    assert np.array_equal(alone, denoiser(wave, 16_000))


def test_mid_of_the_result_is_the_result_of_the_mid_for_equal_channels(model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(0.5)[0]
    pair = denoiser(np.stack((wave, wave)), 16_000)
    assert np.abs(pair.mean(0) - denoiser(wave, 16_000)).max() < 1e-6


def test_views_are_the_mean_over_grids_and_signs(model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = torch.from_numpy(speechlike(0.5)).float()

    def one(view):
        return estimate.estimate(
            denoiser.denoiser, denoiser.spectral, view, 0, Settings(linked=False)
        )[0]

    with torch.inference_mode():
        later = torch.nn.functional.pad(-wave, (64, 0))
        expected = (one(wave) - one(later)[:, 64:]) / 2
        found, variance = estimate.estimate(
            denoiser.denoiser, denoiser.spectral, wave, 0, Settings(views=2, linked=False)
        )
    assert variance is None and (found - expected).abs().max() < 1e-6
    assert (found - one(wave)).abs().max() > 1e-5


@pytest.mark.parametrize("settings", [Settings(views=3), Settings(linked=False)])
def test_pieces_equal_the_whole(settings, model, speechlike, monkeypatch):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(2.5, 16_000, channels=2)
    whole = denoiser(wave, 16_000, settings)
    monkeypatch.setattr("diff_audio.sound.measured.PIECE_SECONDS", 0.3)
    assert np.abs(denoiser(wave, 16_000, settings) - whole).max() < 1e-4 * np.abs(whole).max()


def test_a_draft_is_near(model, speechlike):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(0.5)
    full, draft = (denoiser(wave, 16_000, Settings.of(name)) for name in ("default", "draft"))
    assert np.linalg.norm(draft - full) < 0.02 * np.linalg.norm(full)


def test_qualities_are_settings():
    assert Settings.of("default") == Settings()
    assert Settings.of("best", seed=3).seed == 3
    calls = [Settings.of(quality).calls for quality in QUALITIES]
    assert calls == sorted(calls) and Settings(steps=2, samples=3).calls == 6
    with pytest.raises(ValueError, match="quality must be draft, default, best, got 'finest'"):
        Settings.of("finest")
    with pytest.raises(ValueError, match="views is .; above 1 needs 1 sample"):
        Settings(steps=2, samples=2, views=2)
    with pytest.raises(ValueError, match="views must be 1 to 64"):
        Settings(views=0)


def test_the_command_takes_a_quality_and_foretells_its_time(
    weights, tmp_path, speechlike, capsys, monkeypatch
):
    monkeypatch.setattr(denoise, "SHORT", 1.0)
    path = tmp_path / "in.wav"
    soundfile.write(path, speechlike(0.5, 16_000, 2).T, 16_000)
    words = [str(path), "--weights", str(weights), "--device", "cpu", "--quality"]
    assert denoise.main([*words, "best", "--json", "--separate"]) == 0
    told = capsys.readouterr()
    assert '"views": 4' in told.out and '"linked": false' in told.out
    assert "time: about" in told.err and "4 network calls" in told.err
    assert denoise.main([*words, "best", "--samples", "2", "--overwrite"]) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("follow", [True, False])
def test_separate_channels_are_denoised_as_if_each_were_alone(follow, model, speechlike):
    """A microphone 40 dB under the other is heard at the same level."""
    denoiser = Denoiser(model, follow=follow, device="cpu")
    wave = speechlike(2.5, 44_100, 2) * np.array([[1.0], [0.01]])
    settings = Settings(linked=False)
    together = denoiser(wave, 44_100, settings)
    for channel, alone in zip(together, wave, strict=True):
        expected = denoiser(alone, 44_100, settings)
        assert np.abs(channel - expected).max() < 1e-5 * np.abs(expected).max()
        assert np.abs(channel - alone).max() > 0.05 * np.abs(alone).max()


def test_separate_channels_of_a_stream_have_their_own_level(model, speechlike):
    denoiser = Denoiser(model, follow=True, device="cpu")
    wave = speechlike(3.0, 16_000, 2) * np.array([[1.0], [0.01]])
    streams = [denoiser.stream(16_000, n, Settings(linked=False)) for n in (2, 1)]
    both = np.concatenate((streams[0].process(wave), streams[0].flush()), axis=1)
    quiet = np.concatenate((streams[1].process(wave[1]), streams[1].flush()))
    assert np.abs(both[1] - quiet).max() < 1e-5 * np.abs(quiet).max()
