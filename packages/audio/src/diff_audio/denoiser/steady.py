"""The steady noise of the band that the network does not hear: hiss, and whines.

Its floor is a low quantile over time of the power (after V. Stahl, A. Fischer and R. Bippus,
"Quantile based noise estimation for spectral subtraction and Wiener filtering", 2000), smoothed
over frequency, within half a second to each side. A whine is a line whose smallest power in that
time stands far over that of its neighbours. The gain is Wiener's, 1 - N / P. It is believed as far
as the network, which hears the band below, finds a moment without speech nearby: what the network
keeps is not taken for noise. No value depends on more than `reach` samples to either side: pieces
equal the whole.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from diff_audio.denoiser.upper_band import interpolate

__all__ = ["LEAST", "reach", "without_steady_noise"]

LEAST = 0.03
"""The smallest gain: -30 dB."""

HOP_SECONDS, OVERLAP = 0.008, 4  # of the spectra: windows of 32 ms
BOTTOM_HZ = 7000.0  # nothing lies lower: the resampler's slope ends there
SPARE = 2  # every second frame counts for the floor: they overlap
PLACE = 8  # frames between the places where it is found: 64 ms
SPAN = 56  # frames to either side that count for it: 0.45 s
BAND = 16  # bins of 31 Hz to either side over which power is smoothed
STRIDE = 8  # bins between those whose floor is found
QUANTILE, BIAS = 0.1, 0.75  # of smoothed power, and what that is of the mean of noise
MORE = 1.25  # times the floor is taken away: its excursions are no speech
LINE, NEAR = 30.0, 12  # times the median of the bins up to so far away, for a whine
WIDE = 2  # bins to either side that a line fills


def reach(rate: int) -> int:
    """Return the samples on each side on which the result depends, at `rate` Hz."""
    return (SPAN + PLACE + OVERLAP) * _hop(rate)


def _hop(rate: int) -> int:
    return max(1, round(rate * HOP_SECONDS))


def without_steady_noise(
    high: Tensor, rate: int, low: int, gain: Tensor, trust: Tensor, frame: float, *, linked: bool
) -> Tensor:
    """Return the band above the network's, (C, n), without its steady noise.

    rate, low: Hz, and the place of the first sample in the recording
    gain:      the network's gain g (C, N) at places `frame` samples apart
    trust:     t, 0 to 1, (C, N): how far the steady noise may be taken for noise
    linked:    one Wiener gain w for all channels

    The gain is g^(1 - t/2) (1 - t (1 - w)): the network's alone without trust. With it, half of
    the network's in decibels, for it does not know how strong the speech is up there.
    """
    hop = _hop(rate)
    size, lead = OVERLAP * hop, low % (PLACE * hop)
    length = high.shape[-1]
    behind = -(lead + length) % (PLACE * hop)
    window = torch.hann_window(size, dtype=high.dtype)
    spectrum = torch.stft(
        functional.pad(high, (lead, behind)),
        size, hop, window=window, center=True, pad_mode="constant", return_complex=True,
    )  # fmt: skip
    middles = torch.arange(spectrum.shape[-1]) * hop - lead
    position = (middles / frame).clamp(min=0.0)
    total = interpolate(gain, position).unsqueeze(1)  # (C, 1, F)
    bottom = min(int(BOTTOM_HZ * size / rate), spectrum.shape[1] - 1)
    power = spectrum[:, bottom:].abs().square()
    power = power.sum(0, keepdim=True) if linked else power
    wiener = _gain(power, (middles >= 0) & (middles < length))
    sure = interpolate(trust, position).unsqueeze(1)
    both = total ** (1.0 - sure / 2.0) * (1.0 - sure * (1.0 - wiener))
    factors = torch.cat((total.expand(-1, bottom, -1), both), dim=1)
    out = torch.istft(
        spectrum * factors, size, hop, window=window, center=True, length=lead + length
    )
    return out[:, lead:]


def _gain(power: Tensor, inside: Tensor) -> Tensor:
    """Return Wiener's gain (R, B, F), at least `LEAST`, from powers (R, B, F); `inside` (F,) marks
    the frames that count.
    """
    lines = _lines(power, inside)
    near = (torch.arange(power.shape[-1]) + PLACE // 2) // PLACE
    lines = lines[..., near.clamp(max=lines.shape[-1] - 1)]
    kept = (~lines).to(power.dtype)
    smooth = _over_bins(power * kept) / _over_bins(kept).clamp(min=1e-3)
    floor = _floor(smooth, inside)
    wiener = 1.0 - MORE * floor / smooth.clamp(min=1e-30)
    return torch.where(lines, LEAST, wiener.clamp(min=LEAST))


def _lines(power: Tensor, inside: Tensor) -> Tensor:
    """Return where steady lines are, (R, B, P), at places `PLACE` frames apart."""
    pairs = functional.avg_pool1d(power, SPARE, ceil_mode=True)
    pairs = pairs.masked_fill(~inside[::SPARE], torch.inf)
    span = SPAN // SPARE
    least = -functional.max_pool1d(-pairs, 2 * span + 1, PLACE // SPARE, span)
    padded = functional.pad(least.transpose(1, 2), (NEAR, NEAR), mode="replicate")
    usual = padded.unfold(-1, 2 * NEAR + 1, 1).median(-1).values.transpose(1, 2)
    found = (least > LINE * usual) & torch.isfinite(least)
    wide = functional.max_pool1d(found.transpose(1, 2).to(power.dtype), 2 * WIDE + 1, 1, WIDE)
    return wide.transpose(1, 2) > 0


def _floor(smooth: Tensor, inside: Tensor) -> Tensor:
    """Return the floor (R, B, F) of smoothed powers (R, B, F)."""
    span = SPAN // SPARE
    few = smooth[:, ::STRIDE, ::SPARE].masked_fill(~inside[::SPARE], torch.nan)
    seen = functional.pad(few, (span, span), value=torch.nan)
    seen = seen.unfold(-1, 2 * span + 1, PLACE // SPARE)  # (R, B / STRIDE, P, 2 span + 1)
    held = torch.nanquantile(seen, QUANTILE, dim=-1).nan_to_num() / BIAS
    position = torch.arange(smooth.shape[-1], dtype=smooth.dtype) / PLACE
    floor = interpolate(held.flatten(0, 1), position).unflatten(0, held.shape[:2])
    return floor.repeat_interleave(STRIDE, dim=1)[:, : smooth.shape[1]]


def _over_bins(power: Tensor) -> Tensor:
    rows = power.transpose(1, 2)
    return functional.avg_pool1d(rows, 2 * BAND + 1, 1, BAND, count_include_pad=False).transpose(
        1, 2
    )
