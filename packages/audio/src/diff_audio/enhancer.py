"""The trained denoiser as an object: any rate, any channels, any length.

The network hears 16 kHz at one level, in windows with context; this module puts around it what a
recording needs: the split at 8 kHz (`resample.BandSplit`), one level for the whole recording and
all its channels (`level`), pieces that equal the whole (`chunked`), a gain for the band above
(`upper_band`), and the way back.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio import upper_band
from diff_audio.chunked import Window, cut, windows
from diff_audio.frame_noise import FrameNoise
from diff_audio.level import active_level, frame_power, gain_for
from diff_audio.resample import BandSplit
from diff_audio.spectral import Spectral
from diff_core.bridge import sample_bridge
from diff_core.condition import Condition
from diff_core.device import pick_device
from diff_core.sample import Ancestral, Ddim

__all__ = ["Denoiser", "Settings", "step_times"]

WEIGHTS = Path(__file__).parent / "weights" / "denoise.safetensors"
"""The checkpoint that comes with the package."""

# A piece is 10 s, or less where many channels at a high rate would make it large.
PIECE_SECONDS, PIECE_SAMPLES = 10.0, 4_000_000
MOST_CHANNELS = 64  # that are believed where there are more of them than samples
MAX_STEPS = 64

Array = NDArray[np.float64]
Wave = TypeVar("Wave", Tensor, NDArray[Any])


def step_times(steps: int) -> Tensor:
    """Times of `steps` passes, (steps + 1,), from 1 to 0 and denser near 0.

    t_i = (1 - i / steps)^1.7. Raises ValueError unless steps is 1 to 64.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {steps}")
    return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64) ** 1.7


@dataclass(frozen=True)
class Settings:
    """How to denoise.

    steps:    network passes, 1 to 64; 1 is the posterior mean, an ordinary enhancer
    samples:  posterior samples to average; more than 1 needs steps of 2 or more
    seed:     of the noise of the samples
    limit_db: at most this much is taken away, dB >= 0; None is no limit
    """

    steps: int = 1
    samples: int = 1
    seed: int = 0
    limit_db: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {self.steps}")
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")
        if self.samples > 1 and self.steps == 1:
            raise ValueError(
                "samples above 1 needs steps of 2 or more: a single pass is not random"
            )
        if self.limit_db is not None and not self.limit_db >= 0:
            raise ValueError(f"limit must be a number of dB, 0 or more, got {self.limit_db}")

    @property
    def dry(self) -> float:
        """Share of the input in the output, 0 to 1."""
        return 0.0 if self.limit_db is None else 10.0 ** (-self.limit_db / 20.0)


