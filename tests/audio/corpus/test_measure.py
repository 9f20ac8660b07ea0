"""Of measuring: where a band ends, which file comes when, and going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from measure import band, in_turn, loudest, measure
from scipy.signal import butter, resample, sosfilt

NOISE = np.random.default_rng(0).standard_normal(96_000)


@pytest.mark.parametrize(("rate", "edge"), [(16_000, 8_000), (48_000, 24_000)])
def test_white_noise_reaches_half_the_rate(rate: int, edge: int) -> None:
    found = band(NOISE, rate)
    assert found["edge_hz"] == edge
    assert found["full_band"] == (rate == 48_000)


@pytest.mark.parametrize("old", [8_000, 16_000, 22_050, 32_000])
def test_a_file_made_from_a_lower_rate_ends_where_that_did(old: int) -> None:
    found = band(resample(NOISE[:old], 48_000), 48_000)  # a second, exactly limited to old / 2
    assert old / 2 <= found["edge_hz"] <= old / 2 + 500
    assert found["full_band"] is (old == 32_000)


def test_level_above_9_khz_is_that_of_the_filter() -> None:
    low = sosfilt(butter(8, 4_000, fs=48_000, output="sos"), NOISE)
    assert band(low + 1e-2 * NOISE, 48_000)["high_db"] == pytest.approx(
        10 * np.log10(1e-4 * 15 / 24 / (4 / 24)), abs=0.7
    )


def test_silence_has_no_band() -> None:
    assert band(np.zeros(48_000), 48_000) == {"edge_hz": 0, "high_db": -200.0, "full_band": False}


def test_the_loudest_piece_is_found_and_a_short_wave_is_repeated() -> None:
    wave = np.zeros(10_000)
    wave[6_000:7_000] = 1
    assert loudest(wave, 1_000).sum() >= 800
    assert np.array_equal(loudest(np.arange(3.0), 7), [0, 1, 2, 0, 1, 2, 0])


def test_every_speaker_comes_before_a_second_file_and_only_some_are_scored() -> None:
    rows = [
        {"file": f"{s}{n}", "set": "many", "speaker": s, "kind": "speech"}
        for s in "abc"
        for n in range(4)
    ] + [{"file": f"l{n}", "set": "lone", "speaker": "l", "kind": "speech"} for n in range(4)]
    order = list(in_turn(rows, 2))
    assert sorted(row["speaker"] for row, _ in order[:4]) == ["a", "b", "c", "l"]
    assert len(order) == len(rows)
    scored = [row["set"] for row, score in order if score]
    assert scored.count("many") == 6
    assert scored.count("lone") == 4


def test_a_stopped_run_goes_on_and_a_bad_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * NOISE[:4_000], 16_000)
        rows.append({"file": f"{name}.wav", "set": "s", "speaker": name, "kind": "speech"})
    (tmp_path / "b.wav").write_bytes(b"no sound")
    out = tmp_path / "m.jsonl"
    out.write_text(json.dumps({"file": "a.wav", "seconds": 1.5}) + "\n")
    measure(rows, tmp_path, out, score=False, per_speaker=1, seconds=1e9)
    found = {row["file"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert found["a.wav"]["seconds"] == 1.5, "not measured again"
    assert found["c.wav"]["seconds"] == 0.25
    assert "b.wav" not in found
    assert "b.wav" in capsys.readouterr().out
