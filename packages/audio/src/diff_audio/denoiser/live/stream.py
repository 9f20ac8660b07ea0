"""The live denoiser: sound in, the same sound without noise out, 40 ms later, or 32.

The frames are those of `Spectral`, but each ends with the newest sample: frame n covers samples
(n + 1) hop - n_fft up to (n + 1) hop. A sample is finished when the last frame that covers it has
come, one window after it at the latest. Two frames at a time cost half as much a second, because
the calls and not the arithmetic take the time, and come one hop later.
"""

from __future__ import annotations

import os
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.denoiser.live.network import LiveNet, State
from diff_audio.sound.resample import CORE_RATE, resample
from diff_audio.sound.wave import Array
from diff_audio.spectra.stft import Spectral
from diff_core.denoiser import FromX0
from diff_core.hub import Pretrained, locate
from diff_core.io import Card, CheckpointError, as_checkpoint_error, load

__all__ = ["HOPS", "Frames", "LiveDenoiser", "LiveStream"]

AT_ONCE = 128  # frames of a file

HOPS = 2
"""Frames that a stream computes at once."""

Sound = TypeVar("Sound", Tensor, NDArray[np.float32])


class Frames:
    """The frames that end with the newest sample, and the way back, of `channels` waves."""

    def __init__(self, spectral: Spectral, channels: int) -> None:
        self.spectral = spectral
        size, hop = spectral.n_fft, spectral.hop
        self.window = torch.hann_window(size)
        pads = -size % hop
        squares = torch.nn.functional.pad(self.window.square(), (0, pads))
        self.envelope = squares.view(-1, hop).sum(0)
        self._past = torch.zeros(channels, size - hop)
        self._sum = torch.zeros(channels, size)

    def analysis(self, fresh: Tensor) -> Tensor:
        """Return the compressed spectra (C, 2, F, N) of the next N hops of samples (C, N hop)."""
        size, hop = self.spectral.n_fft, self.spectral.hop
        seen = torch.cat((self._past, fresh), dim=1)
        self._past = seen[:, seen.shape[1] - (size - hop) :]
        spectrum = torch.fft.rfft(seen.unfold(1, size, hop) * self.window)
        parts = torch.stack((spectrum.real, spectrum.imag), dim=1)
        return self.spectral.compress(parts.transpose(2, 3))

    def synthesis(self, spec: Tensor) -> Tensor:
        """Return the next N hops of samples (C, N hop), which begin n_fft - hop samples before
        those that `analysis` was given.
        """
        size, hop = self.spectral.n_fft, self.spectral.hop
        real, imaginary = self.spectral.expand(spec).transpose(2, 3).unbind(1)
        frames = torch.fft.irfft(torch.complex(real, imaginary), size) * self.window
        out: list[Tensor] = []
        for number in range(frames.shape[1]):
            total = self._sum + frames[:, number]
            out.append(total[:, :hop] / self.envelope)
            self._sum = torch.nn.functional.pad(total[:, hop:], (0, hop))
        return torch.cat(out, dim=1)


