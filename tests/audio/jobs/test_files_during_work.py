"""Outputs that appear and inputs that change while a recording is denoised; kinds left out."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diff_audio.denoise import main
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.jobs.denoise import denoise_file
from media import hide_ffmpeg


@pytest.fixture
def source(tmp_path, speechlike):
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * speechlike(0.5)[0], 16_000)
    return path


@pytest.fixture
def denoise(weights):
    return lambda *arguments: main(
        [*map(str, arguments), "--weights", str(weights), "--device", "cpu"]
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["b.wav", "b_removed.wav"])
def test_a_file_that_appears_during_the_work_is_kept(name, source, weights, tmp_path):
    model = Denoiser.from_pretrained(weights, device="cpu")
    precious = tmp_path / name

    def appear(_part: object) -> None:
        precious.write_text("precious")

    with pytest.raises(FileExistsError, match=f"{name} (appeared|exists)"):
        denoise_file(model, source, tmp_path / "b.wav", keep_noise=True, on_part=appear)
    assert precious.read_text() == "precious" and names(tmp_path) == ["a.wav", name]


def test_an_input_that_changes_while_it_is_read_makes_nothing(source, weights, tmp_path):
    """Of the same length, so that nothing else notices it."""
    model = Denoiser.from_pretrained(weights, device="cpu")

    def change(_part: object) -> None:
        soundfile.write(source, np.zeros(8000), 16_000)
        os.utime(source, ns=(0, 0))

    with pytest.raises(OSError, match=r"a\.wav: changed while it was read"):
        denoise_file(model, source, tmp_path / "b.wav", on_part=change)
    assert names(tmp_path) == ["a.wav"]


def test_outputs_are_as_private_as_the_input(source, denoise, tmp_path):
    source.chmod(0o600)
    page, picture = tmp_path / "p.html", tmp_path / "p.png"
    assert denoise(source, "--keep-noise", "--report", page, "--picture", picture) == 0
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    target = tmp_path / "a_denoised.wav"
    target.chmod(0o640)
    assert denoise(source, "--overwrite") == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_link_as_output_is_followed_with_overwrite_only(source, denoise, tmp_path, capsys):
    (tmp_path / "far").mkdir()
    link = tmp_path / "b.wav"
    link.symlink_to("far/b.wav")
    assert denoise(source, "-o", link) == 1
    assert "exists; add --overwrite" in capsys.readouterr().err
    assert denoise(source, "-o", link, "--overwrite") == 0
    assert link.is_symlink() and soundfile.info(tmp_path / "far/b.wav").frames == 8000


def test_what_a_folder_holds_besides_is_counted(source, denoise, tmp_path, capsys, monkeypatch):
    hide_ffmpeg(monkeypatch)  # which would read them
    for name in ("memo.m4a", "memo2.m4a", "film.mov", "notes.txt"):
        (tmp_path / name).write_text("x")
    assert denoise(tmp_path, "--strict") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "left out: 2 .m4a, 1 .mov (not read; convert" in line
    assert (tmp_path / "a_denoised.wav").exists()
    assert denoise(source, "--strict", "--overwrite") == 0
    assert denoise(tmp_path, "--overwrite") == 0


def test_a_hostile_name_is_one_line(denoise, source, tmp_path, capsys):
    name = "x\nforged: line\x1b[31m\u202e.wav"
    os.rename(source, tmp_path / name)
    (tmp_path / f"bad{name}").write_text("x")
    assert denoise(tmp_path) == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1 and len(shown.err.splitlines()) == 2
    for text in (shown.out, shown.err):
        assert r"x\nforged: line\x1b[31m\u202e" in text and "\x1b" not in text
