"""The trained vocoder as an object: log-mel in, wave out, any length."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_audio.spectra.frame_noise import FrameNoise
from diff_audio.spectra.mel import Mel
from diff_audio.vocoder.envelope import known, level, split, whole
from diff_audio.vocoder.network import FrameNet
from diff_audio.vocoder.phase import Keep, griffin_lim, reach, unit, wave_of
from diff_audio.weights import path_of
from diff_core.condition import Condition
from diff_core.denoiser import Denoise, Denoiser, FromX0
from diff_core.device import pick_device
from diff_core.hub import Pretrained, locate
from diff_core.io import Card, CheckpointError, as_checkpoint_error, load
from diff_core.progress import Progress
from diff_core.sample import Consistency, sample

__all__ = ["Settings", "Vocoder", "step_times"]

PIECE = 2048  # hops, about 24 s: many beside the context that each piece is seen with
MAX_STEPS, MAX_ROUNDS = 64, 1000
_MOST = 6.0  # ln of a band's magnitude; full scale reaches about 2.5
LATER = 0.3  # time of the second pass: the first has settled all but the fine structure


def step_times(steps: int) -> Tensor:
    """Return the times of `steps` passes, (steps + 1,): 1, then in equal steps from LATER to 0.

    Raises ValueError unless steps is 1 to 64.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {steps}")
    later = torch.linspace(LATER, 0.0, steps, dtype=torch.float64) if steps > 1 else torch.zeros(1)
    return torch.cat((torch.ones(1, dtype=torch.float64), later))


@dataclass(frozen=True)
class Settings:
    """The settings of the vocoder.

    steps:  network passes, 1 to 64
    rounds: projections after the first pass, in which phases settle for its magnitudes
            (`phase.griffin_lim`), 0 to 1000
    seed:   the seed of the noise that the flow starts from
    """

    steps: int = 1
    rounds: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {self.steps}")
        if not 0 <= self.rounds <= MAX_ROUNDS:
            raise ValueError(f"rounds must be 0 to {MAX_ROUNDS}, got {self.rounds}")


