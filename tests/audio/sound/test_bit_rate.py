"""Lossy files are written with no fewer bits per second than they had, and not with many more."""

import io

import numpy as np
import pytest
import soundfile

from diff_audio.sound.read import probe, read, read_blocks
from diff_audio.sound.write import Writer, container_for

RATE = 48_000


def kbps(path):
    """An independent measure: the size of the file by its length."""
    return path.stat().st_size * 8 / soundfile.info(path).duration / 1000


def copy(source, target):
    found = probe(source)
    with Writer(target, found, *container_for(found, target)) as writer:
        for block in read_blocks(source):
            writer.write(block)
    return target


def snr(path, wave):
    found = read(path)[0]
    assert found.shape == wave.shape
    return 10 * np.log10(np.sum(wave**2) / np.sum((found - wave) ** 2))


@pytest.mark.parametrize(
    ("name", "subtype", "level", "mode"),
    [
        ("a.mp3", "MPEG_LAYER_III", 1 - (320 - 32) / 288, "CONSTANT"),
        ("a.mp3", "MPEG_LAYER_III", 1 - (192 - 32) / 288, "CONSTANT"),
        ("a.mp3", "MPEG_LAYER_III", 0.3, "VARIABLE"),
        ("a.ogg", "VORBIS", 0.1, None),
        ("a.ogg", "VORBIS", 0.6, None),
        ("a.opus", "OPUS", 0.5, None),
        ("a.opus", "OPUS", 0.8, None),
    ],
)
def test_the_bit_rate_is_kept(name, subtype, level, mode, tmp_path, speechlike):
    source, wave = tmp_path / name, speechlike(4.0, RATE, 2)
    container = "MP3" if mode else "OGG"
    options = {"compression_level": level} | ({"bitrate_mode": mode} if mode else {})
    soundfile.write(source, wave.T, RATE, subtype, format=container, **options)
    target = copy(source, tmp_path / f"out_{name}")
    assert kbps(source) <= 1.005 * kbps(target) < 1.5 * kbps(source)
    # a second generation loses no more than the first did
    assert snr(target, read(source)[0]) > snr(source, wave) - 1.0


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (11_025, 2), (16_000, 1), (22_050, 2)])
def test_a_low_bit_rate_still_tells_its_length(rate, channels, tmp_path, speechlike):
    """An MP3's first frame must have room for the length, or a decoder adds silence."""
    source, wave = tmp_path / "a.mp3", speechlike(1.3, rate, channels)
    options = {"compression_level": 0.95, "bitrate_mode": "CONSTANT"}
    soundfile.write(source, wave.T, rate, "MPEG_LAYER_III", format="MP3", **options)
    target = copy(source, tmp_path / "out.mp3")
    assert soundfile.info(target).frames == probe(source).frames


def test_what_was_not_lossy_becomes_a_good_mp3(tmp_path, speechlike):
    soundfile.write(tmp_path / "a.wav", speechlike(2.0, RATE, 2).T, RATE)
    assert kbps(copy(tmp_path / "a.wav", tmp_path / "a.mp3")) == pytest.approx(256, rel=0.05)


def test_pictures_do_not_count_as_sound(tmp_path, speechlike):
    """The bit rate of an Ogg file is that of the pages behind its headers."""
    from mutagen.oggopus import OggOpus

    path = tmp_path / "a.opus"
    soundfile.write(path, speechlike(2.0, RATE).T, RATE, "OPUS", format="OGG")
    before = probe(path).bit_rate
    tagged = OggOpus(path)
    tagged["metadata_block_picture"] = ["A" * 200_000]
    tagged.save()
    assert probe(path).bit_rate == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("kind", ["MP3", "VORBIS", "OPUS"])
@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "au", "caf", "w64", "rf64"])
def test_lossy_files_become_lossless_ones(kind, suffix, tmp_path, speechlike):
    source = tmp_path / ("a.mp3" if kind == "MP3" else "a.ogg")
    subtype = "MPEG_LAYER_III" if kind == "MP3" else kind
    container = "MP3" if kind == "MP3" else "OGG"
    soundfile.write(source, speechlike(0.5, 16_000).T, 16_000, subtype, format=container)
    target = copy(source, tmp_path / f"b.{suffix}")
    found, wave = soundfile.read(target)[0], read(source)[0][0]
    assert soundfile.info(target).format == suffix.upper()
    np.testing.assert_allclose(found, wave, atol=2**-15)


def test_a_wav_with_mp3_inside_becomes_a_plain_one(tmp_path, speechlike):
    buffer = io.BytesIO()
    soundfile.write(buffer, speechlike(1.0, RATE, 2).T, RATE, format="MP3")
    data = buffer.getvalue()
    head = b"WAVEfmt " + (30).to_bytes(4, "little") + b"\x55\0\2\0" + RATE.to_bytes(4, "little")
    head += (16_000).to_bytes(4, "little") + b"\1\0\0\0\x0c\0" + b"\1\0\2\0\0\0\x80\4\1\0\x71\5"
    body = head + b"data" + len(data).to_bytes(4, "little") + data
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    assert probe(path).frames == RATE
    target = copy(path, tmp_path / "b.wav")
    assert soundfile.info(target).subtype == "PCM_16" and soundfile.info(target).frames == RATE
