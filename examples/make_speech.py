"""Makes `speech_noisy.wav` from `speech_clean.wav`: a voice beside a running fan, at 5 dB.

    python examples/make_speech.py

The voice is synthetic (see README.md in this folder). The fan is noise falling by 9 dB an octave
above 250 Hz, a hiss of air that swells slowly, and the hum of the blades with its harmonics.
The same clean file always gives the same noisy file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
SNR_DB = 5.0
PEAK = 0.7
BLADES_HZ = 118.0

Wave = NDArray[np.float64]


def shaped(generator: np.random.Generator, count: int, gain: Wave) -> Wave:
    """Gaussian noise (count,) of unit power with the spectrum `gain` (count // 2 + 1,)."""
    noise = np.fft.irfft(np.fft.rfft(generator.standard_normal(count)) * gain, count)
    return noise / np.sqrt(np.mean(noise**2))


def fan(count: int, rate: int, seed: int = 0) -> Wave:
    """The sound of a fan, (count,), of unit power."""
    generator = np.random.default_rng(seed)
    time = np.arange(count) / rate
    frequency = np.fft.rfftfreq(count, 1.0 / rate)
    rumble = shaped(generator, count, np.hypot(1.0, frequency / 250.0) ** -1.5)
    air = shaped(generator, count, np.exp(-(((frequency - 1800.0) / 1600.0) ** 2)))
    swell = 1.0 + 0.3 * np.sin(2.0 * np.pi * 0.4 * time)
    # The motor's speed wanders by a third of a per cent, so that the hum is not a pure line.
    phase = 2.0 * np.pi * BLADES_HZ * (time + 0.0033 * np.sin(2.0 * np.pi * 0.3 * time))
    hum = sum(np.sin(k * phase + k) / k for k in range(1, 7))
    noise = rumble + 0.15 * swell * air + 0.3 * hum
    return noise / np.sqrt(np.mean(noise**2))


def mix(clean: Wave, rate: int) -> Wave:
    """`clean` (T,) with the fan at `SNR_DB`, scaled to a peak of `PEAK`."""
    noise = fan(len(clean), rate) * np.sqrt(np.mean(clean**2) / 10.0 ** (SNR_DB / 10.0))
    noisy = clean + noise
    return noisy * (PEAK / np.abs(noisy).max())


if __name__ == "__main__":
    clean, rate = soundfile.read(FOLDER / "speech_clean.wav", dtype="float64")
    soundfile.write(FOLDER / "speech_noisy.wav", mix(clean, rate), rate, subtype="PCM_16")
