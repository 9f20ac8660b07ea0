"""The speaking of a text to the loudspeaker, by sounddevice (extra `[play]`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from diff_audio.sound.mark import marked
from diff_audio.text import Lexicon, Skipped
from diff_audio.voice.speaker import Manner, Speaker

__all__ = ["open_loudspeaker", "play"]


def open_loudspeaker(rate: int) -> Any:
    """Return an open stream of sounddevice, one channel at `rate` Hz.

    Raises ValueError, in a line that says what to do, without the library, PortAudio or a device.
    """
    try:
        import sounddevice  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("playing needs sounddevice: pip install 'diff-audio[play]'") from error
    except OSError as error:
        raise ValueError(
            f"playing needs PortAudio ({error}): apt install libportaudio2"
        ) from error
    try:
        stream = sounddevice.OutputStream(samplerate=rate, channels=1, dtype="float32")
        stream.start()
    except sounddevice.PortAudioError as error:
        raise ValueError(f"no loudspeaker can be opened ({error})") from error
    return stream


def play(
    speaker: Speaker, text: str, manner: Manner, lexicon: Lexicon | None, stream: Any
) -> tuple[float, list[Skipped]]:
    """Speak a text into an open stream, each sentence as soon as it is made, marked as synthetic.

    Returns the seconds that were played, and what was left out. Raises ValueError as
    `Speaker.stream` does.
    """
    frames = 0
    skipped: list[Skipped] = []
    for piece in speaker.stream(text, manner, lexicon):
        skipped += piece.spoken.skipped
        wave = marked(piece.wave, speaker.sample_rate, "say", frames)
        stream.write(np.ascontiguousarray(wave[:, None]))
        frames += len(piece.wave)
    stream.stop()
    stream.close()
    return frames / speaker.sample_rate, skipped
