"""The codecs of libsndfile, from array to array and to the bytes of a file."""

from __future__ import annotations

import io
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from diff_audio.sound.wave import Wave

__all__ = ["CODECS", "Codec", "coded", "flac", "mp3"]

Codec = Literal["mulaw", "gsm", "adpcm", "mp3", "vorbis", "opus"]
"""The name of a codec."""
CODECS: tuple[Codec, ...] = get_args(Codec)
"""All codecs."""

# libsndfile's container and encoding. MP3 without its variable bit rate comes back delayed.
_FORMATS: dict[Codec, tuple[str, str]] = {
    "mulaw": ("WAV", "ULAW"),
    "gsm": ("WAV", "GSM610"),
    "adpcm": ("WAV", "IMA_ADPCM"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
_LOSSY = ("mp3", "vorbis", "opus")


def coded(wave: Wave, rate: int, codec: Codec, quality: float) -> Wave:
    """The wave after a lossy codec of libsndfile, as long as before and not delayed.

    quality: 0, the fewest bits, to 1; the telephone codecs have one quality

    Raises ValueError for a codec that is not known or does not work at this rate, or a quality
    outside [0, 1].
    """
    import soundfile

    if codec not in _FORMATS:
        raise ValueError(f"codec is {codec!r}; expected one of {', '.join(CODECS)}")
    if not 0 <= quality <= 1:
        raise ValueError(f"quality must be in [0, 1], got {quality}")
    peak = np.float32(np.abs(wave).max()) / np.float32(0.9)  # codecs cut off what is beyond 1
    if not peak > 0:
        return wave
    container, encoding = _FORMATS[codec]
    options: dict[str, Any] = {"compression_level": 1 - quality} if codec in _LOSSY else {}
    if codec == "mp3":
        options["bitrate_mode"] = "VARIABLE"
    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, wave / peak, rate, encoding, None, container, **options)
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"codec {codec} does not work at {rate} Hz ({error.error_string})"
        ) from error
    buffer.seek(0)
    decoded = soundfile.read(buffer, dtype="float32")[0][: len(wave)]
    return np.pad(decoded, (0, len(wave) - len(decoded))) * peak


def mp3(wave: NDArray[np.floating[Any]], rate: int) -> bytes:
    """Return a wave (C, T) of one or two channels, full scale 1, as an MP3 of high quality."""
    import soundfile

    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate, len(wave), format="MP3", compression_level=0.1, bitrate_mode="VARIABLE"
    ) as file:
        for start in range(0, wave.shape[1], rate):  # long blocks overflow the encoder's stack
            file.write(np.ascontiguousarray(wave[:, start : start + rate].T))
    return buffer.getvalue()


def flac(wave: NDArray[np.floating[Any]], rate: int) -> bytes:
    """Return a wave (C, T), full scale 1, as a FLAC file of 16 bits; what is beyond is cut off."""
    import soundfile

    file = io.BytesIO()
    clipped = np.clip(wave.T, -1.0, 1.0 - 2.0**-15)
    soundfile.write(file, clipped, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
