"""What libsndfile does not know, read by ffmpeg; the same on a machine without it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import correlate

from diff_audio.sound import ffmpeg
from diff_audio.sound.names import check_output, sound_files, written_name
from diff_audio.sound.read import BadFile, Recording, probe, read, read_blocks, read_start
from diff_audio.sound.write import Writer, container_for
from media import encode, hide_ffmpeg

RATE = 48_000
VIDEO = ["-f", "lavfi", "-i", "color=c=red:s=32x32:d=1.2:r=5"]


def alike(found, wave):
    """The signal-to-noise ratio in dB, at the best lag of a packet."""
    part = wave[0, 5000:40_000]
    lag = int(np.argmax(correlate(found[0, 2800:42_200], part, "valid"))) - 2200
    gap = found[0, 5000 + lag : 40_000 + lag] - part
    return 10 * np.log10(np.sum(part**2) / np.sum(gap**2)), lag


@pytest.fixture
def wave(speechlike):
    return speechlike(1.2, RATE, 2)


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.mov", "a.aac", "a.wma", "a.webm", "a.mka"])
def test_lossy_files_are_read(name, wave, tmp_path):
    codec = "wmav2" if name == "a.wma" else "libopus" if name == "a.webm" else "aac"
    path = encode(tmp_path / name, wave, RATE, "-c:a", codec, "-b:a", "128k", "-strict", "-2")
    found, rate = read(path)
    assert rate == RATE and found.shape[0] == 2
    assert abs(found.shape[1] - wave.shape[1]) < 3000
    assert alike(found, wave)[0] > 8
    header = probe(path)
    assert header.frames == found.shape[1] and 30_000 < header.bit_rate < 200_000
    assert header.notes == ()


@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "alac"), ("a.mkv", "flac"), ("a.wv", "wavpack")]
)
def test_lossless_files_are_read_to_the_bit(name, codec, wave, tmp_path):
    path = encode(tmp_path / name, wave, RATE, "-c:a", codec)
    soundfile.write(tmp_path / "a.wav", wave.T, RATE, "PCM_16")
    np.testing.assert_array_equal(read(path)[0], read(tmp_path / "a.wav")[0])
    assert probe(path).bit_rate is None and probe(path).subtype == "PCM_16"
    blocks = list(read_blocks(path, 1000))
    assert {block.shape[1] for block in blocks[:-1]} == {1000}
    np.testing.assert_array_equal(read_start(path, 1234), np.concatenate(blocks, 1)[:, :1234])


def test_the_first_of_several_sound_tracks_is_read_and_told(wave, tmp_path):
    path = encode(tmp_path / "a.mkv", wave, RATE, "-map", "0:a", "-map", "0:a", "-c:a", "flac")
    assert probe(path).notes == ("it has 2 sound tracks; the first is read",)


def test_a_video_without_sound_and_a_damaged_file_are_refused(wave, tmp_path):
    silent = encode(tmp_path / "a.mp4", wave, RATE, *VIDEO, "-map", "1:v", "-c:v", "mpeg4")
    with pytest.raises(BadFile, match="holds no sound"):
        probe(silent)
    (tmp_path / "b.m4a").write_bytes(bytes(range(256)) * 30)
    with pytest.raises(BadFile, match=r"not a sound file that can be read .*convert it"):
        probe(tmp_path / "b.m4a")


@pytest.mark.parametrize(
    ("name", "options"), [("a.m4a", ("-movflags", "faststart")), ("a.mka", ())]
)
def test_a_file_that_is_cut_off_is_refused(name, options, wave, tmp_path):
    path = encode(tmp_path / name, wave, RATE, "-c:a", "aac", *options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadFile, match="cut off"):
        probe(path)


def test_a_wrong_ending_does_not_matter(wave, tmp_path):
    path = encode(tmp_path / "a.m4a", wave, RATE, "-c:a", "alac").rename(tmp_path / "a.wav")
    assert probe(path).frames == wave.shape[1]
    assert container_for(probe(path), tmp_path / "b.wav") == ("WAV", "PCM_16")


@pytest.mark.parametrize(
    "name", ["-i.m4a", "http:a.m4a", "concat:a|b.m4a", "pipe:0.m4a", "a%03d.m4a"]
)
def test_a_name_is_only_a_name(name, wave, tmp_path, monkeypatch):
    path = encode(tmp_path / "plain.m4a", wave, RATE, "-c:a", "alac").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).frames == wave.shape[1] and path.exists()
    with Writer("copy" + name, probe(name), "M4A", "ALAC") as writer:
        for block in read_blocks(name):
            writer.write(block)
    np.testing.assert_array_equal(read("copy" + name)[0], read(name)[0])


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.wav\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_a_playlist_does_not_open_other_files(text, wave, tmp_path):
    soundfile.write(tmp_path / "secret.wav", wave.T, RATE)
    (tmp_path / "a.m4a").write_text(text)
    with pytest.raises(BadFile, match="not a sound file"):
        probe(tmp_path / "a.m4a")


def test_m4a_is_written_at_no_less_than_the_bit_rate_of_the_source(wave, tmp_path):
    path = encode(tmp_path / "a.m4a", np.tile(wave, 4), RATE, "-c:a", "aac", "-b:a", "128k")
    found = probe(path)
    with Writer(tmp_path / "b.m4a", found, *container_for(found, tmp_path / "b.m4a")) as writer:
        for block in read_blocks(path):
            writer.write(block)
    again = probe(tmp_path / "b.m4a")
    assert found.bit_rate <= again.bit_rate < 1.5 * found.bit_rate
    assert found.frames <= again.frames < found.frames + 1024
    ratio, lag = alike(read(tmp_path / "b.m4a")[0], read(path)[0])
    assert lag == 0 and ratio > 10


def test_m4a_made_of_no_other_file_has_its_tags(wave, tmp_path, monkeypatch):
    """As of spoken text: what lies at the name that stands for it is not looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "speech.wav").write_text("another file")
    like = Recording(
        Path("speech.wav"), RATE, 2, 0, "WAV", "PCM_16", tags={"comment": "Synthetic"}
    )
    with Writer("b.m4a", like, "M4A", "AAC") as writer:
        writer.write(wave)
    assert probe("b.m4a").tags["comment"] == "Synthetic"
    assert abs(probe("b.m4a").frames - wave.shape[1]) < 1024


