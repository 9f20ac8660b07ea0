"""`python -m diff_audio.evaluate` on real files."""

import csv
import json

import numpy as np
import pytest
import scipy.stats
import soundfile

from diff_audio import metrics
from diff_audio.evaluate import main
from media import encode, hide_ffmpeg
from sound_pairs import last, two

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


def test_a_silent_estimate_counts_as_the_worst(tmp_path, speechlike, capsys):
    clean = speechlike(2.0)
    noisy = clean + 0.1 * np.std(clean) * np.random.default_rng(0).standard_normal(clean.shape)
    arguments = two(tmp_path, clean, noisy, ("a", "b"))
    two(tmp_path, clean, 0 * clean, ("silent",))
    assert main([*arguments, "--json", "--scores", "si_sdr,estoi,stoi,dnsmos"]) == 0
    a, _, silent, mean = last(capsys)
    assert silent["si_sdr"] == -100 and silent["dnsmos"] == 1 and silent["estoi"] == 0
    for name in ("si_sdr", "estoi", "stoi", "dnsmos"):
        assert mean["mean"][name]["count"] == 3
        assert mean["mean"][name]["mean"] == pytest.approx((2 * a[name] + silent[name]) / 3)
    assert main([*arguments, *FEW]) == 0
    out, err = capsys.readouterr()
    assert "-100.000" in out and "the estimate is silent" in err


@pytest.mark.pesq
def test_a_silent_estimate_has_the_worst_pesq(tmp_path, speechlike, capsys):
    clean = speechlike(2.0)
    assert main([*two(tmp_path, clean, 0 * clean), "--json", "--scores", "pesq"]) == 0
    assert last(capsys)[0]["pesq"] == 1.04


def test_perfect_and_silent_can_be_told_apart(tmp_path, speechlike, capsys):
    clean = speechlike(2.0)
    arguments = two(tmp_path, clean, clean, ("perfect",))
    two(tmp_path, clean, 0 * clean, ("silent",))
    table = tmp_path / "scores.csv"
    assert main([*arguments, "--json", "--csv", str(table), "--scores", "si_sdr,psnr"]) == 0
    perfect, silent, _ = last(capsys)
    assert (perfect["si_sdr"], perfect["psnr"]) == (100, 100)
    assert silent["si_sdr"] == -100 and 0 < silent["psnr"] < 30
    rows = list(csv.DictReader(table.open()))
    assert [float(row["si_sdr"]) for row in rows] == [100, -100]


def test_a_dead_channel_counts_and_a_silent_reference_channel_does_not(
    tmp_path, speechlike, capsys
):
    clean = speechlike(2.0, 16_000, 2)
    error = np.stack([orthogonal(np.random.default_rng(0).standard_normal(row.size), row)
                      for row in clean]) * 0.1  # fmt: skip
    dead = clean + error
    dead[1] = 0
    assert main([*two(tmp_path, clean, dead), "--json", *FEW]) == 0
    assert last(capsys)[0]["si_sdr"] == pytest.approx((20 - 100) / 2, abs=1e-3)
    half = clean.copy()
    half[1] = 0
    assert main([*two(tmp_path, half, clean + error), "--json", *FEW]) == 0
    out, err = capsys.readouterr()
    row = json.loads(out.splitlines()[0])
    assert row["si_sdr"] == pytest.approx(20, abs=1e-3)
    assert row["notes"] == ["the reference is silent in channel 2, which is not scored"]
    assert row["notes"][0] in err


def test_a_silent_reference_has_no_score_and_is_counted(tmp_path, speechlike, capsys):
    clean = speechlike(2.0)
    arguments = two(tmp_path, clean, clean + 0.1 * np.roll(clean, 500), ("a",))
    two(tmp_path, 0 * clean, clean, ("b",))
    assert main([*arguments, "--json", *FEW]) == 0
    _, none, mean = last(capsys)
    assert none["si_sdr"] is None
    assert (mean["mean"]["si_sdr"]["count"], mean["mean"]["si_sdr"]["undefined"]) == (1, 1)
    assert main([*arguments, *FEW]) == 0
    assert "no score" in capsys.readouterr().out


