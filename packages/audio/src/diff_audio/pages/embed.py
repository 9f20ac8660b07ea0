"""The sound and the spectrograms of a page, as text that HTML can hold."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diff_audio.pages.before_after import power
from diff_audio.sound.codec import mp3
from diff_audio.sound.resample import resample
from diff_audio.sound.wave import Array
from diff_core.pages.index import write_picture

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["pictures", "players", "spectrograms", "ticks", "write_thumbnail"]

ROWS, RANGE_DB = 220, 80.0  # of a spectrogram
THUMBNAIL = 240, 60  # pixels of one spectrogram
LOUDEST, MOST_GAIN_DB = 0.97, 30.0  # of the players
MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def players(waves: dict[str, Array], rate: int) -> dict[str, Any]:
    """The three sounds as data URIs, with one gain for all."""
    loudest = max(float(np.abs(wave).max()) for wave in waves.values())
    gain_db = min(20 * math.log10(LOUDEST / loudest), MOST_GAIN_DB) if loudest > 0 else 0.0
    gain_db = gain_db if gain_db < 0 or gain_db > 6 else 0.0  # not worth a change
    gain = 10 ** (gain_db / 20)
    sounds = {name: _mp3(gain * wave, rate) for name, wave in waves.items()}
    return {"sounds": sounds, "playback_db": round(gain_db)}


def _mp3(wave: Array, rate: int) -> str:
    if len(wave) > 2:
        wave = wave.mean(axis=0, keepdims=True)
    if rate not in MP3_RATES:
        target = next((usual for usual in MP3_RATES if usual >= rate), MP3_RATES[-1])
        wave, rate = resample(torch.from_numpy(wave), rate, target).numpy(), target
    return _uri("audio/mpeg", mp3(wave, rate))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def pictures(spectra: dict[str, Image]) -> dict[str, str]:
    """Return spectrograms as data URIs."""
    return {name: _uri("image/jpeg", _jpeg(image)) for name, image in spectra.items()}


def write_thumbnail(path: Path, spectra: dict[str, Image]) -> None:
    """Write a small picture of the spectrogram before, above that after. Raises OSError."""
    from PIL import Image

    width, height = THUMBNAIL
    both = Image.new("RGB", (width, 2 * height + 2))
    for row, name in enumerate(("before", "after")):
        both.paste(spectra[name].resize(THUMBNAIL), (0, row * (height + 2)))
    write_picture(path, _jpeg(both))


def _jpeg(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def spectrograms(waves: dict[str, Array], rate: int) -> dict[str, Image]:
    """Return spectrograms on a mel axis, dB under the loudest point of the input."""
    from matplotlib import colormaps
    from PIL import Image

    spectra = {name: power(wave.mean(axis=0), rate) for name, wave in waves.items()}
    peak = max(float(spectra["before"].max()), np.finfo(np.float64).tiny)
    found: dict[str, Any] = {}
    for name, spectrum in spectra.items():
        decibels = 10 * np.log10(np.maximum(spectrum / peak, 10 ** (-RANGE_DB / 10)))
        bins = np.linspace(0.0, 1.0, len(decibels))
        top = _mel(rate / 2)
        rows = _hertz(top * np.linspace(1.0, 0.0, ROWS)) / (rate / 2)
        place = np.interp(rows, bins, np.arange(len(bins)))
        low = np.minimum(place.astype(int), len(bins) - 2)
        share = (place - low)[:, None]
        warped = (1 - share) * decibels[low] + share * decibels[low + 1]
        colours = colormaps["magma"](1.0 + warped / RANGE_DB, bytes=True)[..., :3]
        found[name] = Image.fromarray(np.ascontiguousarray(colours))
    return found


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _hertz(mel: Array) -> Array:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def ticks(rate: int) -> list[tuple[str, float]]:
    """Return the labels of the frequency axis, kHz, and their heights, 0 at the bottom to 1."""
    top = _mel(rate / 2)
    ticks = ((f"{khz:g}", _mel(1000 * khz) / top) for khz in (0.5, 1, 2, 4, 8, 16, 32))
    return [(label, height) for label, height in ticks if height < 0.97]
