from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import diff_audio.data.corpus as corpus_module
from diff_audio.data.corpus import Corpus
from diff_audio.data.mixer import Mixer
from diff_audio.data.mixing import Mixing


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
    manifest.write_text('{"file": "elsewhere/a.wav"}\n')
    with pytest.raises(ValueError, match="no sound file that the manifest lists found"):
        Corpus.open(tmp_path / "speech", None, tmp_path / "cache", manifest)
    manifest.write_text('{"file": "speech/a.wav"}\n{"name": 1}\n')
    with pytest.raises(ValueError, match="line 2"):
        Corpus.open(tmp_path / "speech", None, tmp_path / "cache", manifest)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "b.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(ValueError, match="none of the speech files"):
        Corpus.open(tmp_path / "bad", None, tmp_path / "cache2")


def test_what_a_manifest_lists_and_is_not_there_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "elsewhere" / "a.wav", tone(0.5))
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "link.wav").symlink_to(tmp_path / "elsewhere" / "a.wav")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"file": "s/link.wav"}\n{"file": "s/gone.wav"}\n{"file": "o/other.wav"}')
    corpus = Corpus.open(tmp_path / "s", None, tmp_path / "cache", manifest)
    assert {clip.file for clip in corpus.clips} == {str(tmp_path / "elsewhere" / "a.wav")}
    assert [Path(file).name for file, _ in corpus.skipped] == ["gone.wav"]
    assert "gone.wav: no such file" in caplog.text


def test_what_was_found_is_said_for_each_kind_and_split(tmp_path: Path) -> None:
    for name in ("s/a/x", "s/b/x", "s/b/y", "n/x"):
        write(tmp_path / f"{name}.wav", tone(0.5))
    corpus = Corpus.open(tmp_path / "s", tmp_path / "n", tmp_path / "cache")
    held = {1: "0.000139 h at 16000 Hz, 1 recording of 1 speaker",
            2: "0.000278 h at 16000 Hz, 2 recordings of 1 speaker"}  # fmt: skip
    counts = {split: len(corpus.select("speech", split)) for split in ("train", "val")}
    assert set(corpus.plan()) == {
        *(f"speech, {split}: {held[count]}" for split, count in counts.items()),
        *(f"noise, {split}: 0.000139 h at 16000 Hz, 1 recording" for split in counts),
    }


def test_any_rate_can_be_asked_for(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / "s" / name / "x.wav", tone(1.0, 48000), 48000)
    corpus = Corpus.open(tmp_path / "s", None, tmp_path / "cache", rate=22050)
    assert corpus.rate == 22050
    assert {c.length for c in corpus.clips} == {22050}
    assert corpus.hours("speech", "train") == pytest.approx(1 / 3600)
    assert np.abs(
        corpus.read(corpus.clips[0], 2000, 9000) - tone(1.0, 22050)[2000:11000]
    ).max() < (0.001)
    again = Corpus.open(tmp_path / "s", None, tmp_path / "cache")  # the same cache, another rate
    assert {c.length for c in again.clips} == {16000}


def test_values_beyond_full_scale_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "s" / "a" / "loud.wav", 40 * tone(0.5))
    write(tmp_path / "s" / "b" / "plain.wav", tone(0.5))
    corpus = Corpus.open(tmp_path / "s", None, tmp_path / "cache")
    loud, plain = sorted(corpus.clips, key=lambda clip: -clip.gain)
    assert (loud.gain, plain.gain) == (pytest.approx(10, rel=1e-3), 1.0)
    assert np.abs(corpus.read(loud) - 40 * tone(0.5)).max() < 1e-3
    assert np.abs(corpus.read(plain) - tone(0.5)).max() <= 0.5 / 32768


def test_what_is_left_out_is_counted_and_strict_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    speech = tmp_path / "s"
    for name in "abc":
        write(speech / name / "x.wav", tone(0.5))
    (speech / "a" / "bad.wav").write_bytes(b"RIFF nothing")
    write(speech / "b" / "silent.wav", np.zeros(8000))
    for _again in range(2):  # decoded, and from the cache
        caplog.clear()
        corpus = Corpus.open(speech, None, tmp_path / "cache")
        assert [Path(file).name for file, _ in corpus.skipped] == ["bad.wav", "silent.wav"]
        assert "2 of 5 files were left out" in caplog.text
        assert len(corpus.clips) == 3
    for cache in ("cache", "other"):
        with pytest.raises(ValueError, match=r"bad\.wav: is not a sound file"):
            Corpus.open(speech, None, tmp_path / cache, strict=True)


def test_a_file_that_vanishes_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        write(tmp_path / "s" / name / "x.wav", tone(0.5))
    gone = tmp_path / "s" / "b" / "x.wav"
    whole = corpus_module._fingerprint

    def then_it_goes(*arguments: object) -> str:
        key = whole(*arguments)  # type: ignore[arg-type]
        gone.unlink()
        return key

    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, "_fingerprint", then_it_goes)
        corpus = Corpus.open(tmp_path / "s", None, tmp_path / "cache")
    assert corpus.skipped == ((str(gone.resolve()), "no such file; check the name"),)
    assert len(corpus.clips) == 2
    assert len(Corpus.open(tmp_path / "s", None, tmp_path / "cache").clips) == 2


def test_one_recording_is_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "s" / "only.wav", tone(3.0))
    corpus = Corpus.open(tmp_path / "s", None, tmp_path / "cache")
    assert [c.split for c in corpus.clips] == ["train", "val"]
    assert "validation hears what training does" in caplog.text
    item = Mixer(corpus, Mixing(seconds=0.5, babble=0.0))[0]
    assert item["noisy"].shape == (8000,) and torch.isfinite(item["noisy"]).all()


def test_pairs_are_aligned_or_left_out(tmp_path: Path) -> None:
    root = tmp_path / "vbd"
    for number, speaker in enumerate(("p1", "p2", "p3")):
        clean = tone(1.0, frequency=300 + 100 * number)
        write(root / "train" / "clean" / f"{speaker}_1.wav", clean)
        write(root / "train" / "noisy" / f"{speaker}_1.wav", clean + 0.01)
    write(root / "train" / "noisy" / "p3_1.wav", tone(0.9))
    corpus = Corpus.open(root, None, tmp_path / "cache")
    noisy = [c for c in corpus.clips if c.kind == "noisy"]
    assert len(noisy) == 2
    for clip in noisy:
        clean = corpus.clips[clip.pair]
        assert (clean.kind, clean.speaker, clean.split) == ("speech", clip.speaker, clip.split)
        assert np.allclose(corpus.read(clip) - corpus.read(clean), 0.01, atol=1e-4)
    assert "14400 samples, its clean recording 16000" in corpus.skipped[0][1]


def test_noise_of_a_layout_is_found_with_the_speech(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / "dns" / "clean" / f"reader_{k}" / "x.wav", tone(0.5))
        write(tmp_path / "dns" / "noise" / f"{k}.wav", tone(0.5))
    corpus = Corpus.open(tmp_path / "dns", None, tmp_path / "cache")
    assert len(corpus.select("noise", "train")) == 2 and len(corpus.select("noise", "val")) == 1
    only = Corpus.open(tmp_path / "dns" / "clean", tmp_path / "dns", tmp_path / "cache2")
    assert {c.kind for c in only.clips} == {"speech", "noise"}
    assert sum(c.kind == "noise" for c in only.clips) == 3
