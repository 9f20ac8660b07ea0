"""The scores of an enhanced recording against the clean one, for mono float arrays of equal
length.

Every score takes `(reference, estimate)`, both `(T,)` at 16 kHz, full scale 1, and returns a
float; `nan` means undefined: a silent reference, or (PESQ, STOI, ESTOI) no speech found.
`DNSMOS` hears the estimate alone. What a silent estimate gets in the scores of files is `WORST`.

* SI-SDR: J. Le Roux et al., "SDR - half-baked or well done?", 2019, eq. 3, after removing both
  means; dB.
* PESQ: ITU-T P.862.2 wide-band mean opinion score, 1.04 to 4.64, by the `pesq` library.
* STOI, ESTOI: C. H. Taal et al., "An algorithm for intelligibility prediction of time-frequency
  weighted noisy speech", 2011; J. Jensen and C. H. Taal, "An algorithm for predicting the
  intelligibility of speech masked by modulated noise maskers", 2016; by `pystoi`; about 0 to 1.
* DNSMOS: C. K. A. Reddy, V. Gopal and R. Cutler, "DNSMOS P.835", 2022: the overall opinion score
  that a network foretells, 1 to 5, by `speechmos`, which holds its network.
* LSD, MR-STFT, PSNR and SSIM of the log-mel picture: `diff_audio.metrics.spectra`.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from diff_audio.metrics.pair import RATE, checked_pair, library
from diff_audio.metrics.spectra import FLOOR_DB, HOP, MELS, WINDOW, lsd, mel_psnr_ssim, mr_stft
from diff_core.evaluate import Summary, summarise

__all__ = [
    "BETTER",
    "DEFINITIONS",
    "BOUNDS",
    "METRICS",
    "NEEDS",
    "RATE",
    "WER",
    "WORST",
    "available",
    "bounded",
    "check_names",
    "dnsmos",
    "estoi",
    "lsd",
    "mean_score",
    "mel_psnr_ssim",
    "mr_stft",
    "pesq_wb",
    "score",
    "si_sdr",
    "stoi",
    "worst_of_silence",
]

WER = "wer"
"""The name of the word error rate, which `diff_audio.metrics.words` computes."""

DEFINITIONS = {
    "si_sdr": "scale-invariant signal-to-distortion ratio, zero mean (Le Roux et al. 2019), "
    "-100..100 dB",
    "pesq": "wide-band PESQ, ITU-T P.862.2 mean opinion score (pesq)",
    "estoi": "extended short-time objective intelligibility, 0..1 (Jensen, Taal 2016; pystoi)",
    "stoi": "short-time objective intelligibility, 0..1 (Taal et al. 2011; pystoi)",
    "dnsmos": "DNSMOS P.835 overall, 1..5, of the estimate alone (Reddy et al. 2022; speechmos)",
    "lsd": f"log-spectral distance, log10 power, Hann {WINDOW}, hop {HOP}, floor -{FLOOR_DB:g} dB",
    "mr_stft": "multi-resolution STFT distance, convergence + log size (Yamamoto et al. 2020)",
    "psnr": f"PSNR of the log-mel picture, {MELS} bands, {FLOOR_DB:g} dB under the "
    "reference's peak, at most 100 dB",
    "ssim": f"SSIM of the same picture, range {FLOOR_DB:g} dB, 7 x 7 window (scikit-image)",
    WER: "words wrong over words said, as Whisper tiny.en hears them (Radford et al. 2023); said "
    "is the transcript, or what it hears in REF; the mean is of all words",
}
"""What each column of `score` means."""

BETTER = {name: -1 if name in ("lsd", "mr_stft", WER) else 1 for name in DEFINITIONS}
"""1 where more is better, -1 where less is."""

BOUNDS = {"si_sdr": (-100.0, 100.0), "psnr": (-math.inf, 100.0)}
"""The lowest and the highest value, dB, of scores that may be infinite: of files and in means."""

WORST = {"si_sdr": -100.0, "pesq": 1.04, "estoi": 0.0, "stoi": 0.0, "dnsmos": 1.0}
"""What an estimate without a score gets, if it is the estimate's fault: it is silent."""

SCORES = "diff-audio[scores]"
"""What to install for the scores whose libraries all have wheels."""

NEEDS = {
    "pesq": ("pesq", "diff-audio[pesq]"),
    "estoi": ("pystoi", SCORES),
    "stoi": ("pystoi", SCORES),
    "dnsmos": ("speechmos", "diff-audio[dnsmos]"),
    "psnr": ("librosa", SCORES),
    "ssim": ("librosa", SCORES),
}
"""Module of a score whose library is optional, and what to install."""

METRICS = tuple(name for name in DEFINITIONS if name != WER)
"""Names of the scores of waves, in the order in which they are printed."""


