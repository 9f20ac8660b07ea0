"""The inspect command, as a user types it, on folders with known faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from diff_audio.data.survey import BANDS, survey
from diff_audio.inspect import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three speakers at two rates, and one file of each fault."""
    root = tmp_path / "speech"
    rng = np.random.default_rng(0)
    for number, speaker in enumerate(("anna", "bert", "carl")):
        (root / speaker).mkdir(parents=True)
        for index in range(2):
            rate = 16000 if number else 44100
            wave = 0.1 * rng.standard_normal((rate, 1 + number % 2))
            soundfile.write(root / speaker / f"{index}.wav", wave, rate, subtype="FLOAT")
    (root / "anna" / "empty.wav").write_bytes(b"")
    (root / "anna" / "rubbish.flac").write_bytes(b"no sound at all")
    whole = (root / "bert" / "0.wav").read_bytes()
    (root / "bert" / "cut.wav").write_bytes(whole[:-3000])
    wave = 0.1 * rng.standard_normal(8000)
    wave[5] = np.nan
    soundfile.write(root / "carl" / "nan.wav", wave, 16000, subtype="FLOAT")
    soundfile.write(root / "carl" / "silent.wav", np.zeros(8000), 16000)
    return root


FAULTS = {
    "empty.wav": "is empty",
    "rubbish.flac": "is not a sound file",
    "cut.wav": "is cut off: 3000 bytes",
    "nan.wav": "NaN",
    "silent.wav": "is silent",
}


def test_the_command_as_a_user_types_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "seen.png"
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert main([str(folder), "-o", str(picture)]) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert len(lines) == len(FAULTS)
    for name, fault in FAULTS.items():
        assert sum(name in line and fault in line for line in lines) == 1
    assert all(text in out for text in ("plain", "16000", "44100"))
    assert Image.open(picture).size == (1320, 840)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_json_has_every_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in FAULTS:
        next(folder.rglob(name)).unlink()
    assert main([str(folder), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["kind"], r["split"]) for r in rows] == [("speech", "train"), ("speech", "val")]
    assert sum(r["files"] for r in rows) == 6
    assert sum(r["speakers"] for r in rows) == 3
    assert sum(r["hours"] for r in rows) == pytest.approx(6 / 3600, abs=2e-4)
    assert sorted({rate for r in rows for rate in r["rates"]}) == [16000, 44100]


def test_remarks_copies_and_leaks_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    time = np.arange(16000) / 16000
    for name, wave in (
        ("clipped", np.clip(2 * np.sin(2000 * time), -0.9, 0.9)),
        ("loud", 3 * np.sin(2000 * time) * np.hanning(16000)),
        ("offset", 0.3 + 0.1 * np.sin(2000 * time)),
        ("fine", 0.3 * np.sin(2000 * time) * np.hanning(16000)),
    ):
        for part in ("train", "val"):
            path = tmp_path / part / "clean" / f"p1_{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave, 16000, subtype="FLOAT")
            (tmp_path / part / "noisy").mkdir(exist_ok=True)
            soundfile.write(tmp_path / part / "noisy" / path.name, wave + 1e-3, 16000)
    assert main([str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "VoiceBank-DEMAND" in said
    for text in ("looks clipped", "up to 3", "has an offset of 0.3", "copies of others"):
        assert text in said
    assert "speaker voicebank/p1 is in the splits train and val" in said
    assert "p1_fine.wav: " not in said


def test_a_manifest_gives_speakers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * np.ones(8000) * (-1) ** ord(name), 8000)
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"file": "a.wav", "speaker": "x", "text": "hello"}')
    assert main([str(tmp_path), "--manifest", str(manifest), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["layout"] for row in rows} == {"manifest"}
    assert rows[0]["with text"] == 1


def test_a_manifest_that_names_what_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(8000)), 8000)
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"file": "a.wav"}\n{"file": "gone.wav"}')
    assert main([str(tmp_path), "--manifest", str(manifest)]) == 1
    assert f"{tmp_path / 'gone.wav'}: no such file" in capsys.readouterr().err


def test_outputs_are_said_to_be_left_out(tmp_path: Path) -> None:
    for name in ("a", "a_denoised", "b"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * np.sin(np.arange(8000)), 8000)
    done = subprocess.run(
        [sys.executable, "-m", "diff_audio.inspect", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "2 of 2 files were decoded" in done.stdout
    assert done.stderr.splitlines() == [
        f"diff_audio.inspect: {tmp_path}: 1 left out: outputs of diff_audio beside what they "
        "were made from, such as a_denoised.wav"
    ]


def test_what_is_odd_about_a_file_and_what_is_left_out_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "crashed.wav", 0.1 * np.sin(np.arange(8000)), 8000)
    data = bytearray((tmp_path / "crashed.wav").read_bytes())
    data[40:44] = bytes(4)  # the length that its header gives
    (tmp_path / "crashed.wav").write_bytes(data)
    for name in ("memo.m4a", "talk.m4a", "old.dsf", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "crashed.wav: its header gives no length" in out
    assert err.splitlines() == [
        f"diff_audio.inspect: {tmp_path}: left out: 1 .dsf, 2 .m4a (not read as training data; "
        "convert them to WAV or FLAC)"
    ]


def test_spectrum_is_in_hertz_and_not_beyond_the_rate(tmp_path: Path) -> None:
    for rate in (8000, 48000):
        time = np.arange(rate) / rate
        soundfile.write(tmp_path / f"{rate}.wav", 0.3 * np.sin(2 * np.pi * 1000 * time), rate)
    for one in survey(tmp_path).found:
        assert one.recording is not None and one.spectrum is not None
        assert BANDS[np.nanargmax(one.spectrum)] == pytest.approx(1000, rel=0.1)
        assert np.array_equal(np.isnan(one.spectrum), BANDS > one.recording.rate / 2)
        assert one.level == pytest.approx(20 * np.log10(0.3 / 2**0.5), abs=0.2)


def test_wrong_use_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken.png"
    taken.write_bytes(b"precious")
    (tmp_path / "none").mkdir()
    for arguments, code, said in (
        ([str(tmp_path / "missing")], 1, "no such folder"),
        ([str(tmp_path / "none")], 1, "no sound files"),
        ([str(folder), "-o", str(taken)], 2, "add --overwrite"),
        ([], 2, "Missing argument"),
    ):
        assert main(arguments) == code
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1
    assert taken.read_bytes() == b"precious"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom diff_audio.inspect import main\nprint(main(['--help']))\n"
        "print([m for m in ('torch', 'soundfile', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0", "[]"]
