"""Live sound from a microphone through the live denoiser to a loudspeaker, by sounddevice (extra
`[live]`), or from a file to a file as if they were devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.denoiser.live.stream import LiveDenoiser
from diff_audio.sound.read import probe, read
from diff_audio.sound.resample import CORE_RATE, resample
from diff_audio.sound.write import Writer, container_for
from diff_core.files import file_job, refuse_existing, replacing

__all__ = ["Session", "device_names", "keys", "open_devices", "run_files"]

_FADE = 320  # samples over which the bypass comes and goes: 20 ms
_FLOOR_DB = -90.0

Samples = NDArray[np.float32]


class Session:
    """The work between a microphone and a loudspeaker, one channel at 16 kHz.

    bypass: hand on the sound as it is, as late as the denoised one, so that the two can be
            compared; it may be turned at any time, and fades within 20 ms
    keep:   share of the input that stays in the output, 0 to 1
    """

    def __init__(self, model: LiveDenoiser, *, hops: int = 2, keep: float = 0.0) -> None:
        if not 0 <= keep <= 1:
            raise ValueError(f"keep must be a share, 0 to 1, got {keep}")
        self.stream = model.stream(hops=hops)
        self.block = hops * model.spectral.hop  # samples that devices hand over at once
        self.bypass, self.keep = False, keep
        self.late = 0  # blocks that the devices lost
        self.seconds = 0.0
        self._dry = np.zeros(self.stream.latency, np.float32)
        self._share = keep
        self._powers = (0.0, 0.0)

    def process(self, heard: Samples) -> Samples:
        """Return the next samples (T,) for the loudspeaker, for as many from the microphone."""
        heard = np.nan_to_num(np.asarray(heard, np.float32), posinf=0.0, neginf=0.0)
        clean = self.stream.process(heard)
        held = np.concatenate((self._dry, heard))
        dry, self._dry = held[: len(heard)], held[len(heard) :]
        goal = 1.0 if self.bypass else self.keep
        step = np.sign(goal - self._share) / _FADE
        moved = self._share + step * np.arange(1, len(heard) + 1)
        low, high = min(self._share, goal), max(self._share, goal)
        share = np.clip(moved, low, high).astype(np.float32)
        if len(share):
            self._share = float(share[-1])
        out = share * dry + (1 - share) * clean
        self.seconds += len(heard) / CORE_RATE
        self._powers = (_power(heard), _power(out))
        return out

    def callback(
        self, indata: Samples, outdata: Samples, frames: int, _time: Any, status: Any
    ) -> None:
        """Fill the next block of a `sounddevice.Stream`: (frames, 1) in, (frames, 1) out."""
        if status:
            self.late += 1
        outdata[:, 0] = self.process(indata[:frames, 0])

    def meter(self) -> str:
        """Return one line: levels in and out, the state, and what was lost."""
        heard, out = (_level(power) for power in self._powers)
        state = "bypass" if self.bypass else "denoising"
        lost = f", {self.late} blocks late" if self.late else ""
        return f"in {heard:4.0f} dB {_bar(heard)}  out {out:4.0f} dB {_bar(out)}  {state}{lost}"


def _power(wave: Samples) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0


def _level(power: float) -> float:
    return max(_FLOOR_DB, 10.0 * math.log10(power)) if power > 0 else _FLOOR_DB


def _bar(level: float) -> str:
    full = max(0, min(12, round((level + 60.0) / 5.0)))
    return "#" * full + "." * (12 - full)


@file_job
def run_files(
    session: Session,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    on_block: Callable[[], None] | None = None,
) -> float:
    """Play a recording to the session as a microphone would, block by block, and write what the
    loudspeaker would play, the latency at its front included; return its seconds.

    The channels are mixed, and the output is at 16 kHz. on_block is called behind each block.
    Raises BadFile for a file that cannot be used, FileExistsError and OSError for the output.
    """
    refuse_existing(target, overwrite=overwrite, source=source)
    samples, rate = read(source)
    mono = resample(torch.from_numpy(samples.mean(0)).float(), rate, CORE_RATE).numpy()
    mono = np.pad(mono, (0, session.stream.latency))
    like = replace(probe(source), rate=CORE_RATE, channels=1, frames=0, subtype="PCM_16")
    with replacing(target) as temporary:
        with Writer(temporary, like, *container_for(like, target)) as writer:
            for start in range(0, len(mono), session.block):
                block = mono[start : start + session.block, None]
                out = np.empty_like(block)
                session.callback(block, out, len(block), None, None)
                writer.write(out.T.astype(np.float64))
                if on_block:
                    on_block()
    return len(mono) / CORE_RATE


def _sounddevice() -> Any:
    """Return the library. Raises ValueError, in a line that says what to do, without it."""
    try:
        import sounddevice  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("live sound needs sounddevice: pip install 'diff-audio[live]'") from error
    except OSError as error:
        raise ValueError(
            f"live sound needs PortAudio ({error}): apt install libportaudio2"
        ) from error
    return sounddevice


def device_names() -> str:
    """Return the devices of this machine, a line each. Raises ValueError without the library."""
    return str(_sounddevice().query_devices())


@contextmanager
def open_devices(
    session: Session, microphone: str | None, loudspeaker: str | None
) -> Generator[None]:
    """Run the session between two devices, by their numbers or parts of their names, as long as
    the block lasts. Raises ValueError without the library or such devices.
    """
    library = _sounddevice()
    named = tuple(
        int(name) if name is not None and name.isdigit() else name
        for name in (microphone, loudspeaker)
    )
    try:
        stream = library.Stream(
            samplerate=CORE_RATE, blocksize=session.block, device=named, channels=1,
            dtype="float32", latency="low", callback=session.callback,
        )  # fmt: skip
    except (library.PortAudioError, ValueError) as error:
        raise ValueError(f"no microphone and loudspeaker can be opened ({error})") from error
    with stream:
        yield


@contextmanager
def keys() -> Generator[Callable[[float], str]]:
    """Give a function that waits so many seconds for a key and returns it, "" for none.

    Without a terminal, and on Windows without a console, it only waits.
    """
    import sys
    import time

    def wait(seconds: float) -> str:
        time.sleep(seconds)
        return ""

    if not sys.stdin.isatty():
        yield wait
        return
    try:
        import select
        import termios
        import tty
    except ImportError:
        yield _windows_key
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)

    def key(seconds: float) -> str:
        ready, _, _ = select.select([number], [], [], seconds)
        return sys.stdin.read(1) if ready else ""

    tty.setcbreak(number)
    try:
        yield key
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _windows_key(seconds: float) -> str:
    import time

    time.sleep(seconds)
    with suppress(ImportError):
        import msvcrt

        if msvcrt.kbhit():  # type: ignore[attr-defined]
            return str(msvcrt.getwch())  # type: ignore[attr-defined]
    return ""