def test_what_failed_stands_beside_the_mean(folders, capsys):
    soundfile.write(folders / "ref/lonely.wav", np.zeros(100), 16_000)
    soundfile.write(folders / "est/a_denoised.wav", np.zeros(100), 8000)
    table = folders / "scores.csv"
    arguments = [str(folders / "ref"), str(folders / "est"), *FEW]
    assert main([*arguments, "--json", "--csv", str(table)]) == 1
    lines = last(capsys)
    assert {line["file"] for line in lines if "failed" in line and "file" in line} == {
        "a",
        "lonely",
    }
    assert lines[-1]["failed"] == 2 and lines[-1]["mean"]["si_sdr"]["count"] == 2
    rows = {row["file"]: row for row in csv.DictReader(table.open())}
    assert "8000 Hz" in rows["a"]["failed"] and rows["b"]["failed"] == ""
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "lonely" in out and "failed: has no counterpart" in out
    assert [line.split() for line in out.splitlines()][-1][0] == "failed"


def test_alignment_prints_the_lag_and_scores_the_overlap(tmp_path, speechlike, capsys):
    clean = speechlike(2.0)
    late = np.roll(clean, 2000, axis=1)  # as a causal system makes it: the tail is lost
    late[:, :2000] = 0
    arguments = two(tmp_path, clean, late)
    table = tmp_path / "scores.csv"
    assert main([*arguments, "--json", *FEW, "--align", "--csv", str(table)]) == 0
    row = last(capsys)[0]
    assert row["lag_ms"] == 125 and row["si_sdr"] == 100
    assert float(next(csv.DictReader(table.open()))["lag_ms"]) == 125
    assert main([*arguments, *FEW, "--align"]) == 0
    out = capsys.readouterr().out
    assert "lag, ms" in out and "125.000" in out


def test_a_turned_polarity_is_not_made_worse_by_alignment(tmp_path, speechlike, capsys):
    clean = speechlike(2.0)
    error = orthogonal(np.random.default_rng(0).standard_normal(clean.shape[1]), clean[0])
    arguments = [*two(tmp_path, clean, -(clean + 0.5 * error)), "--json", *FEW]
    assert main(arguments) == 0
    plain = last(capsys)[0]
    assert main([*arguments, "--align"]) == 0
    row = last(capsys)[0]
    assert row.pop("lag_ms") == 0
    scores = ("si_sdr", "estoi")
    assert [row[name] for name in scores] == pytest.approx([plain[name] for name in scores])


@pytest.mark.parametrize(
    ("lag", "option", "said"),
    [(320, [], "is delayed by 20 ms, which lowers its scores; --align undoes that"),
     (4000, ["--align"], "is delayed by 250 ms, more than the 150 ms that are undone")],
)  # fmt: skip
def test_a_delay_that_is_not_undone_is_reported(lag, option, said, tmp_path, speechlike, capsys):
    clean = np.pad(speechlike(2.0), ((0, 0), (4000, 4000)))
    assert main([*two(tmp_path, clean, np.roll(clean, lag, axis=1)), *FEW, *option]) == 0
    assert said in capsys.readouterr().err


def test_an_output_beside_the_reference_is_not_the_reference(tmp_path, speechlike, capsys):
    clean = speechlike(2.0)
    noisy = clean + 0.1 * np.roll(clean, 700)
    arguments = two(tmp_path, clean, noisy)
    soundfile.write(tmp_path / "ref/x_denoised.wav", noisy.T, 16_000, "DOUBLE")
    assert main([*arguments, "--json", *FEW]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[0])["si_sdr"] < 50
    assert "x_denoised.wav: left out: an output" in err
    assert main([*arguments, *FEW]) == 0
    assert "REF/NAME is compared with EST/NAME_denoised" in capsys.readouterr().out


