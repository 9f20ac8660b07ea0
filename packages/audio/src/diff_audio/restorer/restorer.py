"""The trained restorer as an object: any rate, any channels, any length.

Each channel is brought to one level, its mel goes over the bridge from damaged to clean, the
vocoder makes the wave, and the wave bears an inaudible mark (`sound.mark`). The bridge is that of
"Schroedinger Bridge for Generative Speech Enhancement" (Jukic et al., 2024), here on mels, so that
noise, echoes, missing bands and clipping are one kind of damage, as in "VoiceFixer: A Unified
Framework for High-Fidelity Speech Restoration" (Liu et al., 2022).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from diff_audio.restorer.network import MelBridgeNet
from diff_audio.restorer.scale import DECIBELS, from_unit, to_unit
from diff_audio.restorer.settings import Settings, step_times
from diff_audio.sound.level import Gain
from diff_audio.sound.mark import marked
from diff_audio.sound.measured import measure
from diff_audio.sound.resample import LARGEST_TERM, ROLLOFF, WIDTH, resample
from diff_audio.sound.wave import Array
from diff_audio.sound.windows import Window, cut, windows
from diff_audio.spectra.frame_noise import FrameNoise
from diff_audio.spectra.mel import Mel
from diff_audio.vocoder.model import PIECE, Vocoder
from diff_audio.vocoder.model import Settings as VocoderSettings
from diff_core.bridge import sample_bridge
from diff_core.condition import Condition
from diff_core.denoiser import FromX0
from diff_core.device import pick_device
from diff_core.hub import Pretrained, locate
from diff_core.io import Card, CheckpointError, as_checkpoint_error, load
from diff_core.sample import Ancestral

__all__ = ["Part", "Restorer"]

_SILENT = 1e-3  # above the floor of a mel, within which a frame is digital silence


@dataclass(frozen=True)
class Part:
    """A restored piece.

    start:  the place of its first sample in the result
    wave:   (C, n) samples at the rate of the result
    spread: (C, frames) standard deviation between the draws, dB, mean over the bands; None of one
            draw
    """

    start: int
    wave: Array
    spread: Array | None


class Restorer(Pretrained):
    """A restorer of speech: `wave, rate = Restorer.from_pretrained(path)(wave, rate)`.

    denoiser: D(x_t, t, Condition(channels=y)) on a bridge of mels, whose network is a MelBridgeNet
    vocoder:  of the same mel
    card:     the restorer's model card
    """

    library, task = "diff_audio", "audio-to-audio"

    def __init__(
        self, denoiser: FromX0, vocoder: Vocoder, *, card: Card | None = None, device: str = "auto"
    ) -> None:
        self.device = pick_device(device)
        self.denoiser = denoiser.to(self.device).eval()
        self.network = cast(MelBridgeNet, denoiser.network)
        self.vocoder, self.card = vocoder, card or Card(name="restore")

    @classmethod
    def from_pretrained(
        cls,
        path: str | os.PathLike[str],
        vocoder: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
    ) -> Restorer:
        """A checkpoint of `python -m diff_audio.train restore`, and a vocoder, the package's by
        default.

        Raises ValueError for a checkpoint that cannot be used, two that do not fit together, or a
        device that is not there.
        """
        pick_device(device)
        path = locate(path)
        model, card = load(path, types={"MelBridgeNet": MelBridgeNet})
        if not isinstance(model, FromX0) or not isinstance(model.network, MelBridgeNet):
            raise CheckpointError(f"{path}: holds {card.name}, expected a restorer")
        voice = Vocoder.from_pretrained(vocoder, device=device)
        with as_checkpoint_error(path):
            voice.mel.check(card.signal)
        return cls(model, voice, card=card, device=device).of_checkpoint(path)

    @property
    def mel(self) -> Mel:
        """Return the definition of the mel."""
        return self.vocoder.mel

    def rate_for(self, rate: int) -> int:
        """Return the rate of the result: the recording's, but at least the vocoder's."""
        return max(rate, self.mel.sample_rate)

    def length_for(self, length: int, rate: int) -> int:
        """Return the samples of the result of `length` samples at `rate` Hz."""
        if rate >= self.mel.sample_rate:
            return length
        return math.ceil(length / _ratio(rate, self.mel))

    def __call__(
        self, wave: Array, rate: int, settings: Settings | None = None
    ) -> tuple[Array, int]:
        """Return a recording (T,) or (C, T) restored, and its rate: the given one, but at least
        the vocoder's.

        Raises ValueError for another shape, NaN or Inf, or a rate outside 1000 to 768000 Hz.
        """
        given = np.asarray(wave, np.float64)
        rows = np.atleast_2d(given)
        if given.ndim not in (1, 2) or not np.isfinite(rows).all():
            raise ValueError(f"wave must be (T,) or (C, T) and finite, got shape {given.shape}")
        if rows.shape[1] == 0:
            return given, self.rate_for(rate)
        gain = self.measure([rows], rows.shape, rate)
        parts = self.run([rows], rows.shape, rate, gain, settings or Settings())
        out = np.concatenate([part.wave for part in parts], axis=1)
        return (out if given.ndim == 2 else out[0]), self.rate_for(rate)

    def measure(self, blocks: Iterable[Array], shape: tuple[int, int], rate: int) -> Gain:
        """Return the gain of each channel: the first reading, see `sound.measured.measure`."""
        return measure(blocks, shape, rate, linked=False)

    def run(
        self,
        blocks: Iterable[Array],
        shape: tuple[int, int],
        rate: int,
        gain: Gain,
        settings: Settings,
    ) -> Iterator[Part]:
        """Yield the restored pieces in order: the second reading.

        blocks: consecutive (C, any) samples, full scale 1; shape: (C, T) of them all
        """
        if not 1000 <= rate <= 768_000:
            raise ValueError(f"rate must be 1000 to 768000 Hz, got {rate}")
        ratio, mel = _ratio(rate, self.mel), self.mel
        # Pieces begin where a sample of the recording and one of the mel's coincide.
        filters = 2 * (math.ceil(WIDTH / ROLLOFF * max(1, ratio)) + ratio.numerator)
        frames = self.vocoder.context(_vocoding(settings)) + self.network.cell
        frames += settings.steps * self.network.context
        context = math.ceil((frames * mel.hop + mel.n_fft) * ratio) + filters
        size = math.ceil(PIECE * mel.hop * ratio)
        for piece, seen in cut(blocks, windows(shape[1], size, context, ratio.numerator)):
            yield self._one(seen, piece, rate, ratio, gain, settings)

    def _one(
        self,
        seen: Array,
        piece: Window,
        rate: int,
        ratio: Fraction,
        gain: Gain,
        settings: Settings,
    ) -> Part:
        """Return a restored piece, from the samples (C, high - low) that it sees."""
        mel = self.mel
        low, start = (int(place / ratio) for place in (piece.low, piece.start))
        wave = resample(torch.from_numpy(seen).float(), rate, mel.sample_rate)
        heard = wave.shape[1]
        lead = -low % (mel.hop * self.network.cell)  # up to the first whole cell of frames
        hops = max(3, -(-(heard - lead) // mel.hop))
        wave = functional.pad(wave[:, lead:], (0, lead + hops * mel.hop - heard))
        factor = 10.0 ** (gain.decibels[:, :1, None].float() / 20.0)  # (C, 1, 1)
        given = mel(wave * factor[:, 0])
        first = (low + lead) // mel.hop
        drawn = self.draw(given, first, settings)
        sounding = (given > math.log(mel.floor) + _SILENT).any(1, keepdim=True)
        made = torch.where(sounding, drawn[0], math.log(mel.floor))
        # at the level of the network, which is one that the vocoder was trained at
        out = (self.vocoder.piece(made, first, _vocoding(settings)) / factor[:, 0]).numpy()
        out = torch.from_numpy(marked(out, mel.sample_rate, "restore", first * mel.hop))
        out = functional.pad(out, (lead, 0))  # begins at `low` again
        stop = heard if piece.stop == piece.high else int(piece.stop / ratio) - low
        kept = slice(start - low, stop)
        if self.rate_for(rate) == rate:
            out = resample(out, mel.sample_rate, rate)[:, : seen.shape[1]]
            start, kept = piece.start, piece.kept
        spread = None
        if settings.draws > 1:
            deviation = DECIBELS * drawn.std(0).mean(1) * sounding[:, 0]
            begin, end = (round(place / ratio / mel.hop) for place in (piece.start, piece.stop))
            spread = deviation[:, begin - first : end - first].double().numpy()
        return Part(start, out[:, kept].double().numpy(), spread)

    @torch.inference_mode()
    def draw(self, log_mel: Tensor, first: int, settings: Settings) -> Tensor:
        """Return the draws (K, C, bands, N) of clean log-mels for damaged ones (C, bands, N) at
        the network's level.

        first: the number of the first frame in its recording, for the noise
        """
        y = to_unit(log_mel).to(self.device)
        times = step_times(settings.steps)
        draws = [
            sample_bridge(
                self.denoiser, Ancestral(), y, times, cond=Condition(channels=y),
                noise=FrameNoise(settings.seed, number, first),
            )
            for number in range(settings.draws)
        ]  # fmt: skip
        found = torch.stack(draws).cpu()
        if not bool(found.isfinite().all()):
            raise RuntimeError("the network returned NaN or Inf")
        return from_unit(found, self.mel)


def _vocoding(settings: Settings) -> VocoderSettings:
    return VocoderSettings(rounds=settings.rounds, seed=settings.seed)


def _ratio(rate: int, mel: Mel) -> Fraction:
    """Return the samples of a recording for each of the mel's."""
    # `resample` takes an odd ratio for the nearest one of small numbers too.
    return Fraction(rate, mel.sample_rate).limit_denominator(LARGEST_TERM)