class Denoiser:
    """Removes noise from speech. `Denoiser.from_pretrained()(wave, rate)`.

    denoiser: a core denoiser D(x_t, t, Condition(channels=y)) on compressed spectra (B, 2, F, N),
              whose network has `context`, the frames on each side that it looks at; context = None
              keeps recordings whole
    spectral: the spectra that it was trained on
    """

    def __init__(
        self, denoiser: Any, *, spectral: Spectral | None = None, device: str = "auto"
    ) -> None:
        self.device = pick_device(device)
        self.denoiser = denoiser.to(self.device).eval()
        self.spectral = spectral or Spectral()

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike[str] | None = None, *, device: str = "auto"
    ) -> Denoiser:
        """The weights that come with the package, or a checkpoint of `python -m diff_audio.train
        denoise`.

        Raises ValueError for a checkpoint that cannot be used or a device that is not there.
        """
        from diff_audio.network import BandUNet
        from diff_core import io

        pick_device(device)
        model, _ = io.load(WEIGHTS if path is None else path, types={"BandUNet": BandUNet})
        return cls(model, device=device)

    def __call__(
        self,
        wave: Wave,
        rate: int,
        settings: Settings | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> Wave:
        """The denoised wave: same shape (T,) or (C, T), dtype, kind (numpy or torch) and level.

        rate: Hz, 1000 or more. on_progress is told the share done, 0 to 1.
        Raises ValueError for another shape, NaN or Inf, or an impossible rate.
        """
        given = wave if isinstance(wave, Tensor) else torch.from_numpy(np.asarray(wave))
        if given.ndim not in (1, 2):
            raise ValueError(f"wave must be (T,) or (C, T), got {tuple(given.shape)}")
        if given.ndim == 2 and MOST_CHANNELS < given.shape[0] > given.shape[1]:
            raise ValueError(
                f"wave must be (C, T), channels first; got {tuple(given.shape)}: transpose it"
            )
        if not given.is_floating_point():
            raise ValueError(f"wave must be floating point with full scale 1, got {given.dtype}")
        if given.shape[-1] == 0:
            return wave
        samples: Array = given.detach().cpu().double().reshape(-1, given.shape[-1]).numpy()
        if bad := int(np.count_nonzero(~np.isfinite(samples))):
            raise ValueError(f"wave has {bad} samples that are NaN or Inf")
        length = samples.shape[1]
        gain = self.measure([samples], samples.shape, rate)
        result = np.empty_like(samples)
        for piece, part in self.run([samples], samples.shape, rate, gain, settings or Settings()):
            result[:, piece.start : piece.stop] = part
            if on_progress:
                on_progress(piece.stop / length)
        out = torch.from_numpy(result).reshape(given.shape).to(given)
        return cast(Wave, out if isinstance(wave, Tensor) else out.numpy())

    def measure(self, blocks: Iterable[Array], shape: tuple[int, ...], rate: int) -> float:
        """First reading: the gain that brings a recording, all its channels together, to the
        network's level.

        blocks: consecutive (C, any) samples; shape: (C, T) of them all. 1 for silence.
        """
        channels, length = shape
        bands = BandSplit(rate)
        power: list[Tensor] = []
        for piece, seen in cut(
            blocks, windows(length, _piece(rate, channels), bands.context, bands.cell)
        ):
            core = bands.down(torch.from_numpy(seen).float())
            first = int((piece.start - piece.low) / bands.ratio)
            last = (
                core.shape[-1]
                if piece.stop == length
                else first + int((piece.stop - piece.start) / bands.ratio)
            )
            power.append(frame_power(core[:, first:last]).amax(0))
        return float(gain_for(active_level(torch.cat(power)))) if power else 1.0

    def run(
        self,
        blocks: Iterable[Array],
        shape: tuple[int, ...],
        rate: int,
        gain: float,
        settings: Settings,
    ) -> Iterator[tuple[Window, Array]]:
        """Second reading: the denoised pieces (C, stop - start), in order, and their places."""
        channels, length = shape
        bands = BandSplit(rate)
        context = self._context(bands, settings.steps)
        pieces = windows(length, max(length, 1), 0)
        if context is not None:
            pieces = windows(length, max(_piece(rate, channels), 2 * context), context, bands.cell)
        for piece, seen in cut(blocks, pieces):
            if not seen.any():
                yield piece, seen[:, piece.kept].copy()
                continue
            whole = torch.from_numpy(seen)
            clean = self._enhance(whole * gain, bands, piece.low, settings) / gain
            mixed = settings.dry * whole + (1.0 - settings.dry) * clean
            yield piece, mixed[:, piece.kept].numpy()

    def _context(self, bands: BandSplit, steps: int) -> int | None:
        frames = getattr(self.denoiser.network, "context", None)
        if frames is None:
            return None
        spectrum = self.spectral.n_fft + steps * int(frames) * self.spectral.hop
        gain = upper_band.WINDOW + (upper_band.REACH_FRAMES + 2) * self.spectral.hop
        return math.ceil((spectrum + gain) * bands.ratio) + bands.context

    @torch.inference_mode()
    def _enhance(self, whole: Tensor, bands: BandSplit, low: int, settings: Settings) -> Tensor:
        """Levelled samples (C, n), float64, from sample `low` of the recording on, denoised."""
        length = whole.shape[-1]
        core = bands.down(whole.float())
        first = int(low / bands.ratio) // self.spectral.hop
        estimate = self._estimate(core.to(self.device), first, settings).cpu()
        if not torch.isfinite(estimate).all():
            raise RuntimeError("the network returned NaN or Inf")
        if bands.ratio == 1:
            return estimate.double()
        high = whole - bands.up(core, length).double()
        gain = upper_band.upper_gain(
            core, estimate, self.spectral.hop, min(1.0, float(bands.ratio))
        )
        position = torch.arange(length, dtype=torch.float64) / (
            float(bands.ratio) * self.spectral.hop
        )
        return (
            bands.up(estimate, length).double()
            + upper_band.interpolate(gain.double(), position) * high
        )

    def _estimate(self, core: Tensor, first: int, settings: Settings) -> Tensor:
        """The 16 kHz waves (C, M), from frame `first` of the recording on, denoised."""
        noisy = self.spectral.analysis(core)
        cond = Condition(channels=noisy)
        # What is digital silence stays so, frame by frame.
        sounding = (noisy != 0).any(dim=(1, 2), keepdim=True)
        if settings.steps == 1:
            clean = self.denoiser(noisy, torch.ones((), device=self.device), cond)
            return self.spectral.synthesis(clean * sounding, core.shape[-1])
        sampler = Ddim() if settings.samples == 1 else Ancestral()
        times, total = step_times(settings.steps), torch.zeros_like(core)
        for index in range(settings.samples):
            noise = FrameNoise(settings.seed, index, first)
            clean = sample_bridge(self.denoiser, sampler, noisy, times, noise=noise, cond=cond)
            total += self.spectral.synthesis(clean * sounding, core.shape[-1])
        return total / settings.samples


def _piece(rate: int, channels: int) -> int:
    return min(int(PIECE_SECONDS * rate), max(1, PIECE_SAMPLES // channels))