def si_sdr(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return SI-SDR in dB; `inf` for an exact multiple of the reference, `-inf` for a silent or
    orthogonal estimate.
    """
    ref, est = checked_pair(reference, estimate)
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
    """Return wide-band PESQ; `rate` must be 16000. `nan` where no utterance is detected or under a
    quarter of a second.
    """
    if rate != RATE:
        raise ValueError(f"rate must be {RATE} for wide-band PESQ, got {rate}")
    pesq = library("pesq", "diff-audio[pesq]")
    ref, est = checked_pair(reference, estimate)
    if len(ref) < rate // 4 or not ref.any() or not est.any():
        return float("nan")
    try:
        return float(pesq.pesq(rate, ref.astype(np.float32), est.astype(np.float32), "wb"))
    except pesq.PesqError:
        return float("nan")


def estoi(reference: ArrayLike, estimate: ArrayLike, rate: int = RATE) -> float:
    """Return extended STOI at any `rate` (Hz); `nan` where under 30 frames (about 0.4 s) of speech
    are found.
    """
    return _intelligibility(reference, estimate, rate, extended=True)


def stoi(reference: ArrayLike, estimate: ArrayLike, rate: int = RATE) -> float:
    """Return STOI at any `rate` (Hz); `nan` as for ESTOI."""
    return _intelligibility(reference, estimate, rate, extended=False)


def _intelligibility(
    reference: ArrayLike, estimate: ArrayLike, rate: int, *, extended: bool
) -> float:
    import warnings

    pystoi = library("pystoi", SCORES)
    ref, est = checked_pair(reference, estimate)
    if not ref.any():
        return float("nan")
    if not est.any():  # the library correlates the noise that it adds against division by zero
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(ref, est, rate, extended=extended))
        except (RuntimeWarning, ValueError):
            return float("nan")


def dnsmos(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the DNSMOS P.835 overall score of the estimate; the reference only has to hold a
    sound.

    A sound under 9 s is repeated, one beyond full scale brought back to it.
    """
    network = library("speechmos.dnsmos", "diff-audio[dnsmos]")
    ref, est = checked_pair(reference, estimate)
    if not ref.any() or not est.any():
        return float("nan")
    return float(network.run(est / max(1.0, np.abs(est).max()), sr=RATE)["ovrl_mos"])


def available() -> tuple[str, ...]:
    """The names in `METRICS` that can be computed here: those whose library is installed."""
    return tuple(
        name
        for name in METRICS
        if name not in NEEDS or importlib.util.find_spec(NEEDS[name][0]) is not None
    )


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError for a name that is not in `METRICS`."""
    if unknown := set(names) - set(METRICS):
        raise ValueError(f"names are among {', '.join(METRICS)}, got {', '.join(sorted(unknown))}")


def score(
    reference: ArrayLike, estimate: ArrayLike, names: Sequence[str] = METRICS
) -> dict[str, float]:
    """The metrics `names` for one 16 kHz pair. Raises ImportError naming a library that is not
    installed.
    """
    check_names(names)
    single: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
        "si_sdr": si_sdr,
        "pesq": pesq_wb,
        "estoi": estoi,
        "stoi": stoi,
        "dnsmos": dnsmos,
        "lsd": lsd,
        "mr_stft": mr_stft,
    }
    scores = {name: single[name](reference, estimate) for name in names if name in single}
    if "psnr" in names or "ssim" in names:
        scores["psnr"], scores["ssim"] = mel_psnr_ssim(reference, estimate)
    return {name: scores[name] for name in names}


def worst_of_silence(
    reference: ArrayLike, estimate: ArrayLike, scores: Mapping[str, float]
) -> dict[str, float]:
    """Return the scores with the worst value (`WORST`) for those that the estimate has not.

    A score that is undefined even of the reference against itself stays NaN: the reference is
    silent, too short, or holds no speech.
    """
    filled = dict(scores)
    for name, value in scores.items():
        if math.isnan(value) and not math.isnan(score(reference, reference, [name])[name]):
            filled[name] = WORST[name]
    return filled


def bounded(name: str, value: float) -> float:
    """Return the score within `BOUNDS`: an infinite one is 100 or -100 dB."""
    low, high = BOUNDS.get(name, (-math.inf, math.inf))
    return value if math.isnan(value) else min(max(value, low), high)


def mean_score(name: str, values: Iterable[float]) -> Summary:
    """Return the mean of a score over files, and its 95 % Student-t interval.

    Infinite scores count as their bound. Files without the score are counted beside the mean
    (`diff_core.evaluate.summarise`).
    """
    return summarise(list(values), *BOUNDS.get(name, (-math.inf, math.inf)))
