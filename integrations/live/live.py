"""Live denoising from a microphone to a virtual device that any program can take for one.

    pip install "diff-audio[play]"
    python integrations/live/live.py --list
    python integrations/live/live.py --input "USB Microphone" --output "denoised"

The sound comes out 1.4 s late (`--block`), which suits recording and streaming, but not calls.
README.md beside this file makes the virtual device on Linux, macOS and Windows.
"""

from __future__ import annotations

import argparse
import queue
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_audio import Denoiser, Settings

__all__ = ["main", "pump"]

Chunk = NDArray[np.float32]


def pump(chunks: Iterator[Chunk], stream: Any, write: Callable[[Chunk], object]) -> None:
    """Denoise chunks (n,) as they come and write each; the rest of the sound follows last."""
    for chunk in chunks:
        write(stream.process(chunk))
    write(stream.flush())


def main(arguments: list[str] | None = None) -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the devices")
    parser.add_argument("--input", help="name or number of the microphone")
    parser.add_argument("--output", help="name or number of the virtual device")
    parser.add_argument("--rate", type=int, default=48_000, help="Hz")
    parser.add_argument("--block", type=float, default=0.25, help="seconds computed at once")
    parser.add_argument("--limit", type=float, help="remove at most this many dB")
    given = parser.parse_args(arguments)
    import sounddevice

    if given.list:
        print(sounddevice.query_devices())
        return 0
    heard: queue.SimpleQueue[Chunk] = queue.SimpleQueue()

    def hear(block: Chunk, _frames: int, _time: object, status: object) -> None:
        if status:
            print(f"live: {status}", file=sys.stderr)
        heard.put(block[:, 0].copy())

    stream = Denoiser.from_pretrained().stream(
        given.rate, settings=Settings(limit_db=given.limit), block=given.block
    )
    print(f"live: {stream.latency / given.rate:.2f} s late; Ctrl-C stops", file=sys.stderr)
    devices = {"samplerate": given.rate, "channels": 1, "dtype": "float32"}
    try:
        with (
            sounddevice.InputStream(device=given.input, callback=hear, **devices),
            sounddevice.OutputStream(device=given.output, **devices) as out,
        ):
            pump(iter(heard.get, None), stream, out.write)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
