"""A denoiser of live sound: chunks in, chunks out, one constant delay.

The network looks about 0.7 s ahead, so live sound comes out a second late. Each block is computed
with its context on both sides, as the pieces of a file are, so that at the same gain the result is
that of the whole recording; the context is computed again for every block, which costs about seven
times a file's passes at the default block and less at a longer one.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.denoiser.echo import Echo
from diff_audio.denoiser.part import Piecewise
from diff_audio.denoiser.settings import Settings
from diff_audio.sound.level import FRAME, STEP, TARGET_DB, Gain, levels
from diff_audio.sound.resample import BandSplit
from diff_audio.sound.rumble import FILTER_REACH, highpass
from diff_audio.sound.windows import Window

__all__ = ["Stream"]

MEMORY = 1500
"""Frames of 20 ms over which the level is taken: 30 s."""

Sound = TypeVar("Sound", Tensor, NDArray[Any])


class Stream:
    """A denoiser of live sound; made by `Denoiser.stream(rate)`.

        stream = denoiser.stream(48_000)
        for chunk in microphone:
            play(stream.process(chunk))      # as long as chunk, `stream.latency` samples late
        play(stream.flush())

    level_db: level of the speech, dB of full scale, throughout and in all channels. None takes it
              from the sound of the last 30 s as far as it has come: one level, or for a network
              that was trained on followed levels (`Denoiser.follow`) the level of each place, of
              all channels together or, if they are separate, of each. A file's level is taken from
              all of it, so only a given level repeats a file's result exactly. In a room, what is
              kept of it (`Settings.room`) follows the last half minute of a stream and of a file,
              in their own steps.
    block:    s computed at once, more than 0; longer costs less and is later
    Raises ValueError for an impossible rate or block, and for a network without bounded context.
    """

    def __init__(
        self,
        denoiser: Piecewise,
        rate: int,
        channels: int = 1,
        settings: Settings | None = None,
        *,
        level_db: float | None = None,
        block: float = 0.25,
    ) -> None:
        if channels < 1:
            raise ValueError(f"channels must be 1 or more, got {channels}")
        if not block > 0:
            raise ValueError(f"block must be positive, in seconds, got {block}")
        self.denoiser, self.rate, self.channels = denoiser, rate, channels
        self.settings = settings or Settings()
        self.level_db = level_db
        self._bands = BandSplit(rate)
        context = denoiser.context(self._bands, self.settings.steps)
        if context is None:
            raise ValueError("this network looks at the whole recording: it cannot stream")
        cell = self._bands.cell
        self._block, self._context = (
            -(-max(1, round(size)) // cell) * cell for size in (block * rate, context)
        )
        self._begin()

    def _begin(self) -> None:
        """Forget the sound so far."""
        self._seen = torch.zeros(self.channels, 0, dtype=torch.float64)
        # `_seen` begins at sample _low, the next block at _start; _heard samples have come.
        self._low = self._start = self._heard = 0
        # At 16 kHz: the frames of `_power` begin at sample _first; the samples of `_tail` from
        # `_known` on follow. Together they hold the sound up to sample _measured of the stream's
        # rate.
        rows = 1 if self.settings.linked else self.channels
        self._power = torch.zeros(rows, 0, dtype=torch.float64)
        self._tail = torch.zeros(self.channels, 0)
        self._first = self._measured = self._known = 0
        self._ready = torch.zeros(self.channels, self.latency, dtype=torch.float64)
        self._flat = False  # whether the last chunk was (T,)
        self._echo = Echo()

    @property
    def latency(self) -> int:
        """Return the samples by which the output is late: one block and the context after it."""
        return self._block + self._context

    def process(self, chunk: Sound) -> Sound:
        """The next samples (T,) or (channels, T), floating point, to as many that are denoised.

        The first `latency` samples of the output are zero. Raises ValueError for another shape,
        NaN or Inf.
        """
        given = chunk if isinstance(chunk, Tensor) else torch.from_numpy(np.asarray(chunk))
        samples = given.detach().cpu().double()
        self._flat = samples.ndim == 1
        samples = samples[None] if self._flat else samples
        if samples.ndim != 2 or len(samples) != self.channels:
            raise ValueError(f"chunk must be ({self.channels}, T), got {tuple(given.shape)}")
        if not given.is_floating_point():
            raise ValueError(f"chunk must be floating point with full scale 1, got {given.dtype}")
        if not bool(torch.isfinite(samples).all()):
            raise ValueError("chunk has samples that are NaN or Inf")
        self._seen = torch.cat((self._seen, samples), dim=1)
        self._heard += samples.shape[1]
        while self._start + self.latency <= self._heard:
            self._denoise(self._start + self._block, self._start + self.latency)
        out = self._take(samples.shape[1]).reshape(given.shape).to(given)
        return cast(Sound, out if isinstance(chunk, Tensor) else out.numpy())

    def flush(self) -> NDArray[np.float64]:
        """Return the last `latency` samples, (channels, latency), or (latency,) after chunks (T,).

        The stream then begins anew.
        """
        while self._start < self._heard:
            stop = min(self._start + self._block, self._heard)
            self._denoise(stop, min(stop + self._context, self._heard))
        out = self._take(self.latency).numpy()
        out = out[0] if self._flat else out
        self._begin()
        return out

    def _denoise(self, stop: int, high: int) -> None:
        """Compute [_start, stop) from the samples up to `high`."""
        low = max(0, self._start - self._context)
        self._seen, self._low = self._seen[:, low - self._low :], low
        seen = self._seen[:, : high - low]
        gain = self._gain(seen, high)
        piece = Window(self._start, stop, low, high)
        part = self.denoiser.one(seen, piece, self._bands, gain, self.settings, self._echo)
        self._ready = torch.cat((self._ready, torch.from_numpy(part.after)), dim=1)
        self._start = stop

    def _gain(self, seen: Tensor, high: int) -> Gain:
        """Return the gain to the network's level, from the given or the recent level."""
        if self.level_db is not None:
            return Gain.constant(10.0 ** ((TARGET_DB - self.level_db) / 20.0))
        fresh = high - self._measured
        if fresh:
            core = self._bands.down(seen[:, -fresh:].float())
            self._tail = torch.cat((self._tail, core), dim=1)
            self._measured = high
        linked, known = self.settings.linked, self._known
        voice = highpass(self._tail)
        # what the filter may still change is measured now, and again when more has come
        whole = max(0, voice.shape[1] - known - FILTER_REACH) // FRAME * FRAME
        done = levels(voice[:, known : known + whole], linked=linked)
        self._power = torch.cat((self._power, done), 1)
        power = torch.cat((self._power, levels(voice[:, known + whole :], linked=linked)), 1)
        old = max(0, known + whole - FILTER_REACH) // FRAME * FRAME
        self._tail, self._known = self._tail[:, old:], known + whole - old
        forgotten = max(0, self._power.shape[1] - MEMORY) // STEP * STEP
        self._power, self._first = self._power[:, forgotten:], self._first + forgotten * FRAME
        power = power[:, forgotten:]
        power = power[0] if linked else power
        return Gain.of(power, following=self.denoiser.follow, first=self._first)

    def _take(self, count: int) -> Tensor:
        out, self._ready = self._ready[:, :count], self._ready[:, count:]
        return out