def test_m4a_at_a_rate_that_aac_does_not_have_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 192_000)
    with pytest.raises(BadFile, match="cannot be written at 192000 Hz with 1 channels"):
        Writer(tmp_path / "b.m4a", probe(tmp_path / "a.wav"), "M4A", "AAC")


def test_names_of_outputs(tmp_path):
    named = {"a.mp4": "a.m4a", "a.webm": "a.m4a", "a.M4A": "a.M4A", "a.wv": "a.flac"}
    for name, written in {**named, "a.wav": "a.wav"}.items():
        assert written_name(tmp_path / name) == tmp_path / written
    with pytest.raises(ValueError, match=r"a\.mp4 is of a kind that cannot be written"):
        check_output(tmp_path / "a.mp4")
    check_output(tmp_path / "a.m4a")
    check_output(None)
    assert sound_files().matches(tmp_path / "A.MOV")


def test_without_ffmpeg_one_line_says_how_to_get_it(wave, tmp_path, monkeypatch):
    path = encode(tmp_path / "my memo.m4a", wave, RATE, "-c:a", "alac")
    wrong = tmp_path / "wrong.wav"
    wrong.write_bytes(path.read_bytes())
    hide_ffmpeg(monkeypatch)
    assert ffmpeg.find() is None
    for file, name in ((path, "'my memo.m4a'"), (wrong, "wrong.wav")):
        with pytest.raises(BadFile) as refused:
            probe(file)
        text = str(refused.value)
        assert 'pip install "diff-audio[ffmpeg]"' in text
        assert f"ffmpeg -i {name} converted.wav" in text and "damaged" not in text
    assert not sound_files().matches(path)
    assert written_name(tmp_path / "a.mp4") == tmp_path / "a.flac"
    soundfile.write(tmp_path / "b.wav", wave.T, RATE)
    with pytest.raises(BadFile, match="ffmpeg, which is not installed; name the output .wav"):
        Writer(tmp_path / "c.m4a", probe(tmp_path / "b.wav"), "M4A", "AAC")


def test_the_wheel_serves_where_the_path_has_none(wave, tmp_path, monkeypatch):
    path = encode(tmp_path / "a.m4a", wave, RATE, "-c:a", "alac")
    monkeypatch.setenv("PATH", "")
    found = ffmpeg.find()
    assert found is not None and "imageio_ffmpeg" in found
    assert probe(path).frames == wave.shape[1]


def test_an_mp3_that_changes_its_rate_is_read(speechlike, tmp_path, monkeypatch):
    path = tmp_path / "a.mp3"
    parts = []
    for rate in (48_000, 22_050):
        soundfile.write(tmp_path / "part.mp3", speechlike(1.0, rate).T, rate)
        parts.append((tmp_path / "part.mp3").read_bytes())
    path.write_bytes(b"".join(parts))
    found, rate = read(path)
    assert rate == 48_000 and abs(found.shape[1] - 2 * rate) < 8000
    hide_ffmpeg(monkeypatch)
    with pytest.raises(BadFile, match="ffmpeg"):
        read(path)
