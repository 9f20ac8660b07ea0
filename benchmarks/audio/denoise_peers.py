"""What pip installs beside our denoiser and what runs without a network; those that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.metrics import RATE
from diff_audio.sound.resample import resample

__all__ = ["Method", "peers"]

FRAME = RATE // 100  # 10 ms

Wave = NDArray[np.float64]
Method = Callable[[Wave], Wave]


def peers() -> Iterator[tuple[str, Method]]:
    """Each peer by the name under which it is printed, with its version; one that is not installed
    is named.
    """
    import scipy.signal

    made = {
        "noisereduce": _noisereduce,
        "pyrnnoise": _rnnoise,
        "webrtc-noise-gain": _webrtc,
        "speexdsp-ns": _speexdsp,
    }
    for package, methods in made.items():
        try:
            yield from methods(f"{package} {version(package)}")
        except (ImportError, PackageNotFoundError) as error:
            print(f"left out: {package} ({error})\n")
    yield f"scipy {version('scipy')} wiener(29)", lambda wave: scipy.signal.wiener(wave, 29)
    yield f"scipy {version('scipy')} wiener(default)", scipy.signal.wiener


def _noisereduce(name: str) -> Iterator[tuple[str, Method]]:
    import noisereduce

    reduce = partial(noisereduce.reduce_noise, sr=RATE)
    yield f"{name}, non-stationary", lambda wave: reduce(y=wave)
    yield f"{name}, stationary", lambda wave: reduce(y=wave, stationary=True)


def _rnnoise(name: str) -> Iterator[tuple[str, Method]]:
    """RNNoise (J.-M. Valin, 2018), which hears 48 kHz in frames of 10 ms."""
    from pyrnnoise import RNNoise

    def method(wave: Wave) -> Wave:
        wide = resample(torch.from_numpy(wave), RATE, 48_000).numpy()
        wide = np.pad(wide, (0, -len(wide) % 480))
        samples = (np.clip(wide, -1, 1) * 32767).astype(np.int16)
        frames = [frame for _, frame in RNNoise(48_000).denoise_chunk(samples[None])]
        done = np.concatenate(frames, axis=1)[0] / 32767.0
        return resample(torch.from_numpy(done), 48_000, RATE).numpy()[: len(wave)]

    yield name, method


def _webrtc(name: str) -> Iterator[tuple[str, Method]]:
    """The noise suppressor of WebRTC at its second level of four, without gain control."""
    from webrtc_noise_gain import AudioProcessor

    def method(wave: Wave) -> Wave:
        processor = AudioProcessor(0, 2)
        return _by_frame(wave, lambda frame: processor.Process10ms(frame).audio)

    yield f"{name}, level 2", method


def _speexdsp(name: str) -> Iterator[tuple[str, Method]]:
    from speexdsp_ns import NoiseSuppression

    yield name, lambda wave: _by_frame(wave, NoiseSuppression.create(FRAME, RATE).process)


def _by_frame(wave: Wave, process: Callable[[bytes], bytes]) -> Wave:
    padded = np.pad(wave, (0, -len(wave) % FRAME))
    frames = (np.clip(padded, -1, 1) * 32767).astype(np.int16).reshape(-1, FRAME)
    done = b"".join(process(frame.tobytes()) for frame in frames)
    return np.frombuffer(done, np.int16)[: len(wave)] / 32767.0