def test_two_estimates_of_one_name_are_refused(tmp_path, speechlike, capsys):
    clean = speechlike(1.0)
    arguments = two(tmp_path, clean, clean, ("x", "y"))
    soundfile.write(tmp_path / "est/y.flac", clean.T, 16_000)
    assert main([*arguments, "--json", *FEW]) == 1
    out, err = capsys.readouterr()
    assert "y.flac and y.wav; keep one of them" in err
    assert '"file": "y", "group": ".", "failed"' in out


def crash(path):
    """Take the length out of the header of a WAV, as a recorder without power leaves it."""
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = bytes(4)
    path.write_bytes(data)


def test_what_is_odd_about_a_file_is_printed(tmp_path, speechlike, capsys):
    arguments = two(tmp_path, speechlike(1.0), speechlike(1.0), ("x", "y"))
    crash(tmp_path / "ref/x.wav")
    crash(tmp_path / "est/y.wav")
    assert main([*arguments, *FEW]) == 0
    err = capsys.readouterr().err
    said = "its header gives no length, as after a loss of power"
    assert f"{tmp_path / 'est/x.wav'}: of its reference: {said}" in err
    assert f"{tmp_path / 'est/y.wav'}: {said}" in err and err.count(said) == 2


def test_narrow_band_recordings_are_reported(tmp_path, speechlike, capsys):
    for folder in ("ref", "est"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "x.wav", speechlike(1.0, 8000).T, 8000)
    assert main([str(tmp_path / "ref"), str(tmp_path / "est"), *FEW]) == 0
    assert "x.wav: has 8000 Hz, and the scores are those of" in capsys.readouterr().err


def test_files_that_only_ffmpeg_reads_are_scored_or_counted(
    tmp_path, speechlike, capsys, monkeypatch
):
    clean = speechlike(1.0)
    arguments = two(tmp_path, clean, clean)
    encode(tmp_path / "ref/memo.m4a", 0.3 * clean, 16_000)
    (tmp_path / "est/memo_denoised.m4a").write_bytes((tmp_path / "ref/memo.m4a").read_bytes())
    assert main([*arguments, "--json", *FEW]) == 0
    assert [line.get("file") for line in last(capsys)] == ["memo", "x", None]
    hide_ffmpeg(monkeypatch)
    assert main([*arguments, *FEW]) == 0
    err = capsys.readouterr().err
    for folder in ("ref", "est"):
        assert f"{tmp_path / folder}: left out: 1 .m4a (not read; convert them to WAV" in err
    assert main([*arguments, *FEW, "--strict"]) == 1


def test_only_a_split_is_scored(tmp_path, speechlike, capsys):
    clean = speechlike(1.0)
    for part, name in (("train", "anna/a"), ("val", "bert/b"), ("Test", "carl/c")):
        for folder in ("ref", "est"):
            path = tmp_path / folder / part / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, clean.T, 16_000)
    arguments = [str(tmp_path / "ref"), str(tmp_path / "est"), *FEW]
    assert main([*arguments, "--json", "--split", "test"]) == 0
    assert [line.get("file") for line in last(capsys)] == ["Test/carl/c", None]
    assert main([*arguments, "--split", "val"]) == 0
    out = capsys.readouterr().out
    assert "1 for training, 1 for validation, 1 for the test" in out and "val/bert/b" in out
    manifest = tmp_path / "list.jsonl"
    manifest.write_text('{"file": "ref/train/anna/a.wav", "split": "test"}')
    assert main([*arguments, "--json", "--split", "test", "--manifest", str(manifest)]) == 0
    assert last(capsys)[0]["file"] == "train/anna/a"
    manifest.write_text('{"file": "ref/train/anna/a.wav", "split": "train"}')
    assert main([*arguments, "--split", "test", "--manifest", str(manifest)]) == 1
    assert "no recording is in split test" in capsys.readouterr().err
    assert main([*arguments, "--manifest", str(manifest)]) == 2
    assert main([str(tmp_path / "ref/val/bert/b.wav")] * 2 + ["--split", "test"]) == 2
