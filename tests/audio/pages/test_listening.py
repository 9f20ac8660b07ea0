"""Blind listening tests: what listeners get, what they cannot learn from it, and the scores."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.stats import t

from diff_audio.listen import main
from diff_audio.metrics.listening import read_answers, score_answers
from diff_audio.sound.loudness import Loudness

RATE = 16_000
TIME = np.arange(RATE) / RATE


@pytest.fixture
def folders(tmp_path, speechlike):
    """Clean recordings, one quieter system with a hum, and one at another rate."""
    for folder in ("clean", "hum", "half"):
        (tmp_path / folder).mkdir()
    for number, name in enumerate("ab"):
        wave = 0.2 * speechlike(1.0, seed=number)[0] + 0.01 * np.sin(2 * np.pi * 6000 * TIME)
        soundfile.write(tmp_path / f"clean/{name}.wav", wave, RATE, subtype="FLOAT")
        hum = 0.25 * (wave + 0.02 * np.sin(2 * np.pi * 100 * TIME))
        soundfile.write(tmp_path / f"hum/{name}_denoised.wav", hum, RATE, subtype="FLOAT")
        soundfile.write(tmp_path / f"half/{name}.wav", wave[::2], RATE // 2, subtype="FLOAT")
    return tmp_path


def make(folder: Path, *more: str) -> int:
    systems = ("--system", f"hum={folder / 'hum'}", "--system", f"half={folder / 'half'}")
    return main(["make", str(folder / "clean"), *systems, "-o", str(folder / "trial"), *more])


def sounds(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The sounds by recording and system, by the key."""
    key = json.loads((folder / "trial/key.json").read_text())["trials"]
    return {
        names["name"]: {
            system: soundfile.read(folder / f"trial/test/sounds/{token}.flac")[0]
            for token, system in names.items()
            if token != "name"
        }
        for names in key.values()
    }


def page(folder: Path) -> tuple[str, dict]:
    text = (folder / "trial/test/index.html").read_text()
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return text, json.loads(data[1])


def test_all_versions_have_the_rate_the_length_and_the_loudness_of_the_reference(folders):
    assert make(folders) == 0
    for versions in sounds(folders).values():
        assert set(versions) == {"reference", "anchor", "hum", "half"}
        assert {len(wave) for wave in versions.values()} == {RATE}
        levels = []
        for wave in versions.values():
            meter = Loudness(RATE, 1)
            meter.add(wave[None])
            levels.append(meter.of())
        assert max(levels) - min(levels) < 0.05  # LU


def test_the_anchor_is_the_reference_under_its_cut_off(folders):
    assert make(folders, "--anchor", "3000") == 0
    spectra = {
        name: np.abs(np.fft.rfft(wave * np.hanning(RATE))) ** 2
        for name, wave in sounds(folders)["a"].items()
    }
    high, low = slice(3300, None), slice(200, 2000)  # bins of 1 Hz
    share = {name: power[high].sum() / power[low].sum() for name, power in spectra.items()}
    assert share["anchor"] < 1e-4 * share["reference"]
    assert make(folders, "--anchor", "0") == 2  # the folder is there
    assert not (folders / "other").exists()


def test_a_listener_cannot_learn_which_sound_is_whose(folders):
    assert make(folders) == 0
    text, data = page(folders)
    files = {path.stem for path in (folders / "trial/test/sounds").iterdir()}
    for trial in data["trials"]:
        assert set(trial) == {"trial", "reference", "sounds"}
        assert trial["sounds"] == sorted(trial["sounds"])  # the order of the key would tell
        assert {*trial["sounds"], trial["reference"]} <= files
        assert trial["reference"] not in trial["sounds"]  # the known one has a name of its own
    assert len(files) == 10 and not re.search(r"hum|half|_denoised|a\.wav", text)
    assert "http" not in re.sub(r"http-equiv", "", text)  # nothing is loaded from elsewhere
    known = soundfile.read(folders / f"trial/test/sounds/{data['trials'][0]['reference']}.flac")[0]
    hidden = [versions["reference"] for versions in sounds(folders).values()]
    assert any(np.array_equal(known, wave) for wave in hidden)


def test_a_test_is_made_again_from_its_seed(folders):
    assert make(folders, "--seed", "4") == 0
    first = page(folders)[1]
    (folders / "trial").rename(folders / "first")
    assert make(folders, "--seed", "4") == 0
    assert page(folders)[1] == first
    (folders / "trial").rename(folders / "second")
    assert make(folders, "--seed", "5") == 0
    assert page(folders)[1]["test"] != first["test"]


