"""MP3s whose first header is wrong, or not there: everything that is in them is read."""

import io

import numpy as np
import pytest
import soundfile

from diff_audio.sound.read import BadFile, probe, read

RATE = 44_100
FRAME = 1152


def mp3(wave, rate=RATE, mode="VARIABLE", level=0.3):
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate, len(wave), format="MP3", compression_level=level, bitrate_mode=mode
    ) as file:
        file.write(wave.T)
    return buffer.getvalue()


def without_header(data):
    """The frames alone: the first frame, which holds the length, ends where the next begins."""
    tag = max(data.find(b"Xing"), data.find(b"Info"))
    start = data.rfind(b"\xff\xfb", 0, tag)
    assert start >= 0
    return data[data.index(b"\xff\xfb", tag) :]


def promising(data, frames):
    """The same with another number of frames in its header."""
    tag = max(data.find(b"Xing"), data.find(b"Info"))
    return data[: tag + 8] + frames.to_bytes(4, "big") + data[tag + 12 :]


def likeness(found, wave, start):
    """The correlation of the sound from `start` with a wave, at the best lag of a frame or two."""
    part = wave[0, 4000:16_000]
    best = -1.0
    for lag in range(-3000, 3001, 1):
        at = start + 4000 + lag
        if at >= 0 and at + len(part) <= found.shape[1]:
            best = max(best, float(np.dot(found[0, at : at + len(part)], part)))
    return best / float(np.dot(part, part))


@pytest.fixture
def two(speechlike):
    return speechlike(1.5, RATE, 1, seed=1), speechlike(1.0, RATE, 1, seed=2)


@pytest.mark.parametrize(("first", "second"), [("VARIABLE", "VARIABLE"), ("CONSTANT", "VARIABLE")])
def test_all_of_joined_files_is_read(first, second, two, tmp_path):
    path = tmp_path / "joined.mp3"
    path.write_bytes(mp3(two[0], mode=first) + mp3(two[1], mode=second))
    found, _ = read(path)
    frames = two[0].shape[1] + two[1].shape[1]
    assert frames <= found.shape[1] <= frames + 4 * FRAME
    assert likeness(found, two[0], 0) > 0.9 and likeness(found, two[1], two[0].shape[1]) > 0.9
    assert probe(path).frames == found.shape[1]
    assert "2 recordings stand one behind another" in probe(path).notes[0]


def test_tags_between_joined_files_are_no_sound(two, tmp_path):
    tag = b"ID3\x03\0\0\0\0\x02\x00" + bytes(256)
    old = b"TAG" + b"Title".ljust(125, b"\0")
    path = tmp_path / "joined.mp3"
    path.write_bytes(tag + mp3(two[0]) + old + tag + mp3(two[1]) + old)
    plain = tmp_path / "plain.mp3"
    plain.write_bytes(mp3(two[0]) + mp3(two[1]))
    np.testing.assert_array_equal(read(path)[0], read(plain)[0])
    assert not any("no sound" in note for note in probe(path).notes)


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize("quiet_first", [True, False])
def test_all_of_a_file_without_a_header_is_read(mode, quiet_first, two, tmp_path):
    """A decoder that guesses the length from the first bit rate is wrong by a factor."""
    loud = np.tile(two[0], 3)
    wave = np.concatenate([1e-4 * loud, loud][:: 1 if quiet_first else -1], axis=1)
    path = tmp_path / "stream.mp3"
    path.write_bytes(without_header(mp3(wave, mode=mode)))
    frames = wave.shape[1]
    assert frames <= read(path)[0].shape[1] <= frames + 3 * FRAME
    assert probe(path).notes == ()


def test_tags_at_the_end_are_no_sound(two, tmp_path):
    """APE tags have a footer, and a header only in newer files; ID3v1 follows them."""
    item = (5).to_bytes(4, "little") + bytes(4) + b"Title\0hello"

    def ape_end(flags):
        size = (len(item) + 32).to_bytes(4, "little")
        return b"APETAGEX" + (2000).to_bytes(4, "little") + size + b"\1\0\0\0" + flags + bytes(8)

    path, data = tmp_path / "a.mp3", without_header(mp3(two[0]))
    path.write_bytes(data)
    frames = probe(path).frames
    new = ape_end(b"\0\0\0\xa0") + item + ape_end(b"\0\0\0\x80")
    for tags in (item + ape_end(bytes(4)), new):
        path.write_bytes(data + tags + b"TAG".ljust(128, b"\0"))
        assert (probe(path).frames, probe(path).notes) == (frames, ())


def test_more_than_the_header_promises_is_read_and_told(two, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(promising(mp3(two[0]), 10))
    assert read(path)[0].shape[1] > 0.98 * two[0].shape[1]
    assert "longer than its header promises" in probe(path).notes[0]


@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_less_than_the_header_promises_is_refused(share, mode, two, tmp_path):
    data = mp3(two[0], mode=mode)
    path = tmp_path / "a.mp3"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BadFile, match=r"cut off: \d+ of \d+ frames are missing; copy it again"):
        probe(path)


def test_a_hole_is_told(two, tmp_path):
    data = mp3(two[0])
    path = tmp_path / "a.mp3"
    path.write_bytes(data[:4000] + data[9000:])
    with pytest.raises(BadFile, match="cut off"):
        probe(path)
    stream = without_header(data)
    path.write_bytes(stream[:4000] + b"rubbish" * 100 + stream[4000:])
    assert any("are no sound" in note for note in probe(path).notes)
    path.write_bytes(stream[:-7])
    assert "its last frame is cut off" in probe(path).notes[0]


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (22_050, 1), (8000, 1)])
def test_a_right_header_gives_what_the_library_gives(rate, channels, mode, tmp_path, speechlike):
    path = tmp_path / "a.mp3"
    wave = speechlike(1.0, rate, channels)
    path.write_bytes(mp3(wave, rate, mode))
    found, _ = read(path)
    expected = soundfile.read(path, always_2d=True)[0].T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert probe(path).notes == ()
    if mode == "CONSTANT" or rate > 8000:
        assert found.shape[1] == wave.shape[1]


def test_the_bit_rate_is_that_of_the_frames(two, tmp_path):
    path = tmp_path / "a.mp3"
    for level, kbps in ((0.0, 320), (1 - (128 - 32) / 288, 128)):
        path.write_bytes(mp3(two[0], mode="CONSTANT", level=level))
        assert probe(path).bit_rate == pytest.approx(1000 * kbps, rel=0.01)
