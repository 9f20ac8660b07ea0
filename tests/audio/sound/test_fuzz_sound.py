"""Recordings and lists of texts from outside: whatever the bytes, read or refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged import damaged
from diff_audio.data.layouts import recognise
from diff_audio.sound.read import BadFile, probe, read


def sound(kind: str, subtype: str) -> bytes:
    found = io.BytesIO()
    wave = 0.1 * np.random.default_rng(0).standard_normal((900, 2))
    soundfile.write(found, wave, 16000, format=kind, subtype=subtype)
    return found.getvalue()


GOOD = {
    "wav": sound("WAV", "PCM_16"),
    "w64": sound("W64", "PCM_24"),
    "flac": sound("FLAC", "PCM_16"),
    "ogg": sound("OGG", "VORBIS"),
    "mp3": sound("MP3", "MPEG_LAYER_III"),
    "aiff": sound("AIFF", "FLOAT"),
}


@pytest.mark.parametrize("suffix", GOOD)
@settings(max_examples=60, derandomize=True)
@given(data=st.data())
def test_a_damaged_recording_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("bad") / f"a.{suffix}"
    path.write_bytes(data.draw(damaged(GOOD[suffix], header=100)))
    try:
        wave, rate = read(path)
    except BadFile as error:
        assert "\n" not in str(error)
    else:
        assert wave.shape[0] == probe(path).channels and rate > 0


LINES = "LJ001-0001|Printing, in the|Printing, in the\nLJ001-0002|of 1455|of fourteen fifty-five\n"


@settings(max_examples=100, derandomize=True)
@given(data=st.data())
def test_damaged_lines_of_text_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("voice")
    (folder / "wavs").mkdir()
    for name in ("LJ001-0001", "LJ001-0002"):
        (folder / "wavs" / f"{name}.wav").write_bytes(GOOD["wav"])
    table = folder / "metadata.csv"
    table.write_bytes(data.draw(damaged(LINES.encode(), header=len(LINES))))
    try:
        assert recognise(folder).name
    except ValueError as error:
        assert "\n" not in str(error)
