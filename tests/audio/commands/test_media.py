"""The command on the files that people have: phone memos, podcasts, videos, crashed recorders."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mutagen.mp4 import MP4

from diff_audio.denoise import main
from diff_audio.sound.read import probe, read
from media import encode, hide_ffmpeg

RATE = 16_000


@pytest.fixture
def denoise(weights):
    return lambda *arguments: main(
        [*map(str, arguments), "--weights", str(weights), "--device", "cpu"]
    )


@pytest.fixture
def wave(speechlike):
    return 0.3 * speechlike(0.8, RATE)


def lossy(path: Path, wave):
    kind = {".mp3": ("MP3", "MPEG_LAYER_III"), ".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS")}
    container, subtype = kind[path.suffix]
    soundfile.write(path, wave.T, RATE, subtype, format=container)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus"])
def test_a_lossy_file_becomes_a_wav(name, denoise, wave, tmp_path):
    assert denoise(lossy(tmp_path / name, wave), "-o", tmp_path / "out.wav", "--keep-noise") == 0
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.format, info.subtype, info.frames) == ("WAV", "PCM_16", wave.shape[1])


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus", "a.m4a", "a.wav"])
@pytest.mark.parametrize("option", [("--mix", "0"), ("--limit", "0")])
def test_where_nothing_changes_a_lossy_file_is_the_input_again(
    name, option, denoise, wave, tmp_path
):
    """To encode it once more would change every sample."""
    path = tmp_path / name
    if name == "a.wav":
        soundfile.write(path, wave.T, RATE, "IMA_ADPCM")
    else:
        path = encode(path, wave, RATE) if name == "a.m4a" else lossy(path, wave)
    assert denoise(path, *option, "--keep-noise") == 0
    out = path.with_stem("a_denoised")
    assert out.read_bytes() == path.read_bytes()
    removed = tmp_path / ("a_removed.wav" if name == "a.wav" else f"a_removed_{name[2:]}.wav")
    assert not soundfile.read(removed)[0].any()


def test_a_folder_of_recordings_of_every_kind(denoise, wave, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "a.wav", wave.T, RATE)
    encode(folder / "b.m4a", wave, RATE)
    encode(folder / "c.webm", wave, RATE, "-c:a", "libopus")
    lavfi = ["-f", "lavfi", "-i", "color=c=red:s=32x32:d=0.8:r=5", "-map", "0:a", "-map", "1:v"]
    encode(folder / "d.mp4", wave, RATE, *lavfi, "-c:v", "mpeg4")
    encode(folder / "e.wv", wave, RATE, "-c:a", "wavpack")
    assert denoise(folder, "-o", tmp_path / "out") == 0
    made = ["a.wav", "b.m4a", "c.m4a", "d.m4a", "e.flac"]
    assert names(tmp_path / "out") == made
    for name in made:
        found = probe(tmp_path / "out" / name)
        assert abs(found.frames / found.rate - 0.8) < 0.1
    assert MP4(tmp_path / "out" / "d.m4a").info.codec.startswith("mp4a")
    err = capsys.readouterr().err
    assert f"{folder / 'd.mp4'}: the sound alone is written, as M4A" in err
    assert "b.m4a: " not in err
    assert denoise(folder, "--keep-noise") == 0 and denoise(folder, "--skip-existing") == 0
    assert names(folder) == sorted(
        ["a.wav", "b.m4a", "c.webm", "d.mp4", "e.wv", "a_denoised.wav", "a_removed.wav"]
        + [f"{n}_denoised.m4a" for n in "bcd"] + [f"{n}_removed_m4a.wav" for n in "bcd"]
        + ["e_denoised.flac", "e_removed.flac"]
    )  # fmt: skip


def test_the_removed_part_of_an_m4a_adds_up(denoise, wave, tmp_path):
    path = encode(tmp_path / "a.m4a", wave, RATE)
    assert denoise(path, "--keep-noise") == 0
    before, after = read(path)[0], read(tmp_path / "a_denoised.m4a")[0]
    removed, _ = soundfile.read(tmp_path / "a_removed_m4a.wav", always_2d=True)
    assert np.array_equal(before, after[:, : before.shape[1]] + removed.T)


def test_a_video_is_no_output(denoise, wave, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", wave.T, RATE)
    assert denoise(tmp_path / "a.wav", "-o", tmp_path / "b.mp4") == 2
    assert "end it in .m4a" in capsys.readouterr().err
    assert denoise(tmp_path / "a.wav", "-o", tmp_path / "b.m4a") == 0
    assert probe(tmp_path / "b.m4a").subtype == "AAC"


def test_without_ffmpeg_each_memo_has_one_line(denoise, wave, tmp_path, capsys, monkeypatch):
    path = encode(tmp_path / "memo.m4a", wave, RATE)
    hide_ffmpeg(monkeypatch)
    assert denoise(path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ffmpeg -i memo.m4a" in line and 'pip install "diff-audio[ffmpeg]"' in line
    assert names(tmp_path) == ["memo.m4a"]


def test_joined_files_and_crashed_recorders_are_done_whole_with_a_line(
    denoise, wave, tmp_path, capsys
):
    lossy(tmp_path / "a.mp3", wave)
    data = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(data + data)
    soundfile.write(tmp_path / "b.wav", wave.T, RATE)
    crashed = bytearray((tmp_path / "b.wav").read_bytes())
    crashed[40:44] = bytes(4)
    (tmp_path / "b.wav").write_bytes(crashed)
    assert denoise(tmp_path, "--json") == 0
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert first["seconds"] >= 1.6 and second["seconds"] == 0.8
    assert "2 recordings stand one behind another" in first["notes"][0]
    assert "its header gives no length" in second["notes"][0]
    lines = [
        f"{tmp_path / name}: {one['notes'][0]}"
        for name, one in (("a.mp3", first), ("b.wav", second))
    ]
    assert err.splitlines() == [f"diff_audio.denoise: {line}" for line in lines]
