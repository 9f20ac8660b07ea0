"""Recordings at the edge of what is one: denoised, or refused in one line, nothing left behind."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from diff_audio.denoise import main
from diff_audio.denoiser.denoiser import Denoiser


@pytest.fixture
def denoise(weights):
    return lambda *arguments: main(
        [*map(str, arguments), "--weights", str(weights), "--device", "cpu"]
    )


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def after(path):
    return soundfile.read(path.with_stem(path.stem + "_denoised"))[0]


def test_a_constant_offset_changes_the_speech_little(tmp_path, speechlike):
    """With the network that comes with the package: a small one at random has no reason to."""
    wave = speechlike(2.0)[0]
    denoiser = Denoiser.from_pretrained(device="cpu")
    plain = denoiser(wave, 16_000)
    moved = denoiser(wave + 0.1, 16_000)
    inner = slice(1600, -1600)  # where the offset begins there is a click
    speech = (moved - moved.mean())[inner] - plain[inner]
    assert np.isfinite(moved).all() and np.std(speech) < 0.3 * np.std(plain[inner])


def test_a_constant_alone_is_survived(denoise, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.5), 16_000, "DOUBLE")
    assert denoise(tmp_path / "a.wav") == 0
    assert np.abs(after(tmp_path / "a.wav")).max() < 2


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 192_000])
@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_one_sample_and_ten_milliseconds(rate, seconds, denoise, tmp_path, speechlike):
    frames = max(1, round(seconds * rate))
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.ones((frames, 2)), rate, "PCM_16")
    options = "--keep-noise", "--confidence", tmp_path / "c.json", "--steps", "2"
    assert denoise(path, *options, "--samples", "2") == 0
    assert after(path).shape == (frames, 2)


@pytest.mark.parametrize("factor", [1e37, 2.0**31, 1e6, 1e-6])
def test_floats_far_from_full_scale_come_back_at_their_level(
    factor, denoise, tmp_path, speechlike
):
    wave = speechlike(1.0)[0]
    outs = []
    for scale in (1.0, factor):
        soundfile.write(tmp_path / "a.wav", scale * wave, 16_000, "FLOAT")
        assert denoise(tmp_path / "a.wav", "--overwrite") == 0
        outs.append(after(tmp_path / "a.wav") / scale)
    np.testing.assert_allclose(outs[1], outs[0], atol=1e-5)


def test_what_32_bits_cannot_hold_is_refused(denoise, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 1e300), 16_000, "DOUBLE")
    assert denoise(tmp_path / "a.wav") == 1
    assert "beyond 1e38 times full scale; scale them" in capsys.readouterr().err
    assert names(tmp_path) == ["a.wav"]


def lying(path, change):
    """Adds `change` bytes to the length that the header of the WAV file says."""
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    (length,) = struct.unpack_from("<I", data, place)
    struct.pack_into("<I", data, place, length + change)
    path.write_bytes(bytes(data))


def test_a_header_that_promises_more_is_refused(denoise, tmp_path, speechlike, capsys):
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(0.5)[0], 16_000, "PCM_16")
    lying(path, 1000)
    assert denoise(path) == 1
    assert "is cut off: 1000 bytes are missing" in capsys.readouterr().err
    assert names(tmp_path) == ["a.wav"]


def test_a_header_that_promises_less_is_believed(denoise, tmp_path, speechlike):
    """What follows may be another chunk or rubbish, so only what is promised is sound."""
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(0.5)[0], 16_000, "PCM_16")
    lying(path, -1000)
    assert denoise(path) == 0
    assert len(after(path)) == 8000 - 500


@pytest.mark.slow
def test_four_hours_of_silence_with_a_word(weights, tmp_path, speechlike):
    """A sparse file of 230 MB, four times that as it is read: the process stays under 700 MB."""
    path = tmp_path / "long.wav"
    word = (10_000 * speechlike(1.0, 8000)[0]).astype("<i2").tobytes()
    size = 4 * 3600 * 8000 * 2
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt ")
        file.write(struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16_000, 2, 16))
        file.write(b"data" + struct.pack("<I", size))
        file.seek(44 + size // 2)
        file.write(word)
        file.truncate(44 + size)
    script = (
        "import pathlib, resource, sys; from diff_audio.denoise import main; "
        "code = main(sys.argv[1:]); peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "status = pathlib.Path('/proc/self/status'); "
        "peak = int(status.read_text().split('VmHWM:')[1].split()[0]) if status.exists() "
        "else peak // 1024; print(peak); sys.exit(code)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(path), "-o", str(tmp_path / "out.flac"), "--quiet"]
        + ["--weights", str(weights), "--device", "cpu"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(out.stdout) < 700_000  # kB
    with soundfile.SoundFile(tmp_path / "out.flac") as file:
        assert file.frames == size // 2
        file.seek(size // 4)
        assert np.abs(file.read(8000)).max() > 0.01
        assert not file.read(16_000)[8000:].any()


def test_a_folder_with_a_corrupt_file_is_done_but_for_that(denoise, tmp_path, speechlike, capsys):
    for name in ("a.wav", "c.flac", "sub/d.ogg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / name, speechlike(0.3)[0], 16_000)
    (tmp_path / "in" / "b.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing of the kind")
    capsys.readouterr()
    assert denoise(tmp_path / "in", "-o", tmp_path / "out", "--recursive") == 1
    err = [line for line in capsys.readouterr().err.splitlines() if "full scale" not in line]
    assert len(err) == 2 and "b.wav" in err[0] and "1 of 4 failed" in err[1]
    assert names(tmp_path / "out") == ["a.wav", "c.flac", "sub/d.ogg"]


def test_an_interrupted_run_goes_on_where_it_stopped(denoise, tmp_path, speechlike, capsys):
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", speechlike(0.3)[0], 16_000)
    done = tmp_path / "a_denoised.wav"
    done.write_text("done before")
    assert denoise(tmp_path, "--skip-existing") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{tmp_path / 'a.wav'}: {done} exists, skipped" and len(out) == 3
    assert done.read_text() == "done before"
    assert names(tmp_path) == [f"{name}{tag}.wav" for name in "abc" for tag in ("", "_denoised")]
    assert denoise(tmp_path, "--skip-existing", "--json") == 0
    assert capsys.readouterr().out.count('"skipped": true') == 3
    assert denoise(tmp_path, "--skip-existing", "--overwrite") == 2


@pytest.mark.slow
def test_two_processes_on_one_folder_do_each_file_once(weights, denoise, tmp_path, speechlike):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        soundfile.write(folder / f"{name}.wav", speechlike(1.0)[0], 16_000)
    command = [sys.executable, "-m", "diff_audio.denoise", str(folder), "--skip-existing"]
    command += ["-o", str(tmp_path / "out"), "--weights", str(weights), "--device", "cpu"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = "".join(process.communicate()[0] for process in running).splitlines()
    assert [process.returncode for process in running] == [0, 0]
    assert len([line for line in lines if " -> " in line]) == 4  # each by one of them
    assert len([line for line in lines if line.endswith("skipped")]) == 4
    assert denoise(folder, "-o", tmp_path / "alone") == 0
    assert names(tmp_path / "out") == names(tmp_path / "alone") == [f"{n}.wav" for n in "abcd"]
    assert not list(tmp_path.rglob("*.lock"))
    for name in names(tmp_path / "out"):
        both = [(tmp_path / place / name).read_bytes() for place in ("out", "alone")]
        assert both[0] == both[1]


def test_names_in_other_alphabets(denoise, tmp_path, speechlike, capsys):
    folder = tmp_path / "Запись – 録音 🎙"
    folder.mkdir()
    soundfile.write(folder / "Gespräch №1.wav", speechlike(0.3)[0], 16_000)
    page = folder / "Bericht ä.html"
    assert denoise(folder / "Gespräch №1.wav", "--report", page) == 0
    assert "Gespräch №1_denoised.wav" in capsys.readouterr().out
    assert "Gespräch №1.wav" in page.read_text(encoding="utf-8")


def test_an_input_that_may_only_be_read(denoise, tmp_path, speechlike):
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(0.3)[0], 16_000)
    os.chmod(path, 0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert denoise(path) == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert os.access(tmp_path / "a_denoised.wav", os.W_OK)
