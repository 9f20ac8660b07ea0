"""`python -m diff_audio.evaluate` on real files."""

import csv
import json

import numpy as np
import pytest
import scipy.stats
import soundfile

from diff_audio import metrics
from diff_audio.evaluate import main

FEW = ["--scores", "si_sdr,estoi"]  # the others take their time


@pytest.fixture
def folders(tmp_path, speechlike):
    """Three pairs with errors of 0, 10 and 20 dB, one at another rate, one in stereo."""
    rng = np.random.default_rng(0)
    for name, decibels, rate, channels in (
        ("a", 0, 16_000, 1),
        ("b", 10, 48_000, 1),
        ("c", 20, 16_000, 2),
    ):
        clean = speechlike(2.5, rate, channels)
        error = np.stack([orthogonal(rng.standard_normal(clean.shape[1]), row) for row in clean])
        noisy = clean + error * 10 ** (-decibels / 20)
        for folder, wave, file in (
            ("ref", clean, f"{name}.wav"),
            ("est", noisy, f"{name}_denoised.wav"),
        ):
            (tmp_path / folder / "sub").mkdir(parents=True, exist_ok=True)
            place = tmp_path / folder / ("sub" if name == "c" else "") / file
            soundfile.write(place, wave.T, rate, "DOUBLE")
    return tmp_path


def orthogonal(error, signal):
    """`error` without its mean and its part along `signal`, of the energy of `signal`."""
    signal = signal - signal.mean()
    error = error - error.mean()
    error -= error @ signal / (signal @ signal) * signal
    return error * np.linalg.norm(signal) / np.linalg.norm(error)


def test_scores_by_file_mean_and_interval(folders, capsys):
    path = folders / "scores.csv"
    code = main([str(folders / "ref"), str(folders / "est"), "--csv", str(path), "--json", *FEW])
    assert code == 0
    rows = {row["file"]: row for row in csv.DictReader(path.open())}
    assert set(rows) == {"a", "b", "sub/c"}
    assert float(rows["a"]["si_sdr"]) == pytest.approx(0, abs=1e-6)
    assert float(rows["sub/c"]["si_sdr"]) == pytest.approx(20, abs=1e-6)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = lines[-1]["mean"]["si_sdr"]
    values = [float(row["si_sdr"]) for row in rows.values()]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(values), scipy.stats.sem(values))
    assert found["count"] == 3
    assert found["mean"] == pytest.approx((low + high) / 2)
    assert found["half_width"] == pytest.approx((high - low) / 2)
    assert [line["file"] for line in lines if "file" in line] == list(rows)


def test_two_files_and_definitions(folders, capsys):
    assert main([str(folders / "ref/a.wav"), str(folders / "est/a_denoised.wav")]) == 0
    out = capsys.readouterr().out
    for name in metrics.available():
        assert metrics.DEFINITIONS[name] in out
    assert "a.wav" in out and "95 %" in out


def test_a_delay_is_undone_on_request(tmp_path, speechlike, capsys):
    wave = speechlike(2.0)[0]
    soundfile.write(tmp_path / "ref.wav", wave, 16_000, "DOUBLE")
    soundfile.write(tmp_path / "est.wav", np.pad(wave, (777, 0)), 16_000, "DOUBLE")
    arguments = [str(tmp_path / "ref.wav"), str(tmp_path / "est.wav"), "--json", *FEW]
    assert main(arguments) == 1
    assert "--align" in capsys.readouterr().err
    assert main([*arguments, "--align"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["si_sdr"] > 20


def test_what_cannot_be_compared_is_listed_and_the_rest_scored(folders, capsys):
    soundfile.write(folders / "ref/lonely.wav", np.zeros(100), 16_000)
    soundfile.write(folders / "est/extra.wav", np.zeros(100), 16_000)
    soundfile.write(folders / "est/a_denoised.wav", np.zeros(100), 8000)
    assert main([str(folders / "ref"), str(folders / "est"), "--json", *FEW]) == 1
    out, err = capsys.readouterr()
    assert (
        "lonely.wav" in err and "extra.wav" in err and "8000 Hz" in err and "3 of 5 failed" in err
    )
    assert [json.loads(line).get("file") for line in out.splitlines()][:2] == ["b", "sub/c"]


def test_faults_of_use(folders, tmp_path, capsys):
    assert main([str(folders / "ref"), str(folders / "ref/a.wav")]) == 2
    assert "two files or two folders" in capsys.readouterr().err
    path = tmp_path / "old.csv"
    path.write_text("precious")
    assert main([str(folders / "ref"), str(folders / "est"), "--csv", str(path)]) == 2
    assert path.read_text() == "precious"
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), str(tmp_path / "empty")]) == 1
    assert "no sound files" in capsys.readouterr().err


def test_groups_have_their_own_means(folders, capsys):
    out = folders / "scores.csv", folders / "scores.svg"
    arguments = [str(folders / "ref"), str(folders / "est"), "--json", *FEW]
    assert main([*arguments, "--csv", str(out[0]), "--plot", str(out[1])]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("group") for line in lines] == [".", ".", "sub", ".", "sub", None]
    expected = (lines[0]["si_sdr"] + lines[1]["si_sdr"]) / 2
    assert lines[3]["mean"]["si_sdr"]["mean"] == pytest.approx(expected)
    assert lines[3]["mean"]["si_sdr"]["count"] == 2 and "file" not in lines[3]
    assert lines[4]["mean"]["si_sdr"]["mean"] == pytest.approx(20, abs=1e-6)
    assert [row["group"] for row in csv.DictReader(out[0].open())] == [".", ".", "sub"]
    drawing = out[1].read_text()
    assert "<svg" in drawing
    assert main([*arguments[:2], "--plot", str(out[1])]) == 2
    assert "scores.svg exists" in capsys.readouterr().err


def test_groups_by_name(folders, capsys):
    arguments = [str(folders / "ref"), str(folders / "est"), *FEW]
    assert main([*arguments, "--group", "([ab])|c"]) == 0
    out = capsys.readouterr().out
    assert "\na\n" in out and "\nb\n" in out and "\nall\n" in out
    assert main([*arguments, "--group", "b"]) == 2
    assert "does not match the name 'a'" in capsys.readouterr().err
    assert main([*arguments, "--group", "("]) == 2
    assert "no regular expression" in capsys.readouterr().err
    assert main([*arguments[:2], "--scores", "si_sdr,beauty"]) == 2
    assert "--scores are among" in capsys.readouterr().err


@pytest.mark.parametrize("library", ["pesq", "speechmos"])
def test_a_missing_library_is_named(library, folders, monkeypatch, capsys):
    """Where it is not installed, the rest is scored."""
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == library else find(n, *a)
    )
    pair = [str(folders / "ref/a.wav"), str(folders / "est/a_denoised.wav")]
    assert main([*pair, "--json", "--scores", "pesq,dnsmos,estoi"]) == 0
    out, err = capsys.readouterr()
    score = "pesq" if library == "pesq" else "dnsmos"
    assert f"{score.upper()} is left out" in err and f"pip install 'diff-audio[{score}]'" in err
    row = json.loads(out.splitlines()[0])
    assert score not in row and "estoi" in row
