"""Scores of an enhanced recording against the clean one, for mono float arrays of equal length.

Every score takes `(reference, estimate)`, both `(T,)` in any common unit (full scale 1 is usual),
and returns a float. `nan` means undefined: a silent reference, or (PESQ, ESTOI) no speech found.

* SI-SDR: J. Le Roux et al., "SDR - half-baked or well done?", 2019, eq. 3, after removing both
  means; dB.
* PESQ: ITU-T P.862.2 wide-band mean opinion score, 1.04 to 4.64, by the `pesq` library; 16 kHz.
* ESTOI: J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility of speech
  masked by modulated noise maskers", 2016, by the `pystoi` library; about 0 to 1.
* LSD: A. Gray and J. Markel, "Distance measures for speech processing", 1976: mean over frames of
  the root of the mean over frequencies of the squared difference of log10 power spectra.
* PSNR and SSIM of the spectrogram seen as a picture: decibels, from the reference's peak down to
  80 dB below it; SSIM by scikit-image with its defaults (7 x 7 window).

The spectra of the last two have a periodic Hann window of 512 samples moved by 128, whole frames
only; powers under the reference's peak - 80 dB are raised to it, so that digital silence does not
decide the score.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DEFINITIONS",
    "METRICS",
    "RATE",
    "align",
    "available",
    "estoi",
    "lsd",
    "mean_interval",
    "pesq_wb",
    "score",
    "si_sdr",
    "spectrogram_psnr_ssim",
]

RATE = 16_000
"""The sample rate at which recordings are scored, Hz."""

WINDOW, HOP, FLOOR_DB = 512, 128, 80.0

DEFINITIONS = {
    "si_sdr": "scale-invariant signal-to-distortion ratio, dB, zero mean (Le Roux et al. 2019)",
    "pesq": "wide-band PESQ, ITU-T P.862.2 mean opinion score (pesq)",
    "estoi": "extended short-time objective intelligibility, 0..1 (Jensen, Taal 2016; pystoi)",
    "lsd": f"log-spectral distance, log10 power, Hann {WINDOW}, hop {HOP}, floor -{FLOOR_DB:g} dB",
    "psnr": f"PSNR, dB, of the dB spectrogram, range {FLOOR_DB:g} dB under the reference's peak",
    "ssim": f"SSIM of the same picture, range {FLOOR_DB:g} dB, 7 x 7 window (scikit-image)",
}
"""What each column of `score` means."""

METRICS = tuple(DEFINITIONS)
"""Names of the scores, in the order in which they are printed."""

Wave = NDArray[np.float64]


def _library(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"this score needs the library {package}: pip install '{package}'"
        ) from error


def _pair(reference: ArrayLike, estimate: ArrayLike) -> tuple[Wave, Wave]:
    ref, est = np.asarray(reference, np.float64), np.asarray(estimate, np.float64)
    if ref.ndim != 1 or ref.shape != est.shape:
        raise ValueError(
            f"reference and estimate must be (T,) of equal length, got {ref.shape} and {est.shape}"
        )
    if ref.size == 0:
        raise ValueError("reference and estimate are empty")
    if not (np.isfinite(ref).all() and np.isfinite(est).all()):
        raise ValueError("reference and estimate must be finite, got NaN or Inf")
    return ref, est


def si_sdr(reference: ArrayLike, estimate: ArrayLike) -> float:
    """SI-SDR in dB; `inf` for an exact multiple of the reference, `-inf` for a silent or
    orthogonal estimate.
    """
    ref, est = _pair(reference, estimate)
    ref, est = ref - ref.mean(), est - est.mean()
    energy = float(ref @ ref)
    if energy == 0.0:
        return float("nan")
    target = (float(est @ ref) / energy) * ref
    error = est - target
    signal, distortion = float(target @ target), float(error @ error)
    if signal == 0.0:
        return float("-inf")
    return float("inf") if distortion == 0.0 else float(10.0 * np.log10(signal / distortion))


def pesq_wb(reference: ArrayLike, estimate: ArrayLike, rate: int = RATE) -> float:
    """Wide-band PESQ; `rate` must be 16000. `nan` where no utterance is detected or under a
    quarter of a second.
    """
    if rate != RATE:
        raise ValueError(f"rate must be {RATE} for wide-band PESQ, got {rate}")
    library = _library("pesq", "diff-audio[pesq]")
    ref, est = _pair(reference, estimate)
    if len(ref) < rate // 4 or not ref.any() or not est.any():
        return float("nan")
    try:
        return float(library.pesq(rate, ref.astype(np.float32), est.astype(np.float32), "wb"))
    except library.PesqError:
        return float("nan")


def estoi(reference: ArrayLike, estimate: ArrayLike, rate: int = RATE) -> float:
    """Extended STOI at any `rate` (Hz); `nan` where under 30 frames (about 0.4 s) of speech are
    found.
    """
    import warnings

    library = _library("pystoi", "pystoi")
    ref, est = _pair(reference, estimate)
    if not ref.any():
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(library.stoi(ref, est, rate, extended=True))
        except (RuntimeWarning, ValueError):
            return float("nan")


def _decibels(reference: Wave, estimate: Wave) -> tuple[Wave, Wave] | None:
    """Power spectrograms (F, N) in dB relative to the reference's peak, floored; `None` for a
    silent reference.
    """
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    powers: list[Wave] = []
    for wave in (reference, estimate):
        padded = np.pad(wave, (0, max(0, WINDOW - len(wave))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
        powers.append(np.abs(np.fft.rfft(frames * window, axis=-1).T) ** 2)
    peak = float(powers[0].max())
    if peak == 0.0:
        return None
    floor = 10.0 ** (-FLOOR_DB / 10.0)
    ref, est = (10.0 * np.log10(np.maximum(power / peak, floor)) for power in powers)
    return ref, est


def lsd(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Log-spectral distance in units of log10 power (bels); 0 is equality."""
    spectra = _decibels(*_pair(reference, estimate))
    if spectra is None:
        return float("nan")
    bels = (spectra[0] - spectra[1]) / 10.0
    return float(np.sqrt(np.mean(bels**2, axis=0)).mean())


