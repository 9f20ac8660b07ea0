"""Files that libsndfile does not write: made by ffmpeg, from the PATH or from imageio-ffmpeg."""

import subprocess
from pathlib import Path

import numpy as np
import soundfile

from diff_audio.sound import ffmpeg


def encode(path: Path, wave: np.ndarray, rate: int, *options: str) -> Path:
    """Write a wave (C, T) as `path` with ffmpeg, in the format of its suffix."""
    source = path.parent / "for_ffmpeg.wav"
    soundfile.write(source, wave.T, rate, "PCM_16")
    program = ffmpeg.find()
    assert program is not None, "the tests need ffmpeg: pip install imageio-ffmpeg"
    command = [program, "-nostdin", "-y", "-v", "error", "-i", f"file:{source}"]
    subprocess.run([*command, *options, f"file:{path}"], check=True)
    source.unlink()
    return path


def hide_ffmpeg(monkeypatch) -> None:
    """Makes this process a machine without ffmpeg."""
    import sys

    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