class LiveDenoiser(Pretrained):
    """A causal denoiser of speech at 16 kHz: `LiveDenoiser.from_pretrained(path).stream()`.

    denoiser: D(x_t, t, Condition(channels=y)) on the bridge, whose network is a LiveNet
    """

    library, task = "diff_audio", "audio-to-audio"

    def __init__(
        self, denoiser: FromX0, spectral: Spectral | None = None, *, card: Card | None = None
    ) -> None:
        self.network = cast(LiveNet, denoiser.eval().network)
        self.denoiser, self.spectral = denoiser, spectral or Spectral()
        self.card = card or Card(name="live")
        with torch.no_grad():
            self.modulation = self.network.modulation(torch.ones(1))

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> LiveDenoiser:
        """A checkpoint of `python -m diff_audio.train live`, on the CPU.

        Raises ValueError for a checkpoint that cannot be used.
        """
        path = locate(path)
        model, card = load(path, types={"LiveNet": LiveNet})
        if not isinstance(model, FromX0) or not isinstance(model.network, LiveNet):
            raise CheckpointError(f"{path}: holds {card.name}, expected a live denoiser")
        with as_checkpoint_error(path):
            spectral = Spectral.of(card.signal)
        return cls(model.float(), spectral, card=card).of_checkpoint(path)

    def latency(self, hops: int = HOPS) -> int:
        """Return the samples at 16 kHz by which a stream is late: 510 or 638."""
        return self.spectral.n_fft + (hops - 1) * self.spectral.hop

    def stream(self, channels: int = 1, *, hops: int = HOPS) -> LiveStream:
        """Return a denoiser of sound that comes in chunks at 16 kHz."""
        return LiveStream(self, channels, hops)

    def __call__(self, wave: Array, rate: int) -> Array:
        """Return a recording (T,) or (C, T) as a stream would give it, without the latency; what
        lies above 8 kHz is lost. Each channel is treated on its own.
        """
        rows = torch.from_numpy(np.atleast_2d(np.asarray(wave, np.float32)))
        core = resample(rows, rate, CORE_RATE)
        stream = self.stream(len(core))
        late = torch.nn.functional.pad(core, (0, stream.latency))
        out = torch.cat(
            [stream.process(part) for part in late.split(AT_ONCE * self.spectral.hop, dim=1)], 1
        )[:, stream.latency :]
        back = resample(out, CORE_RATE, rate)[:, : rows.shape[1]]
        return back.double().numpy().reshape(np.shape(wave))


class LiveStream:
    """A denoiser of live sound at 16 kHz; made by `LiveDenoiser.stream()`.

    hops: frames that are computed at once, 1 or 2: 32 or 40 ms

    `process` takes chunks of any length and gives as many samples, `latency` late; what comes
    before the first `latency` samples have gone is next to nothing. However the sound is cut, the
    result is the same to rounding.
    """

    def __init__(self, model: LiveDenoiser, channels: int = 1, hops: int = HOPS) -> None:
        if channels < 1:
            raise ValueError(f"channels must be 1 or more, got {channels}")
        if hops not in (1, 2):
            raise ValueError(f"hops must be 1 or 2, got {hops}")
        self.model, self.channels, self.hops = model, channels, hops
        self._frames = Frames(model.spectral, channels)
        self._state: State = model.network.initial(channels)
        self._waiting = torch.zeros(channels, 0)
        early = self.latency - (model.spectral.n_fft - model.spectral.hop)
        self._ready = torch.zeros(channels, early)

    @property
    def latency(self) -> int:
        """Return the samples by which the output is late."""
        return self.model.latency(self.hops)

    @torch.inference_mode()
    def process(self, chunk: Sound) -> Sound:
        """Return the next samples (T,) or (channels, T) denoised, as many as are given.

        Raises ValueError for another shape, or NaN or Inf.
        """
        given = chunk if isinstance(chunk, Tensor) else torch.from_numpy(np.asarray(chunk))
        fresh = given.float()
        fresh = fresh[None] if fresh.ndim == 1 else fresh
        if fresh.ndim != 2 or len(fresh) != self.channels:
            raise ValueError(f"chunk must be ({self.channels}, T), got {tuple(given.shape)}")
        if not bool(torch.isfinite(fresh).all()):
            raise ValueError("chunk has samples that are NaN or Inf")
        block = self.hops * self.model.spectral.hop
        waiting = torch.cat((self._waiting, fresh), dim=1)
        whole = waiting.shape[1] // block * block
        self._waiting = waiting[:, whole:]
        if whole:
            y = self._frames.analysis(waiting[:, :whole])
            clean, self._state = self.model.network.advance(
                y, y, self.model.modulation, self._state
            )
            # what is digital silence stays so, frame by frame
            sounding = (y != 0).any(dim=(1, 2), keepdim=True)
            made = self._frames.synthesis(clean * sounding)
            self._ready = torch.cat((self._ready, made), dim=1)
        count = fresh.shape[1]
        out, self._ready = self._ready[:, :count], self._ready[:, count:]
        out = out.reshape(given.shape).to(given.dtype)
        return cast(Sound, out if isinstance(chunk, Tensor) else out.numpy())