class Projected(Denoiser):
    """A denoiser of whitened spectra whose answers are spectra of waves.

    After the first pass, which knows nothing of phases, phases that fit its magnitudes are sought
    in `rounds` rounds; after each later one a single projection makes a spectrum of a wave of what
    it says. Each time `keep` puts back what is known of the wave. It exists for the length of one
    sampling, with the level (B, F, N) of that batch.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        mel: Mel,
        level: Tensor,
        rounds: int,
        keep: Keep | None = None,
    ) -> None:
        super().__init__(denoiser.schedule)
        self.denoiser, self.mel, self.level = denoiser, mel, level
        self.rounds, self.keep = rounds, keep

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        denoise = self.denoiser.on_grid(times, like, cond)

        def projected(x: Tensor, k: int) -> Tensor:
            spectrum = self.level * whole(denoise(x, k))
            if k == 0:
                magnitude, phase = spectrum.abs(), unit(spectrum)
                spectrum = griffin_lim(self.mel, magnitude, phase, self.rounds, self.keep)
            wave = wave_of(self.mel, spectrum)
            wave = wave if self.keep is None else self.keep(wave)
            return split(self.mel.spectrum(wave) / self.level)

        return projected


@dataclass(frozen=True)
class _ComplexNoise:
    """A noise of unit variance as complex numbers: half of it in the real parts, half in the
    others.
    """

    frames: FrameNoise

    def __call__(self, k: int, like: Tensor) -> Tensor:
        return self.frames(k, like) * 0.5**0.5


class Vocoder(Pretrained):
    """A maker of speech from log-mel spectrograms: `Vocoder.from_pretrained()(log_mel)`.

    denoiser: D(x_t, t, Condition(channels=known)) of whitened spectra (B, 2F, N) on a flow from
              noise, whose network has `context`, the frames on each side that it looks at
    mel:      the definition that it was trained on
    card:     its model card
    """

    library, task = "diff_audio", "audio-to-audio"

    def __init__(
        self,
        denoiser: FromX0,
        mel: Mel | None = None,
        *,
        card: Card | None = None,
        device: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.denoiser = denoiser.to(self.device).eval()
        self.mel, self.card = mel or Mel(), card or Card(name="vocoder")

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike[str] | None = None, *, device: str = "auto"
    ) -> Vocoder:
        """The weights that come with the package, or a checkpoint of `python -m diff_audio.train
        vocoder`.

        Raises ValueError for a checkpoint that cannot be used or a device that is not there.
        """
        pick_device(device)
        path = path_of("vocoder") if path is None else locate(path)
        model, card = load(path, types={"FrameNet": FrameNet})
        if not isinstance(model, FromX0) or not isinstance(model.network, FrameNet):
            raise CheckpointError(f"{path}: holds {card.name}, expected a vocoder")
        with as_checkpoint_error(path):
            mel = Mel.of(card.signal)
        return cls(model, mel, card=card, device=device).of_checkpoint(path)

    def __call__(
        self,
        log_mel: Tensor,
        settings: Settings | None = None,
        *,
        on_progress: Progress | None = None,
    ) -> Tensor:
        """Return the wave (B, (N - 1) * hop) of a log-mel (B, mels, N) or (mels, N), float32, on
        the CPU.

        N is 3 or more. on_progress takes the share done, 0 to 1.
        Raises ValueError for another shape, or NaN or Inf.
        """
        log_mel = self.checked(log_mel)
        parts: list[Tensor] = []
        for stop, part in self.run(log_mel, settings or Settings()):
            parts.append(part)
            if on_progress:
                on_progress(stop / (log_mel.shape[-1] - 1))
        return torch.cat(parts, dim=1)

    def checked(self, log_mel: Tensor) -> Tensor:
        """Return the log-mel as (B, mels, N) in float32. Raises ValueError as calling does."""
        bands = self.mel.mels
        rows = log_mel[None] if log_mel.ndim == 2 else log_mel
        if rows.ndim != 3 or rows.shape[1] != bands or rows.shape[2] < 3:
            turned = rows.ndim == 3 and rows.shape[2] == bands
            raise ValueError(
                f"log_mel must have shape (B, {bands}, N) or ({bands}, N) with N >= 3, "
                f"got {tuple(log_mel.shape)}{': transpose it' if turned else ''}"
            )
        if not rows.is_floating_point():
            raise ValueError(f"log_mel must be floating point, got {rows.dtype}")
        if not bool(rows.isfinite().all()):
            raise ValueError("log_mel holds NaN or Inf")
        rows = rows.detach().float()
        least, most = float(rows.min()), float(rows.max())
        if least < math.log(self.mel.floor) - 0.1 or most > _MOST:
            raise ValueError(
                f"log_mel goes from {least:.3g} to {most:.3g}; expected natural logarithms of "
                f"magnitudes, {math.log(self.mel.floor):.3g} to {_MOST:g}: no decibels, no power"
            )
        return rows

    def run(self, log_mel: Tensor, settings: Settings) -> Iterator[tuple[int, Tensor]]:
        """The pieces of the wave (B, any) in order, and the hops done after each.

        log_mel: (B, mels, N), as `checked` gives it
        """
        hops, context = log_mel.shape[-1] - 1, self.context(settings)
        for start in range(0, hops, PIECE):
            stop = min(start + PIECE, hops)
            low, high = max(0, start - context), min(hops, stop + context)
            wave = self.piece(log_mel[..., low : high + 1], low, settings)
            yield stop, wave[:, (start - low) * self.mel.hop : (stop - low) * self.mel.hop]

    def context(self, settings: Settings) -> int:
        """Return the hops on each side that a sample of the wave depends on."""
        network: FrameNet = self.denoiser.network  # pyright: ignore[reportAssignmentType]
        passes = settings.steps * (network.context + reach(self.mel, 1))
        return passes + reach(self.mel, settings.rounds + 1)

    @torch.inference_mode()
    def piece(
        self, log_mel: Tensor, first: int, settings: Settings, keep: Keep | None = None
    ) -> Tensor:
        """The wave (B, (N - 1) * hop) of frames (B, mels, N), all at once.

        first: number of the first of them in its recording, for the noise
        keep:  puts what is known of the wave back into it (`gap.Keep`)
        """
        log_mel = log_mel.to(self.device)
        scale = level(self.mel, log_mel)
        noise = _ComplexNoise(FrameNoise(settings.seed, 0, first))
        x_0 = sample(
            Projected(self.denoiser, self.mel, scale, settings.rounds, keep),
            Consistency(),
            noise(-1, split(torch.complex(scale, scale))),
            step_times(settings.steps),
            noise=noise,
            cond=Condition(channels=known(log_mel, scale)),
        )
        # What is digital silence stays so, frame by frame.
        sounding = (log_mel > math.log(self.mel.floor) + 1e-3).any(1, keepdim=True)
        wave = wave_of(self.mel, scale * whole(x_0) * sounding).cpu()
        if not bool(wave.isfinite().all()):
            raise RuntimeError("the network returned NaN or Inf")
        return wave
