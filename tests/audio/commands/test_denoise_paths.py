"""Names that a user may give by mistake: one line says so, and what is there is left alone."""

import os

import pytest
import soundfile

from diff_audio.denoise import main


@pytest.fixture
def told(weights, capsys, monkeypatch, tmp_path):
    """told("a.wav", ...) -> (exit code, lines on standard error), in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = main([*map(str, arguments), "--weights", str(weights), "--device", "cpu"])
        return code, capsys.readouterr().err.splitlines()

    return run


@pytest.fixture
def recording(tmp_path, speechlike):
    """recording("d/a.wav") writes a short one there, and returns its bytes."""

    def write(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * speechlike(0.2)[0], 16_000)
        return path.read_bytes()

    return write


def test_a_recording_is_never_denoised_into_itself(told, recording, tmp_path):
    before = recording("d/a.wav")
    os.link("d/a.wav", "b.wav")
    for inputs, output in (("d/a.wav", "d/a.wav"), ("d", "d"), ("d/a.wav", "b.wav")):
        code, lines = told(inputs, "-o", output, "--overwrite")
        assert code == 1 and len(lines) == 1 and "is the input itself" in lines[0]
    assert (tmp_path / "d/a.wav").read_bytes() == before
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["a.wav", "b.wav"]


def test_into_the_folder_above(told, recording, tmp_path):
    recording("d/a.wav")
    assert told("d", "-o", ".") == (0, [])
    assert soundfile.info(tmp_path / "a.wav").frames == 3200


@pytest.mark.parametrize("option", ["--report", "--confidence"])
def test_a_page_never_replaces_a_recording(option, told, recording, tmp_path):
    before = recording("a.wav")
    for name in ("a.wav", "a_denoised.wav"):
        code, lines = told("a.wav", option, name, "--overwrite")
        assert code == 2 and len(lines) == 1 and name in lines[0]
    assert (tmp_path / "a.wav").read_bytes() == before
    assert os.listdir() == ["a.wav"]


def test_a_page_or_picture_that_exists_is_kept_unless_told(told, recording, tmp_path):
    recording("a.wav")
    for option, name in (("--report", "p.html"), ("--picture", "p.png")):
        (tmp_path / name).write_text("precious")
        code, lines = told("a.wav", option, name)
        assert code == 2 and len(lines) == 1 and "exists; add --overwrite" in lines[0]
        assert (tmp_path / name).read_text() == "precious"
    assert told("a.wav", "--picture", "p.png", "--overwrite") == (0, [])
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--picture", "p.txt"], "p.txt is no picture"),
        (["--report", "p.html", "--reference", "none.wav"], "none.wav: no such file"),
        (["-o", "b.mp4"], "b.mp4 is of a kind that cannot be written"),
        (["--report", "p.html", "--confidence", "./p.html"], "p.html is named for two outputs"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(options, said, told, recording):
    recording("a.wav")
    code, lines = told("a.wav", *options)
    assert code == 2 and len(lines) == 1 and said in lines[0]
    assert os.listdir() == ["a.wav"]


def test_folders_of_pages_are_made(told, recording, tmp_path):
    recording("a.wav")
    assert told("a.wav", "--confidence", "new/folder/c.json") == (0, [])
    assert (tmp_path / "new/folder/c.json").exists()


def test_a_folder_in_the_place_of_the_output(told, recording, tmp_path):
    recording("a.wav")
    (tmp_path / "a_denoised.wav").mkdir()
    code, lines = told("a.wav", "--overwrite")
    assert code == 1 and len(lines) == 1 and "a_denoised.wav)" in lines[0]
    assert sorted(os.listdir()) == ["a.wav", "a_denoised.wav"]


def test_an_old_name_that_is_no_utf_8(told, recording):
    """As of archives packed on systems with another alphabet; Linux takes any bytes."""
    recording("a.wav")
    os.rename(b"a.wav", b"Gespr\xe4ch.wav")
    code, lines = told(os.fsdecode(b"Gespr\xe4ch.wav"), "--report", "p.html")
    assert (code, lines) == (0, [])
    assert sorted(os.listdir(b".")) == [b"Gespr\xe4ch.wav", b"Gespr\xe4ch_denoised.wav", b"p.html"]
