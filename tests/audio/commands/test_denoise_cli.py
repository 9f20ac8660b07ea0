"""`python -m diff_audio.denoise` on real files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diff_audio.denoise import main
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import Settings
from diff_audio.weights import path_of


@pytest.fixture
def denoise(weights):
    """denoise("in.wav", "--json") runs the command with the small network, gives its code."""
    return lambda *arguments: main(
        [*map(str, arguments), "--weights", str(weights), "--device", "cpu"]
    )


@pytest.fixture
def recording(tmp_path, speechlike) -> Path:
    path = tmp_path / "in.wav"
    soundfile.write(path, speechlike(1.0, 16_000).T, 16_000, "PCM_16")
    return path


FORMATS = [
    ("a.wav", "WAV", "PCM_16", 8000, 1),
    ("a.wav", "WAV", "PCM_24", 44_100, 2),
    ("a.wav", "WAV", "PCM_32", 48_000, 1),
    ("a.wav", "WAV", "FLOAT", 96_000, 2),
    ("a.wav", "WAV", "DOUBLE", 16_000, 8),
    ("a.wav", "WAV", "ULAW", 8000, 1),
    ("a.flac", "FLAC", "PCM_24", 192_000, 2),
    ("a.flac", "FLAC", "PCM_16", 22_050, 6),
    ("a.ogg", "OGG", "VORBIS", 44_100, 2),
    ("a.opus", "OGG", "OPUS", 48_000, 1),
    ("a.mp3", "MP3", "MPEG_LAYER_III", 44_100, 1),
    ("a.aiff", "AIFF", "PCM_16", 11_025, 1),
]


@pytest.mark.parametrize(("name", "container", "subtype", "rate", "channels"), FORMATS)
def test_output_is_like_the_input(
    name, container, subtype, rate, channels, denoise, tmp_path, speechlike
):
    wave = speechlike(0.7321, rate, channels)
    soundfile.write(tmp_path / name, wave.T, rate, subtype, format=container)
    assert denoise(tmp_path / name) == 0
    info = soundfile.info(tmp_path / f"a_denoised{Path(name).suffix}")
    found = info.samplerate, info.channels, info.frames, info.format, info.subtype
    assert found == (rate, channels, wave.shape[1], container, subtype)


def test_file_and_memory_agree(denoise, weights, tmp_path, speechlike):
    wave = speechlike(25.0, 22_050, 2)  # several pieces
    soundfile.write(tmp_path / "in.wav", wave.T, 22_050, "DOUBLE")
    assert denoise(tmp_path / "in.wav", "--limit", "20") == 0
    found, _ = soundfile.read(tmp_path / "in_denoised.wav")
    whole = Denoiser.from_pretrained(weights, device="cpu")
    expected = whole(wave, 22_050, Settings(limit_db=20.0)).T
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.abs(found - wave.T).max() > 0.01


def test_scaled_input_gives_scaled_output(denoise, tmp_path, speechlike):
    wave = speechlike(1.0).T
    results = []
    for name, factor in (("loud.wav", 1.0), ("soft.wav", 0.001)):
        soundfile.write(tmp_path / name, factor * wave, 16_000, "DOUBLE")
        assert denoise(tmp_path / name) == 0
        results.append(
            soundfile.read(tmp_path / name.replace(".wav", "_denoised.wav"))[0] / factor
        )
    np.testing.assert_allclose(*results, atol=1e-5)


def test_tags_are_kept(denoise, tmp_path, speechlike):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 16_000, 1, "PCM_16") as file:
        file.title = "Interview"
        file.write(speechlike(0.3)[0])
    assert denoise(tmp_path / "a.flac") == 0
    with soundfile.SoundFile(tmp_path / "a_denoised.flac") as file:
        assert file.title == "Interview"


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_silence_is_returned_unchanged(subtype, denoise, tmp_path):
    soundfile.write(tmp_path / "in.wav", np.zeros((5000, 2)), 44_100, subtype)
    assert denoise(tmp_path / "in.wav") == 0
    assert not soundfile.read(tmp_path / "in_denoised.wav")[0].any()


def test_limit_of_zero_decibels_returns_the_input(denoise, recording):
    assert denoise(recording, "--limit", "0") == 0
    before, after = (
        soundfile.read(path, dtype="int16")[0]
        for path in (recording, recording.with_name("in_denoised.wav"))
    )
    np.testing.assert_array_equal(before, after)


def test_same_seed_same_file(denoise, recording, tmp_path):
    for name, seed in (("a.wav", 3), ("b.wav", 3), ("c.wav", 4)):
        options = "--samples", "2", "--steps", "2", "--seed", seed
        assert denoise(recording, "-o", tmp_path / name, *options) == 0
    a, b, c = (soundfile.read(tmp_path / name)[0] for name in ("a.wav", "b.wav", "c.wav"))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_json_says_what_was_done(denoise, recording, capsys):
    bad = recording.with_name("bad.wav")
    bad.write_text("not sound")
    assert denoise(recording, bad, "--json", "--steps", "4") == 1
    done, failed = map(json.loads, capsys.readouterr().out.splitlines())
    assert done["output"] == str(recording.with_name("in_denoised.wav"))
    assert (done["rate"], done["channels"], done["frames"], done["steps"]) == (
        16_000,
        1,
        16_000,
        4,
    )
    assert done["subtype"] == "PCM_16" and done["took"] > 0
    assert failed["input"] == str(bad) and "not a sound file" in failed["error"]


def test_quiet_prints_nothing(denoise, recording, capsys):
    assert denoise(recording, "--quiet", "--limit", "0") == 0
    assert capsys.readouterr() == ("", "")


def test_folders_keep_their_tree(denoise, tmp_path, speechlike):
    source, target = tmp_path / "in", tmp_path / "out"
    for name in ("a.wav", "sub/b.flac", "sub/deep/c.ogg", ".hidden/d.wav"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(source / name, speechlike(0.2)[0], 16_000)
    (source / "notes.txt").write_text("not sound, and not asked for")
    assert denoise(source, "-o", target) == 0
    assert files_of(target) == ["a.wav"]
    assert denoise(source, "-o", target, "--recursive", "--overwrite") == 0
    assert files_of(target) == ["a.wav", "sub/b.flac", "sub/deep/c.ogg"]


def test_a_folder_run_twice_does_not_denoise_its_own_output(denoise, recording):
    folder = recording.parent
    assert denoise(folder) == 0
    assert denoise(folder, "--overwrite") == 0
    assert files_of(folder) == ["in.wav", "in_denoised.wav"]


def test_patterns_are_expanded(denoise, tmp_path, speechlike):
    for name in ("a1.wav", "a2.wav", "b.wav"):
        soundfile.write(tmp_path / name, speechlike(0.2)[0], 16_000)
    assert denoise(tmp_path / "a*.wav", "-o", tmp_path / "out") == 0
    assert files_of(tmp_path / "out") == ["a1.wav", "a2.wav"]


def test_a_name_with_brackets_is_a_name(denoise, tmp_path, speechlike):
    soundfile.write(tmp_path / "take [1].wav", speechlike(0.2)[0], 16_000)
    assert denoise(tmp_path / "take [1].wav") == 0
    assert (tmp_path / "take [1]_denoised.wav").exists()


def test_output_in_another_format(denoise, recording, tmp_path):
    assert denoise(recording, "-o", tmp_path / "new" / "out.flac") == 0
    info = soundfile.info(tmp_path / "new" / "out.flac")
    assert (info.format, info.subtype, info.frames) == ("FLAC", "PCM_16", 16_000)


def test_clipping_is_told_and_not_hidden_by_rescaling(
    denoise, weights, tmp_path, speechlike, capsys
):
    wave = speechlike(1.0)
    wave *= 0.999 / np.abs(wave).max()
    expected = Denoiser.from_pretrained(weights, device="cpu")(wave * 3, 16_000)
    soundfile.write(tmp_path / "float.wav", 3 * wave.T, 16_000, "DOUBLE")
    assert denoise(tmp_path / "float.wav", "-o", tmp_path / "out.flac") == 0
    over = int(
        np.sum(np.rint(expected * 2**15) > 2**15 - 1)
        + np.sum(np.rint(expected * 2**15) < -(2**15))
    )
    assert over > 0
    assert soundfile.info(tmp_path / "out.flac").subtype == "PCM_16"
    assert f"{over} samples lay beyond full scale" in capsys.readouterr().err


def files_of(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_help_is_quick_because_nothing_heavy_is_imported():
    script = (
        "import sys; from diff_audio.denoise import main; main(['--help']); "
        "print({'torch', 'torchaudio', 'scipy', 'soundfile', 'librosa'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "--recursive" in out.stdout and out.stdout.rstrip().endswith("set()")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("diff-audio ")


@pytest.mark.slow
def test_the_command_as_a_user_runs_it(recording, monkeypatch, capsys):
    """With the weights that come with the package, from another folder."""
    monkeypatch.chdir(recording.parent)
    assert main(["in.wav"]) == 0
    assert capsys.readouterr().out.startswith("in.wav -> in_denoised.wav")
    assert soundfile.info(recording.with_name("in_denoised.wav")).frames == 16_000
    assert path_of("denoise").stat().st_size < 15e6


# Linux counts the starting process into ru_maxrss, but not into VmHWM.
PEAK = """
import pathlib, resource, sys
from diff_audio.denoise import main
code = main(sys.argv[1:])
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(status.read_text().split("VmHWM:")[1].split()[0])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(code)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_length(weights, tmp_path, speechlike):
    """Three times the length, at 48 kHz in stereo, needs no more than a few more megabytes: less
    than the 46 that two minutes have as 32-bit numbers.
    """
    minute = (speechlike(60.0, 48_000, 2).T * 32767).astype(np.int16)
    peaks = []
    for minutes in (1, 3):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as file:
            for _ in range(minutes):
                file.write(minute)
        command = [sys.executable, "-c", PEAK, str(path), "--quiet", "--weights", str(weights)]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(out.stdout) / 1024)
    assert peaks[1] < peaks[0] + 40 and peaks[1] < 1500
