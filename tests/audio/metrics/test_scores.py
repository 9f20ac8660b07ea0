"""Scores against closed forms, independent implementations, and what must not change them."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from diff_audio import metrics
from diff_audio.metrics.alignment import overlap


def noise(seed: int, length: int = 16_000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(length)


@given(st.floats(-30, 30), st.floats(0.01, 100), st.floats(-1, 1))
def test_si_sdr_of_orthogonal_error_is_its_energy_ratio(decibels, scale, offset):
    signal = noise(0) - noise(0).mean()
    error = noise(1) - noise(1).mean()
    error -= error @ signal / (signal @ signal) * signal
    error *= np.linalg.norm(signal) / np.linalg.norm(error) * 10 ** (-decibels / 20)
    found = metrics.si_sdr(signal + offset, scale * (signal + error) - offset)
    assert found == pytest.approx(decibels, abs=1e-6)


def test_si_sdr_at_its_limits():
    assert metrics.si_sdr(noise(0), np.zeros(16_000)) == -np.inf
    assert metrics.si_sdr(noise(0), 3 * noise(0)) > 250
    assert np.isnan(metrics.si_sdr(np.zeros(100), noise(0, 100)))


def decibel_pictures(reference, estimate):
    """The spectrograms by scipy, in the documented definition."""
    pictures = []
    for wave in (reference, estimate):
        _, _, spectrum = scipy.signal.stft(
            wave, window="hann", nperseg=512, noverlap=384, boundary=None, padded=False
        )
        pictures.append(np.abs(spectrum) ** 2)
    peak = pictures[0].max()
    return [10 * np.log10(np.maximum(p / peak, 1e-8)) for p in pictures]


def test_lsd_equals_the_definition_by_scipy():
    ref, est = noise(0), noise(0) + 0.3 * noise(1)
    a, b = decibel_pictures(ref, est)
    expected = np.sqrt((((a - b) / 10) ** 2).mean(axis=0)).mean()
    assert metrics.lsd(ref, est) == pytest.approx(expected, rel=1e-9)


def test_lsd_of_a_gain_is_the_gain_in_bels():
    assert metrics.lsd(noise(0), 10 * noise(0)) == pytest.approx(2.0, abs=1e-9)


def test_psnr_and_ssim_equal_scikit_image_on_librosas_mel_spectrogram():
    ref, est = noise(0), noise(0) + 0.3 * noise(1)
    mels = [
        librosa.feature.melspectrogram(
            y=wave, sr=16_000, n_fft=512, hop_length=128, n_mels=80, center=False
        )
        for wave in (ref, est)
    ]
    a, b = (np.clip(10 * np.log10(mel / mels[0].max()), -80, 0) for mel in mels)
    psnr, ssim = metrics.mel_psnr_ssim(ref, est)
    assert psnr == pytest.approx(10 * np.log10(80**2 / ((a - b) ** 2).mean()), rel=1e-5)
    assert ssim == pytest.approx(structural_similarity(a, b, data_range=80), rel=1e-5)


def test_mr_stft_is_that_of_torch():
    """Parallel WaveGAN's terms by torch.stft, where the floor does not matter."""
    waves = [torch.from_numpy(wave) for wave in (noise(0), noise(0) + 0.5 * noise(1))]
    total = 0.0
    for size, hop, window in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        hann = torch.hann_window(window, dtype=torch.float64)
        ref, est = (
            torch.stft(
                torch.nn.functional.pad(wave, ((size - window) // 2,) * 2),
                size, hop, window, hann, center=False, return_complex=True,
            ).abs()
            for wave in waves
        )  # fmt: skip
        total += float((ref - est).norm() / ref.norm() + (ref.log() - est.log()).abs().mean()) / 3
    assert metrics.mr_stft(*(wave.numpy() for wave in waves)) == pytest.approx(total, rel=1e-3)


def test_mr_stft_of_a_gain_is_known():
    assert metrics.mr_stft(noise(0), 3 * noise(0)) == pytest.approx(2 + np.log(3), rel=1e-9)


def test_dnsmos_hears_noise(speechlike):
    wave = speechlike(3.0)[0]
    clean, noisy = (metrics.dnsmos(wave, wave + g * noise(1, len(wave))) for g in (0.0, 0.5))
    assert 1 <= noisy < clean <= 5
    assert metrics.dnsmos(wave, 100 * wave) >= 1  # beyond full scale
    assert np.isnan(metrics.dnsmos(wave, 0 * wave))


def test_what_is_better_is_known_of_every_score(speechlike):
    wave = speechlike(3.0)[0]
    rows = [
        metrics.score(wave, wave + g * noise(1, len(wave)), list(metrics.available()))
        for g in (0.003, 0.3)
    ]
    for name in metrics.available():
        assert metrics.BETTER[name] * (rows[0][name] - rows[1][name]) > 0, name


def test_equal_recordings_have_perfect_scores(speechlike):
    wave = speechlike(3.0)[0]
    perfect = {"si_sdr": np.inf, "estoi": 1.0, "stoi": 1.0, "lsd": 0.0, "mr_stft": 0.0}
    perfect |= {"psnr": np.inf, "ssim": 1.0}
    found = metrics.score(wave, wave, list(perfect))
    assert found == pytest.approx(perfect, abs=1e-6)


def test_estoi_falls_with_noise(speechlike):
    wave = speechlike(3.0)[0]
    scores = [metrics.estoi(wave, wave + g * noise(1, len(wave))) for g in (0.001, 0.1, 1.0)]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0.8 > 0.5 > scores[2]


@pytest.mark.pesq
def test_pesq_of_equal_recordings_is_the_top_of_the_scale(speechlike):
    wave = speechlike(3.0)[0]
    assert metrics.pesq_wb(wave, wave) == pytest.approx(4.644, abs=0.001)
    assert metrics.pesq_wb(wave, wave + 0.1 * noise(1, len(wave))) < 4


@pytest.mark.parametrize("name", [n for n in metrics.METRICS if n not in ("pesq", "dnsmos")])
def test_a_silent_reference_has_no_score(name):
    assert np.isnan(metrics.score(np.zeros(16_000), noise(0), [name])[name])


@pytest.mark.parametrize(
    ("reference", "estimate", "said"),
    [
        (np.ones(5), np.ones(6), "equal length"),
        (np.ones((2, 5)), np.ones((2, 5)), "(T,)"),
        (np.ones(0), np.ones(0), "empty"),
        (np.ones(5), np.full(5, np.nan), "NaN"),
    ],
)
def test_what_cannot_be_compared_is_refused(reference, estimate, said):
    with pytest.raises(ValueError, match="reference and estimate") as caught:
        metrics.si_sdr(reference, estimate)
    assert said in str(caught.value)


@given(st.integers(-2400, 2400))
def test_align_undoes_a_delay(lag):
    wave = np.pad(noise(3, 8000), 2400)
    moved, found = metrics.align(wave, np.roll(wave, lag))
    assert found == lag
    np.testing.assert_array_equal(moved, wave)


def test_align_looks_no_further_than_told():
    wave = np.pad(noise(3, 8000), 2400)
    assert abs(metrics.align(wave, np.roll(wave, 500), max_lag=100)[1]) <= 100


def test_interval_covers_the_true_mean_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        found = metrics.mean_score("pesq", rng.standard_normal(5))
        assert found.count == 5
        hits += abs(found.mean) <= found.half
    assert hits / 2000 == pytest.approx(0.95, abs=0.02)


def test_a_mean_counts_what_is_undefined_and_bounds_what_is_infinite():
    found = metrics.mean_score("estoi", [1.0, np.nan, 3.0])
    assert (found.mean, found.count, found.undefined) == (2.0, 2, 1) and found.half > 0
    assert metrics.mean_score("estoi", []).count == 0
    found = metrics.mean_score("si_sdr", [10.0, 12.0, -np.inf])
    assert (found.mean, found.count, found.bounded) == pytest.approx((-26.0, 3, 1))
    assert metrics.mean_score("psnr", [np.inf]).mean == 100


@given(st.lists(st.floats(-60, 60), min_size=1), st.integers(1, 3))
def test_a_silent_file_never_raises_a_mean(values, silent):
    whole = metrics.mean_score("si_sdr", [*values, *[-np.inf] * silent])
    assert whole.mean < metrics.mean_score("si_sdr", values).mean
    assert whole.count == len(values) + silent


@given(st.integers(0, 2000), st.integers(0, 9), st.floats(0.0, 3.0), st.sampled_from([-1, 1]))
def test_no_delay_that_is_undone_makes_a_pair_worse(lag, seed, loud, polarity):
    clean = np.cumsum(noise(seed, 8000)) * np.hanning(8000)  # like itself at many lags
    est = polarity * np.roll(clean, lag) + loud * np.abs(clean).mean() * noise(seed + 1, 8000)
    delay = metrics.delay_of(clean[None], est[None])
    ref, moved = overlap(clean[None], est[None], delay.lag)
    assert metrics.si_sdr(ref[0], moved[0]) >= metrics.si_sdr(clean, est) - 0.5


def test_a_turned_polarity_is_no_delay(speechlike):
    wave = speechlike(2.0)[0]
    assert metrics.align(wave, -(wave + 0.05 * noise(1, len(wave))))[1] == 0
    assert metrics.align(wave, -np.roll(wave, 320))[1] == 320


@pytest.mark.parametrize("seed", [1, 3])
def test_a_wave_of_other_phases_is_not_moved(seed):
    """As a vocoder's: the spectra agree without a delay, and the waves somewhere by chance."""
    path = Path(__file__).parents[3] / "examples" / "speech_clean.wav"
    wave, _ = soundfile.read(path, frames=48_000)
    magnitude = np.abs(librosa.stft(wave, n_fft=1024, hop_length=256))
    other = librosa.griffinlim(
        magnitude, n_iter=16, hop_length=256, length=len(wave), random_state=seed
    )
    assert metrics.align(wave, other)[1] == 0