@pytest.mark.parametrize("fault", ["missing", "channels", "short", "name", "twice"])
def test_a_test_that_would_lack_something_is_not_made(fault, folders, capsys):
    more, code = (), 1
    if fault == "missing":
        (folders / "hum/b_denoised.wav").unlink()
    elif fault == "channels":
        soundfile.write(folders / "half/a.wav", np.zeros((RATE, 2)), RATE)
    elif fault == "short":
        soundfile.write(folders / "half/a.wav", np.zeros(RATE // 2), RATE)
    elif fault == "name":
        more = ("--system", f"anchor={folders / 'hum'}")
    else:
        more, code = ("--system", f"hum={folders / 'half'}"), 2
    assert make(folders, *more) == code
    assert not (folders / "trial/key.json").exists()
    assert not (folders / "trial/test/index.html").exists()
    assert "diff_audio.listen: " in capsys.readouterr().err


def answer(folder: Path, listener: str, scores: dict[str, dict[str, int]], **more: object) -> Path:
    """The file that the page would give, with scores by recording and system."""
    key = json.loads((folder / "trial/key.json").read_text())
    rows = [
        {
            "trial": trial,
            "order": sorted(token for token in names if token != "name"),
            "scores": {t: scores[names["name"]][s] for t, s in names.items() if t != "name"},
        }
        for trial, names in key["trials"].items()
    ]
    path = folder / f"answers-{listener}.json"
    path.write_text(json.dumps({"test": key["test"], "listener": listener, "trials": rows} | more))
    return path


def given(hum: int, half: int, reference: int = 100) -> dict[str, int]:
    return {"reference": reference, "anchor": 20, "hum": hum, "half": half}


def test_scores_are_means_over_listeners_with_student_s_interval(folders, capsys):
    assert make(folders) == 0
    people = {"x": (50, 30, 40, 20), "y": (70, 50, 20, 20), "z": (90, 70, 60, 40)}
    files = [
        answer(folders, name, {"a": given(one, two), "b": given(three, four)})
        for name, (one, three, two, four) in people.items()
    ]
    result = score_answers(read_answers(folders / "trial/key.json", files))
    hum = np.array([40, 60, 80])  # the means of each listener over both recordings
    half = np.array([30, 20, 50])
    assert list(result.means) == ["reference", "hum", "half", "anchor"]
    for values, found in ((hum, result.means["hum"]), (half, result.means["half"])):
        wide = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
        assert found.mean == pytest.approx(values.mean()) and found.count == 3
        assert (found.low, found.high) == pytest.approx((values.mean() - wide,
                                                         values.mean() + wide))  # fmt: skip
    ((one, other, gap),) = result.differences
    assert (one, other) == ("hum", "half")
    wide = t.ppf(0.975, 2) * (hum - half).std(ddof=1) / np.sqrt(3)
    assert gap.mean == pytest.approx((hum - half).mean())
    assert gap.high - gap.low == pytest.approx(2 * wide)
    capsys.readouterr()
    assert main(["score", *map(str, files), "--key", str(folders / "trial/key.json")]) == 0
    out = capsys.readouterr().out
    assert "3 listeners" in out and "hum - half: +26.7" in out


def test_who_misses_the_hidden_reference_is_left_out_and_named(folders, capsys):
    assert make(folders) == 0
    good = answer(folders, "good", {"a": given(60, 40), "b": given(60, 40)})
    deaf = answer(folders, "deaf", {"a": given(100, 40), "b": given(100, 40, reference=50)})
    words = ["score", str(good), str(deaf), "--key", str(folders / "trial/key.json"), "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    found = json.loads(out.splitlines()[-1])
    assert found["listeners"] == ["good"] and found["left_out"] == ["deaf"]
    assert found["means"]["hum"]["mean"] == 60 and "deaf: is left out" in err
    assert main([*words, "--keep-all"]) == 0
    assert json.loads(capsys.readouterr().out)["means"]["hum"]["mean"] == 80
    only = ["score", str(deaf), "--key", str(folders / "trial/key.json")]
    assert main(only) == 1 and "--keep-all" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["test", "score", "missing", "twice", "json", "nan"])
def test_answers_that_cannot_be_used_are_refused_with_their_file(fault, folders, capsys):
    assert make(folders) == 0
    scores = {"a": given(60, 40), "b": given(60, 40)}
    path = answer(folders, "x", scores, **({"test": "another"} if fault == "test" else {}))
    held = json.loads(path.read_text())
    if fault in ("score", "nan"):
        token = next(iter(held["trials"][0]["scores"]))
        held["trials"][0]["scores"][token] = 101 if fault == "score" else None
    elif fault == "missing":
        held["trials"].pop()
    path.write_text("[" if fault == "json" else json.dumps(held))
    files = [str(path)] * (2 if fault == "twice" else 1)
    assert main(["score", *files, "--key", str(folders / "trial/key.json")]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "answers-x.json" in err
