from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diff_audio.corpus import Corpus


def write(path: Path, wave: np.ndarray, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, subtype="FLOAT" if path.suffix == ".wav" else None)


def tone(seconds: float, rate: int = 16000, frequency: float = 440.0) -> np.ndarray:
    return 0.25 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_files_of_any_format_and_rate_are_read_as_16_khz_mono(tmp_path: Path) -> None:
    speech = tmp_path / "speech"
    write(speech / "anna" / "a.wav", np.stack((tone(1.0, 48000), tone(1.0, 48000)), 1), 48000)
    write(speech / "bert" / "deep" / "b.flac", tone(0.5))
    write(speech / "carl.ogg", tone(0.7, 24000), 24000)
    (speech / "notes.txt").write_text("not sound")
    corpus = Corpus.open(speech, None, tmp_path / "cache")
    clips = {c.speaker: c for c in corpus.clips}
    assert set(clips) == {"anna/anna", "bert/bert", "speech/carl"}
    assert [clips[k].length for k in sorted(clips)] == [16000, 8000, 11200]
    for clip in clips.values():
        middle = corpus.read(clip, 2000, 4000)
        assert np.abs(middle - tone(1.0)[2000:6000]).max() < 0.02
    splits = [c.split for c in corpus.clips]
    assert splits.count("val") == 1 and splits.count("train") == 2


def test_manifest_gives_split_speaker_set_and_licence(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "speech" / f"{name}.wav", tone(0.5))
    rows = [
        {"file": "speech/a.wav", "split": "val", "speaker": "x", "set": "s", "licence": "CC0"},
        {"file": "speech/b.wav", "split": "train", "speaker": None, "set": "s"},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    corpus = Corpus.open(tmp_path / "speech", None, tmp_path / "cache", manifest)
    found = [(c.split, c.group, c.speaker, c.licence) for c in corpus.clips]
    assert found == [("val", "s", "s/x", "CC0"), ("train", "s", "s/b", "unknown")]


def test_digital_silence_is_cut_from_noise_only(tmp_path: Path) -> None:
    padded = np.concatenate((np.zeros(16000), tone(1.0), np.zeros(16000)))
    for kind in ("speech", "noise"):
        write(tmp_path / kind / "x.wav", padded)
        write(tmp_path / kind / "y.wav", padded)
    corpus = Corpus.open(tmp_path / "speech", tmp_path / "noise", tmp_path / "cache")
    assert {c.length for c in corpus.clips if c.kind == "speech"} == {48000}
    assert all(15600 <= c.length <= 16400 for c in corpus.clips if c.kind == "noise")


def test_cache_is_kept_until_a_file_changes(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / "speech" / f"{name}.wav", tone(0.5))
    cache = tmp_path / "cache"
    Corpus.open(tmp_path / "speech", None, cache)
    before = (cache / "corpus.int16").stat().st_ino
    Corpus.open(tmp_path / "speech", None, cache)
    assert (cache / "corpus.int16").stat().st_ino == before
    write(tmp_path / "speech" / "a.wav", tone(0.8))
    assert max(c.length for c in Corpus.open(tmp_path / "speech", None, cache).clips) == 12800


def test_one_bad_file_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "a.wav", tone(0.5))
    (tmp_path / "b.wav").write_bytes(b"RIFF nothing")
    holed = tone(0.5)
    holed[7] = np.nan
    write(tmp_path / "c.wav", holed)
    corpus = Corpus.open(tmp_path, None, tmp_path / "cache")
    assert {c.speaker.split("/")[1] for c in corpus.clips} == {"a"}
    assert "b.wav" in caplog.text and "c.wav" in caplog.text and "NaN" in caplog.text


def test_errors_name_the_folder_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"speech folder .*missing: no such folder"):
        Corpus.open(tmp_path / "missing", None, tmp_path / "cache")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"speech folder .*empty: no sound file found"):
        Corpus.open(empty, None, tmp_path / "cache")
    write(tmp_path / "speech" / "a.wav", tone(0.5))
    with pytest.raises(ValueError, match=r"noise folder .*empty: no sound file found"):
        Corpus.open(tmp_path / "speech", empty, tmp_path / "cache")
    manifest = tmp_path / "m.jsonl"
    with pytest.raises(ValueError, match=r"m\.jsonl: no such file"):
        Corpus.open(tmp_path / "speech", None, tmp_path / "cache", manifest)
    manifest.write_text('{"file": "speech/z.wav"}\n')
    with pytest.raises(ValueError, match="no sound file that the manifest lists found"):
        Corpus.open(tmp_path / "speech", None, tmp_path / "cache", manifest)
    manifest.write_text('{"file": "speech/a.wav"}\n{"name": 1}\n')
    with pytest.raises(ValueError, match="line 2"):
        Corpus.open(tmp_path / "speech", None, tmp_path / "cache", manifest)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "b.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(ValueError, match="none of the speech files"):
        Corpus.open(tmp_path / "bad", None, tmp_path / "cache2")
