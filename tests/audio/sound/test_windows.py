"""Pieces of a recording: they cover it, and together they are the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import Settings
from diff_audio.sound import measured
from diff_audio.sound.resample import CELL, BandSplit, resample
from diff_audio.sound.windows import cut, windows
from diff_audio.spectra.frame_noise import FrameNoise

RATES = (8000, 11_025, 12_345, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000, 192_000)


@given(st.integers(0, 500), st.integers(1, 200), st.integers(0, 100), st.integers(1, 50))
def test_windows_cover_every_sample_once_with_their_context(length, size, context, cell):
    pieces = list(windows(length, size, context, cell))
    kept = [sample for piece in pieces for sample in range(piece.start, piece.stop)]
    assert kept == list(range(length))
    for piece in pieces:
        assert piece.low == 0 or piece.start - piece.low >= context
        assert piece.high == length or piece.high - piece.stop >= context
        assert piece.low % cell == 0 and piece.start % cell == 0


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.integers(1, 60),
    st.integers(0, 30),
)
def test_cut_gives_the_samples_of_each_window(blocks, size, context):
    wave = np.arange(2.0 * sum(blocks)).reshape(2, -1)
    parts = np.split(wave, np.cumsum(blocks)[:-1], axis=1)
    for piece, seen in cut(parts, windows(wave.shape[1], size, context)):
        np.testing.assert_array_equal(seen, wave[:, piece.low : piece.high])
        np.testing.assert_array_equal(seen[:, piece.kept], wave[:, piece.start : piece.stop])


def test_cut_says_where_the_blocks_end_too_early():
    with pytest.raises(ValueError, match="end at sample 3, expected at least 5"):
        list(cut([np.zeros((1, 3))], windows(5, 5, 0)))


def in_pieces(monkeypatch, seconds, denoiser, wave, rate, settings):
    monkeypatch.setattr(measured, "PIECE_SECONDS", seconds)
    return denoiser(wave, rate, settings)


@pytest.mark.parametrize("rate", RATES)
def test_pieces_together_equal_the_whole(rate, model, speechlike, monkeypatch):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(3.3, rate, channels=2)
    whole = in_pieces(monkeypatch, 1000.0, denoiser, wave, rate, Settings())
    pieces = in_pieces(monkeypatch, 0.5, denoiser, wave, rate, Settings())
    assert np.abs(whole - wave).max() > 0.01  # the network does something
    assert np.abs(pieces - whole).max() < 1e-4 * np.abs(whole).max()  # -80 dB


@pytest.mark.parametrize("settings", [Settings(steps=4), Settings(steps=2, samples=2, seed=5)])
def test_pieces_equal_the_whole_for_several_passes_and_samples(
    settings, model, speechlike, monkeypatch
):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(3.3)
    whole = in_pieces(monkeypatch, 1000.0, denoiser, wave, 16_000, settings)
    pieces = in_pieces(monkeypatch, 0.5, denoiser, wave, 16_000, settings)
    assert np.abs(pieces - whole).max() < 1e-4 * np.abs(whole).max()


def test_too_little_context_would_show(model, speechlike, monkeypatch):
    denoiser = Denoiser(model, device="cpu")
    wave = speechlike(3.3)
    whole = in_pieces(monkeypatch, 1000.0, denoiser, wave, 16_000, Settings())
    monkeypatch.setattr(Denoiser, "context", lambda *_: 0)
    pieces = in_pieces(monkeypatch, 0.5, denoiser, wave, 16_000, Settings())
    assert np.abs(pieces - whole).max() > 1e-3 * np.abs(whole).max()


@settings(max_examples=20)
@given(st.integers(0, 300), st.integers(1, 200))
def test_noise_of_a_frame_does_not_depend_on_the_piece(first, count):
    whole = FrameNoise(7, 0, 0)(1, torch.zeros(2, 2, 5, 512))
    part = FrameNoise(7, 0, first)(1, torch.zeros(2, 2, 5, count))
    assert torch.equal(part, whole[..., first : first + count])


def test_noise_differs_between_seeds_samples_steps_and_rows_and_is_standard():
    like = torch.zeros(2, 2, 64, 640)
    draws = [
        FrameNoise(0, 0, 0)(0, like),
        FrameNoise(1, 0, 0)(0, like),
        FrameNoise(0, 1, 0)(0, like),
        FrameNoise(0, 0, 0)(1, like),
    ]
    rows = torch.cat(draws).flatten(1)
    covariance = rows @ rows.T / rows.shape[1]
    assert torch.allclose(covariance, torch.eye(len(rows)), atol=0.03)


@pytest.mark.parametrize("rate", RATES)
def test_bands_add_up_and_begin_at_cells(rate, speechlike):
    bands = BandSplit(rate)
    wave = torch.from_numpy(speechlike(0.7, rate))
    low = bands.up(bands.down(wave), wave.shape[-1])
    assert low.shape == wave.shape
    assert bands.cell / bands.ratio == CELL
    start = 3 * bands.cell
    part = bands.down(wave[:, start:])
    reach = 4 * CELL
    assert torch.allclose(part[:, reach:], bands.down(wave)[:, 3 * CELL + reach :], atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_resampled_tones_stay_tones_of_their_frequency_and_size(rate):
    """Against the tone itself, computed at the other rate."""
    tone, low = (np.sin(2 * np.pi * 1234.5 * np.arange(r) / r) for r in (rate, 16_000))
    found = resample(torch.from_numpy(tone), rate, 16_000).numpy()
    assert len(found) == len(low)
    assert np.abs(found - low)[500:-500].max() < 1e-3


def test_resampling_removes_what_would_alias():
    tone = torch.sin(2 * torch.pi * 9000 * torch.arange(48_000.0) / 48_000)
    assert resample(tone, 48_000, 16_000)[500:-500].abs().max() < 1e-2
