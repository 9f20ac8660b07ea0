"""Sound files: what is read is what was written, and what is broken is called broken."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from diff_audio.sound.read import BadFile, probe, read, read_blocks
from diff_audio.sound.write import Writer, container_for

LOSSLESS = [
    ("WAV", "PCM_U8", 8),
    ("WAV", "PCM_16", 16),
    ("WAV", "PCM_24", 24),
    ("WAV", "PCM_32", 32),
    ("WAVEX", "PCM_16", 16),
    ("RF64", "PCM_24", 24),
    ("FLAC", "PCM_16", 16),
    ("FLAC", "PCM_24", 24),
    ("AIFF", "PCM_16", 16),
    ("W64", "PCM_16", 16),
]


def copy(source, target):
    """Through our reader and writer."""
    found = probe(source)
    with Writer(target, found, *container_for(found, target)) as writer:
        for block in read_blocks(source, block=100):
            writer.write(block)
    return writer


@pytest.mark.parametrize(("container", "subtype", "bits"), LOSSLESS)
def test_integer_samples_survive_bit_for_bit(container, subtype, bits, tmp_path):
    rng = np.random.default_rng(0)
    limit = 2 ** (bits - 1)
    whole = rng.integers(-limit, limit, (999, 2))
    whole[:2] = [[limit - 1, -limit], [0, -1]]
    source, target = tmp_path / "a.snd", tmp_path / "b.snd"
    soundfile.write(
        source, (whole << (32 - bits)).astype(np.int32), 44_100, subtype, format=container
    )
    written = copy(source, target)
    samples, rate = soundfile.read(target, dtype="int32")
    np.testing.assert_array_equal(samples >> (32 - bits), whole)
    info = soundfile.info(target)
    assert (info.format, info.subtype, rate, written.clipped) == (container, subtype, 44_100, 0)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_samples_survive_beyond_full_scale(subtype, tmp_path):
    wave = np.random.default_rng(0).standard_normal(500).astype(np.float32) * 3
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype)
    assert copy(tmp_path / "a.wav", tmp_path / "b.wav").clipped == 0
    np.testing.assert_array_equal(soundfile.read(tmp_path / "b.wav", dtype="float32")[0], wave)


@given(st.integers(0, 2**16))
def test_integers_are_rounded_to_the_nearest_and_cut_at_full_scale(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("round")
    soundfile.write(folder / "a.wav", np.zeros(4), 16_000, "PCM_16")
    wave = np.random.default_rng(seed).uniform(-1.2, 1.2, (1, 200))
    with Writer(folder / "b.wav", probe(folder / "a.wav"), "WAV", "PCM_16") as writer:
        writer.write(wave)
    expected = np.clip(np.rint(wave[0] * 32768), -32768, 32767)
    np.testing.assert_array_equal(soundfile.read(folder / "b.wav", dtype="int16")[0], expected)
    assert writer.clipped == np.sum(np.rint(wave * 32768) != expected)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", "MPEG_LAYER_III")]
)
def test_lossy_formats_keep_length_and_kind(name, subtype, tmp_path, speechlike):
    source, target = tmp_path / name, tmp_path / f"out_{name}"
    container = {"a.mp3": "MP3"}.get(name, "OGG")
    wave = speechlike(1.2345, 48_000, 2)
    soundfile.write(source, wave.T, 48_000, subtype, format=container)
    copy(source, target)
    info = soundfile.info(target)
    assert (info.frames, info.subtype, info.channels) == (wave.shape[1], subtype, 2)
    before, after = soundfile.read(source)[0], soundfile.read(target)[0]
    assert np.corrcoef(before[:, 0], after[:, 0])[0, 1] > 0.98


def test_tags_survive(tmp_path):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 16_000, 1, "PCM_16") as file:
        file.title, file.artist, file.comment = "Title", "Artist", "Comment"
        file.write(np.zeros(100))
    copy(tmp_path / "a.flac", tmp_path / "b.flac")
    with soundfile.SoundFile(tmp_path / "b.flac") as file:
        assert (file.title, file.artist, file.comment) == ("Title", "Artist", "Comment")


def test_another_ending_is_another_format_with_the_same_samples_where_possible(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000, "PCM_24")
    found = probe(tmp_path / "a.wav")
    assert container_for(found, tmp_path / "b.flac") == ("FLAC", "PCM_24")
    assert container_for(found, tmp_path / "b.ogg") == ("OGG", "VORBIS")
    assert container_for(found, tmp_path / "b.WAV") == ("WAV", "PCM_24")
    with pytest.raises(BadFile, match="no known sound format"):
        container_for(found, tmp_path / "b.txt")


def test_read_is_channels_first(tmp_path, speechlike):
    wave = speechlike(0.1, 16_000, 3)
    soundfile.write(tmp_path / "a.wav", wave.T, 16_000, "DOUBLE")
    samples, rate = read(tmp_path / "a.wav")
    np.testing.assert_array_equal(samples, wave)
    assert rate == 16_000


@pytest.mark.parametrize("name", ["a.wav", "a.ogg", "a.flac"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_every_cut_off_file_is_refused(name, share, tmp_path, speechlike):
    soundfile.write(tmp_path / name, speechlike(2.0)[0], 16_000)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(BadFile, match=r"cut off|damaged"):
        read(tmp_path / name)


def test_a_wav_from_a_pipe_has_no_length_and_is_read(tmp_path, speechlike):
    soundfile.write(tmp_path / "a.wav", speechlike(0.5)[0], 16_000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    position = data.index(b"data") + 4
    data[4:8] = data[position : position + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "b.wav").write_bytes(data)
    np.testing.assert_array_equal(read(tmp_path / "b.wav")[0], read(tmp_path / "a.wav")[0])
