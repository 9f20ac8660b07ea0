"""Headers that promise more than there is, less, or nothing."""

import io
import struct

import numpy as np
import pytest
import soundfile

from diff_audio.sound.read import BadFile, probe, read, read_blocks
from media import hide_ffmpeg

RATE = 16_000
KINDS = ["WAV", "WAVEX", "RF64", "AIFF", "AU", "W64", "CAF", "FLAC"]


@pytest.fixture
def wave():
    return np.random.default_rng(0).integers(-30_000, 30_000, 8000).astype(np.int16)


def packed(wave, kind):
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, "PCM_16", format=kind)
    return bytearray(buffer.getvalue())


def stored(found):
    return np.rint(found[0][0] * 32768).astype(np.int16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_file_shorter_than_its_header_promises_is_refused(kind, share, wave, tmp_path):
    data = packed(wave, kind)
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BadFile, match="cut off|damaged") as refused:
        read(path)
    assert "copy it again" in str(refused.value)


def put(data, name, size, order="little", width=4, behind=4):
    """Overwrites the length of a chunk."""
    place = data.index(name) + behind
    data[place : place + width] = (size % 2 ** (8 * width)).to_bytes(width, order)


@pytest.mark.parametrize("riff", [0, 36, None, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB])
def test_a_wav_without_a_length_is_read_to_its_end(size, riff, wave, tmp_path):
    """A recorder that lost power leaves 0; programs that write to a pipe the largest number."""
    data = packed(wave, "WAV")
    put(data, b"data", size)
    if riff is not None:
        put(data, b"RIFF", riff)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    np.testing.assert_array_equal(stored(read(path)), wave)
    assert "its header gives no length" in probe(path).notes[0] and "0.5 s" in probe(path).notes[0]


def test_other_formats_without_a_length_are_read_to_their_end(wave, tmp_path):
    made = {kind: packed(wave, kind) for kind in ("RF64", "AIFF", "W64", "CAF", "FLAC", "AU")}
    put(made["RF64"], b"data", 0xFFFFFFFF)
    put(made["RF64"], b"ds64", 0, width=8, behind=16)
    put(made["AIFF"], b"SSND", 0, "big")
    put(made["W64"], b"data\xf3\xac", 2**64 - 1, width=8, behind=16)
    put(made["CAF"], b"data", 2**64 - 1, "big", width=8)
    put(made["AU"], b".snd", 0xFFFFFFFF, "big", behind=8)
    fields = int.from_bytes(made["FLAC"][18:26], "big") >> 36 << 36  # the last 36 bits: samples
    made["FLAC"][18:26] = fields.to_bytes(8, "big")
    for kind, data in made.items():
        path = tmp_path / f"a.{kind.lower()}"
        path.write_bytes(data)
        np.testing.assert_array_equal(stored(read(path)), wave, err_msg=kind)
        assert probe(path).frames == 8000, kind
        assert kind == "AU" or "gives no length" in probe(path).notes[0], kind


@pytest.mark.parametrize("frames", [1, 4000, 4096, 4097, 70_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 96_000])
def test_the_last_frame_of_a_flac_tells_its_length(frames, channels, rate, tmp_path):
    wave = np.random.default_rng(0).integers(-99, 99, (frames, channels)).astype(np.int16)
    path = tmp_path / "a.flac"
    soundfile.write(path, wave, rate)
    data = bytearray(path.read_bytes())
    fields = int.from_bytes(data[18:26], "big")
    assert fields % 2**36 == frames
    data[18:26] = (fields - frames).to_bytes(8, "big")
    path.write_bytes(data)
    assert probe(path).frames == frames
    np.testing.assert_array_equal(np.rint(read(path)[0].T * 32768), wave)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS", "PCM_16"])
def test_all_of_a_chain_is_read(subtype, wave, tmp_path):
    """As radio streams are recorded, and files joined by `cat`."""
    kind = "FLAC" if subtype == "PCM_16" else "OGG"
    path, parts, packed_parts = tmp_path / "a", [], []
    for part in (wave, wave[:3000], wave[3000:7000]):
        soundfile.write(path, part / 40_000, RATE, subtype, format=kind)
        packed_parts.append(path.read_bytes())
        parts.append(read(path)[0])
    path.write_bytes(b"".join(packed_parts))
    np.testing.assert_array_equal(read(path)[0], np.concatenate(parts, axis=1))
    assert probe(path).frames == 15_000
    assert probe(path).notes == ("3 recordings stand one behind another; all are read",)
    blocks = [block.shape[1] for block in read_blocks(path, 1024)]
    assert set(blocks[:-1]) == {1024}


def test_a_chain_that_changes_its_rate_is_read_at_the_first_or_refused(
    wave, tmp_path, monkeypatch
):
    path, packed_parts = tmp_path / "a.ogg", []
    for rate in (16_000, 48_000):
        soundfile.write(path, wave / 40_000, rate, format="OGG")
        packed_parts.append(path.read_bytes())
    path.write_bytes(b"".join(packed_parts))
    found, rate = read(path)
    assert rate == 16_000 and abs(found.shape[1] - 8000 * 4 / 3) < 1000
    hide_ffmpeg(monkeypatch)
    with pytest.raises(BadFile, match="ffmpeg"):
        probe(path)


def test_an_honest_zero_is_no_sound(wave, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, wave[:0], RATE)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(BadFile, match="no samples"):
        probe(path)


def test_bytes_behind_the_promised_sound_are_told_and_chunks_are_not(wave, tmp_path):
    data = packed(wave, "WAV")
    path = tmp_path / "a.wav"
    path.write_bytes(data + b"note" + struct.pack("<I", 5) + b"hello\0")
    assert probe(path).notes == () and probe(path).frames == 8000
    put(data, b"data", 4000)
    path.write_bytes(data)
    assert probe(path).frames == 2000
    assert probe(path).notes[0].startswith("12000 bytes stand behind the 0.1 s")


def test_a_chunk_of_an_odd_length_without_its_padding(wave, tmp_path):
    data = packed(wave, "WAV")
    at = data.index(b"data")
    path = tmp_path / "a.wav"
    path.write_bytes(
        data[:at] + b"LIST" + struct.pack("<I", 13) + b"INFOISFT\1\0\0\0A" + data[at:]
    )
    np.testing.assert_array_equal(stored(read(path)), wave)


def test_a_recording_of_more_than_two_gigabytes_that_is_cut_off_is_refused(wave, tmp_path):
    data = packed(wave, "WAV")
    put(data, b"data", 3_000_000_000)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(BadFile, match="cut off: 2999984000 bytes are missing"):
        probe(path)