def spectrogram_psnr_ssim(reference: ArrayLike, estimate: ArrayLike) -> tuple[float, float]:
    """PSNR in dB and SSIM of the dB spectrograms as pictures; the pictures span 80 dB, clipped at
    both ends.
    """
    metrics = _library("skimage.metrics", "scikit-image")
    spectra = _decibels(*_pair(reference, estimate))
    if spectra is None or min(spectra[0].shape) < 7:
        return float("nan"), float("nan")
    ref, est = (np.clip(picture, -FLOOR_DB, 0.0) for picture in spectra)
    error = float(np.mean((ref - est) ** 2))
    psnr = float("inf") if error == 0.0 else float(10.0 * np.log10(FLOOR_DB**2 / error))
    return psnr, float(metrics.structural_similarity(ref, est, data_range=FLOOR_DB))


def available() -> tuple[str, ...]:
    """The names in `METRICS` that can be computed here: all but PESQ, where its library is not
    installed.
    """
    return tuple(n for n in METRICS if n != "pesq" or importlib.util.find_spec("pesq") is not None)


def score(
    reference: ArrayLike, estimate: ArrayLike, names: Sequence[str] = METRICS
) -> dict[str, float]:
    """The metrics `names` for one 16 kHz pair. Raises ImportError naming a library that is not
    installed.
    """
    if unknown := set(names) - set(METRICS):
        raise ValueError(
            f"names must be among {', '.join(METRICS)}, got {', '.join(sorted(unknown))}"
        )
    single = {"si_sdr": si_sdr, "pesq": pesq_wb, "estoi": estoi, "lsd": lsd}
    scores = {name: single[name](reference, estimate) for name in names if name in single}
    if "psnr" in names or "ssim" in names:
        scores["psnr"], scores["ssim"] = spectrogram_psnr_ssim(reference, estimate)
    return {name: scores[name] for name in names}


def align(
    reference: ArrayLike, estimate: ArrayLike, max_lag: int = RATE * 150 // 1000
) -> tuple[Wave, int]:
    """Moves `estimate` (T,) by the whole number of samples, at most `max_lag`, that correlates
    best with `reference` (T,).

    Returns the moved estimate, zero-filled to the same length, and its lag (positive: it came
    late).
    """
    ref, est = _pair(reference, estimate)
    size = 1 << (2 * len(ref) - 1).bit_length()
    spectrum = np.fft.rfft(est, size) * np.conj(np.fft.rfft(ref, size))
    correlation = np.fft.irfft(spectrum, size)
    reach = min(max_lag, len(ref) - 1)
    lags = np.arange(-reach, reach + 1)
    lag = int(lags[np.argmax(correlation[lags])])
    moved = np.zeros_like(est)
    if lag >= 0:
        moved[: len(est) - lag] = est[lag:]
    else:
        moved[-lag:] = est[:lag]
    return moved, lag


def mean_interval(values: ArrayLike) -> tuple[float, float, int]:
    """Mean of the finite values, half-width of its 95 % Student-t interval (`nan` below two
    values), and their count.
    """
    finite = np.asarray(values, np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    count = len(finite)
    if count == 0:
        return float("nan"), float("nan"), 0
    if count == 1:
        return float(finite[0]), float("nan"), 1
    from scipy.stats import t

    half = t.ppf(0.975, count - 1) * finite.std(ddof=1) / np.sqrt(count)
    return float(finite.mean()), float(half), count
