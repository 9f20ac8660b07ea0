"""Responses of recorded rooms, and of telephones and radios, as WAV files of 32-bit floats."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import licences
import numpy as np
import soundfile
from numpy.typing import NDArray
from repositories import Repository

__all__ = ["brir", "reverb_js", "web_audio"]

WEB_AUDIO_ROOMS = (
    "ambisonic-1o-ir", "binaural-s3_r4_bd", "cardiod-35-10-spread", "cardiod-rear-35-10",
    "cardiod-true-stereo-15-8", "echo-chamber", "kitchen-true-stereo", "omni-35-10",
    "super-ceiling-35-10", "tim-warehouse-stretch1",
)  # fmt: skip
WEB_AUDIO_COLOURS = ("filter-telephone", "filter-lopass160", "filter-hipass5000")

Row = dict[str, Any]


def _write(path: Path, samples: NDArray[Any], rate: int) -> None:
    """Write (T,) or (T, C) where nothing is yet, with a peak of 1."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    peak = float(np.abs(samples).max()) or 1.0
    partial = path.with_name(f".{path.name}")
    soundfile.write(partial, (samples / peak).astype(np.float32), rate, "FLOAT", format="WAV")
    partial.replace(path)


def _row(path: Path, out: Path, set_: str, speaker: str, licence: str, source: str) -> Row:
    return {
        "file": path.relative_to(out).as_posix(), "kind": "room", "set": set_, "speaker": speaker,
        "split": "train", "licence": licence, "source": source,
    }  # fmt: skip


def brir(clone: Repository, out: Path) -> list[Row]:
    """Return the rows of a real room, a response a place and ear, cut out of its SOFA files.

    C. Hummersone et al., "Dynamic precedence effect modeling", 2010. The anechoic one is no room.
    """
    import h5py

    rows = []
    for path in clone.below("", ".sofa"):
        if "Anechoic" in path:
            continue
        name = path.rsplit("/", 1)[-1].removesuffix(".sofa")
        with h5py.File(io.BytesIO(clone.read(path))) as file:
            responses: Any = file["Data.IR"][()]  # (place, ear, T)
            rate = int(np.ravel(file["Data.SamplingRate"][()])[0])
        for place, ears in enumerate(responses):
            for ear, response in zip("lr", ears, strict=False):
                to = out / "rooms" / "brir" / f"{name}_{place:02d}{ear}.wav"
                _write(to, response, rate)
                rows.append(_row(to, out, "brir", name, "MIT", clone.name))
    return rows


def web_audio(clone: Repository, out: Path) -> list[Row]:
    """Return the rows of the rooms and the colourations among Chromium's samples for Web Audio."""
    rows = []
    for path in clone.below("", ".wav"):
        name = path.rsplit("/", 1)[-1].removesuffix(".wav")
        if "impulse-responses" not in path or name not in (*WEB_AUDIO_ROOMS, *WEB_AUDIO_COLOURS):
            continue
        samples, rate = soundfile.read(io.BytesIO(clone.read(path)))
        to = out / "rooms" / "web_audio" / f"{name}.wav"
        _write(to, samples, rate)
        row = _row(to, out, "web_audio", name, "Apache-2.0", clone.name)
        rows.append(row | ({"kind": "colour"} if name in WEB_AUDIO_COLOURS else {}))
    return rows


def reverb_js(clone: Repository, out: Path) -> list[Row]:
    """Return the rows of the rooms of Reverb.js that are in the public domain or under CC BY."""
    rows = []
    for path in clone.below("Library", ".wav"):
        licence, source = licences.reverb_js(
            clone.text(path.removesuffix(".wav") + ".attribution.txt")
        )
        name = path.rsplit("/", 1)[-1].removesuffix(".wav")
        if licence:
            samples, rate = soundfile.read(io.BytesIO(clone.read(path)))
            to = out / "rooms" / "reverb_js" / f"{name}.wav"
            _write(to, samples, rate)
            rows.append(_row(to, out, "reverb_js", name, licence, f"{clone.name}, {source}"))
    return rows


ROOMS = {
    "brir": ("IoSR-Surrey/RealRoomBRIRs", brir),
    "web_audio": ("GoogleChromeLabs/web-audio-samples", web_audio),
    "reverb_js": ("burnson/Reverb.js", reverb_js),
}
"""Name -> (repository, writer)."""
