"""The trained denoiser as an object: any rate, any channels, any length.

The network hears 16 kHz at one level, in windows with context; this module puts around it what a
recording needs: the split at 8 kHz (`resample.BandSplit`), a gain for all channels together that
follows the recording or is one for the whole (`level`), pieces that equal the whole (`windows`), a
gain for the band above (`upper_band`), and the way back.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.denoiser import steady, upper_band
from diff_audio.denoiser.echo import Echo
from diff_audio.denoiser.estimate import estimate
from diff_audio.denoiser.part import Heard, Part
from diff_audio.denoiser.settings import Settings
from diff_audio.denoiser.stream import Stream
from diff_audio.sound.level import Gain
from diff_audio.sound.measured import measure, piece_size
from diff_audio.sound.resample import CORE_RATE, BandSplit
from diff_audio.sound.rumble import REACH as RUMBLE_REACH
from diff_audio.sound.rumble import without_rumble
from diff_audio.sound.wave import Array
from diff_audio.sound.windows import Window, cut, windows
from diff_audio.spectra.stft import Spectral
from diff_audio.weights import path_of
from diff_core.device import pick_device
from diff_core.hub import Pretrained, locate
from diff_core.progress import Progress

__all__ = ["Denoiser"]

AROUND = 1.3  # times the network's work are context, resampling and files
MOST_CHANNELS = 64  # that are believed where there are more of them than samples

Sound = TypeVar("Sound", Tensor, NDArray[Any])


class Denoiser(Pretrained):
    """A denoiser of speech: `Denoiser.from_pretrained()(wave, rate)`.

    denoiser: a core denoiser D(x_t, t, Condition(channels=y)) on compressed spectra (B, 2, F, N),
              whose network has `context`, the frames on each side that it looks at; context = None
              keeps recordings whole
    spectral: the spectra that it was trained on
    follow:   it was trained on recordings whose level is followed place by place
    """

    library, task = "diff_audio", "audio-to-audio"

    def __init__(
        self,
        denoiser: Any,
        *,
        spectral: Spectral | None = None,
        follow: bool = False,
        device: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.denoiser = denoiser.to(self.device).eval()
        self.spectral = spectral or Spectral()
        self.follow = follow

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike[str] | None = None, *, device: str = "auto"
    ) -> Denoiser:
        """The weights that come with the package, or a checkpoint of `python -m diff_audio.train
        denoise`.

        Raises ValueError for a checkpoint that cannot be used or a device that is not there.
        """
        from diff_audio.denoiser.network import BandUNet
        from diff_core import Denoiser as CoreDenoiser
        from diff_core import io

        pick_device(device)
        path = path_of("denoise") if path is None else locate(path)
        model, card = io.load(path, types={"BandUNet": BandUNet})
        with io.as_checkpoint_error(path):
            if not isinstance(model, CoreDenoiser):
                raise ValueError(f"holds a {type(model).__name__}, expected a denoiser of speech")
            spectral = Spectral.of(card.signal)
            if trained := card.recipe.get("objective"):  # a card must not contradict itself
                spectral.check({"spectrum": cast("dict[str, Any]", trained).get("spectral")})
            follow = followed(card.signal)
        made = cls(model, spectral=spectral, follow=follow, device=device)
        return made.of_checkpoint(path)

    def __call__(
        self,
        wave: Sound,
        rate: int,
        settings: Settings | None = None,
        *,
        on_progress: Progress | None = None,
    ) -> Sound:
        """The denoised wave: same shape (T,) or (C, T), dtype, kind (numpy or torch) and level.

        rate: Hz, 1000 or more. on_progress takes the share done, 0 to 1.
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
        settings = settings or Settings()
        gain = self.measure([samples], samples.shape, rate, linked=settings.linked)
        result = np.empty_like(samples)
        for part in self.run([samples], samples.shape, rate, gain, settings):
            result[:, part.window.start : part.window.stop] = part.after
            if on_progress:
                on_progress(part.window.stop / length)
        out = torch.from_numpy(result).reshape(given.shape).to(given)
        return cast(Sound, out if isinstance(wave, Tensor) else out.numpy())

    def measure(
        self, blocks: Iterable[Array], shape: tuple[int, ...], rate: int, *, linked: bool = True
    ) -> Gain:
        """Return the gain that brings a recording to the network's level, all channels together
        or, unless `linked`, each by itself: the first reading.

        blocks: consecutive (C, any) samples; shape: (C, T) of them all. 1 for silence. Raises
        ValueError for samples beyond what 32-bit floats hold.
        """
        return measure(blocks, shape, rate, linked=linked, following=self.follow)

    def run(
        self,
        blocks: Iterable[Array],
        shape: tuple[int, ...],
        rate: int,
        gain: Gain,
        settings: Settings,
    ) -> Iterator[Part]:
        """Yield the denoised pieces in order: the second reading."""
        channels, length = shape
        bands = BandSplit(rate)
        context = self.context(bands, settings.steps)
        pieces = windows(length, max(length, 1), 0)
        if context is not None:
            size = max(piece_size(rate, channels), 2 * context)
            pieces = windows(length, size, context, bands.cell)
        echo = Echo()
        for piece, seen in cut(blocks, pieces):
            yield self.one(torch.from_numpy(seen), piece, bands, gain, settings, echo)

    def one(
        self,
        seen: Tensor,
        piece: Window,
        bands: BandSplit,
        gain: Gain,
        settings: Settings,
        echo: Echo,
    ) -> Part:
        """Return one denoised piece, from the samples (C, high - low) that it sees.

        echo: of the pieces before, to which this one is added
        """
        before = seen[:, piece.kept]
        if not seen.any():
            return Part(piece, before.numpy(), before.numpy().copy(), None)
        factor = gain.at(piece.low, piece.low + seen.shape[-1], bands.ratio)
        clean, heard = self._enhance(seen * factor, factor, bands, piece, settings)
        kept = torch.zeros(before.shape[-1], dtype=torch.float64)
        if settings.room:
            echo.add(heard.noisy, heard.clean)
            kept = echo.kept(settings.room, before.shape[-1], bands.rate)
        away = (1.0 - settings.dry) * (1.0 - kept)  # 1 takes all away that the network does
        after = (1.0 - away) * before + away * (clean / factor)[:, piece.kept]
        core = gain.at(heard.first, heard.first + heard.noisy.shape[-1])
        return Part(piece, before.numpy(), after.numpy(), heard.over(core), float(kept.mean()))

    def predict(self, seconds: float, settings: Settings) -> float:
        """Return the seconds that so much sound, of all channels together, will take on this
        machine, by two tries on one second of it.
        """
        wave = torch.zeros(1, CORE_RATE, device=self.device)
        wave[:, ::100] = 0.1
        took: list[float] = []
        for _ in range(2):  # the first one also warms up
            start = time.perf_counter()
            with torch.inference_mode():
                estimate(self.denoiser, self.spectral, wave, 0, settings)
            took.append(time.perf_counter() - start)
        return AROUND * seconds * min(took)

    def stream(
        self,
        rate: int,
        channels: int = 1,
        settings: Settings | None = None,
        *,
        level_db: float | None = None,
        block: float = 0.25,
    ) -> Stream:
        """Return a denoiser of sound that comes in chunks."""
        return Stream(self, rate, channels, settings, level_db=level_db, block=block)

    def context(self, bands: BandSplit, steps: int) -> int | None:
        """Return the samples on each side that one sample of the result depends on; None for
        all.
        """
        frames = getattr(self.denoiser.network, "context", None)
        if frames is None:
            return None
        spectrum = self.spectral.n_fft + steps * int(frames) * self.spectral.hop
        spectrum += self.spectral.hop  # a view begins up to one later
        gain = upper_band.WINDOW + (upper_band.REACH_FRAMES + 2) * self.spectral.hop
        rumble = math.ceil(RUMBLE_REACH * bands.ratio)
        below = math.ceil((spectrum + gain) * bands.ratio) + rumble
        above = steady.reach(bands.rate) if bands.ratio > 1 else 0
        return max(below, above) + bands.context

    @torch.inference_mode()
    def _enhance(
        self, whole: Tensor, factor: Tensor, bands: BandSplit, piece: Window, settings: Settings
    ) -> tuple[Tensor, Heard]:
        """Return levelled samples (C, n) of [low, high) denoised, and [start, stop) at 16 kHz.

        factor: the factors (n,) or (C, n) that levelled them
        """
        length = whole.shape[-1]
        core = bands.down(whole.float())
        low, start = (int(place / bands.ratio) for place in (piece.low, piece.start))
        first = low // self.spectral.hop
        speech = without_rumble(core)
        clean, variance = estimate(
            self.denoiser, self.spectral, speech.to(self.device), first, settings
        )
        if not torch.isfinite(clean).all():
            raise RuntimeError("the network returned NaN or Inf")
        stop = core.shape[-1]
        if piece.stop < piece.high:
            stop = int(piece.stop / bands.ratio) - low
        kept = slice(start - low, stop)
        heard = Heard(
            start,
            speech[:, kept].double(),
            clean[:, kept].double(),
            None if variance is None else variance[:, kept].double(),
        )
        if bands.ratio == 1:
            return clean.double(), heard
        high = whole - bands.up(core, length).double()
        gain, trust = upper_band.upper_gain(
            core, clean, self.spectral.hop, min(1.0, float(bands.ratio)), linked=settings.linked
        )
        frame = float(bands.ratio) * self.spectral.hop
        if bands.ratio > 1:
            # at the level as recorded: a gain that follows speech would make hiss unsteady
            high = factor * steady.without_steady_noise(
                (high / factor).float(), bands.rate, piece.low, gain, trust, frame,
                linked=settings.linked,
            )  # fmt: skip
        else:
            position = torch.arange(length, dtype=torch.float64) / frame
            high = upper_band.interpolate(gain.double(), position) * high
        return bands.up(clean, length).double() + high, heard


def followed(signal: dict[str, Any]) -> bool:
    """Return whether a card's network was trained on followed levels."""
    level = signal.get("level")
    return isinstance(level, dict) and bool(cast("dict[str, Any]", level).get("follow"))
