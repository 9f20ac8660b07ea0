"""Trees of speech with folders for training, validation and the test: the test is left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diff_audio.data.corpus import Corpus
from diff_audio.data.layouts import recognise
from diff_audio.data.splits import split_rows
from diff_audio.inspect import main as inspect

TREES = {
    "at the top": ("train/anna/a", "train/bert/a", "val/carl/a", "test/dora/a"),
    "other words": ("training/anna/a", "validation/carl/a", "eval/dora/a"),
    "dev": ("train/anna/a", "dev/carl/a", "test/dora/a"),
    "mixed case": ("Train/anna/a", "Valid/carl/a", "TEST/dora/a"),
    "below a data set": ("vctk/train/anna/a", "vctk/val/carl/a", "vctk/test/dora/a"),
    "below a speaker": ("anna/train/a", "carl/val/a", "dora/test/a"),
    "flat": ("train/1", "val/1", "test/1"),
    "beside speakers": ("anna/a", "bert/a", "val/carl/a", "test/dora/a"),
    "with pairs": ("train/clean/a_1", "train/noisy/a_1", "val/clean/b_1", "val/noisy/b_1",
                   "test/clean/c_1", "test/noisy/c_1"),
    "with noise": ("train/speech/anna/a", "train/noise/n", "val/speech/carl/a", "val/noise/n",
                   "test/speech/dora/a", "test/noise/n"),
    "beside speech and noise": ("speech/anna/a", "speech/bert/a", "noise/n", "test/dora/a"),
}  # fmt: skip
TEST_WORDS = ("test/", "TEST/", "eval/")


def sound(path: Path, seconds: float = 0.2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(map(ord, str(path))))
    soundfile.write(path, 0.1 * rng.standard_normal(round(seconds * 16000)), 16000)


def make(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        sound(root / f"{name}.wav")
    return root


def is_test(root: Path, path: Path) -> bool:
    return any(word in f"{path.relative_to(root.resolve())}" for word in TEST_WORDS)


@pytest.mark.parametrize("names", TREES.values(), ids=TREES)
def test_nothing_of_the_test_is_in_the_corpus(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = make(tmp_path / "data", names)
    corpus = Corpus.open(root, None, tmp_path / "cache")
    files = [Path(clip.file) for clip in corpus.clips]
    assert files and not any(is_test(root, file) for file in files)
    heard = {
        split: {str(Path(c.file).relative_to(root.resolve())) for c in corpus.clips
                if c.split == split}
        for split in ("train", "val")
    }  # fmt: skip
    assert heard["train"] and heard["val"]
    words = {"val", "valid", "validation", "dev"}
    given = {name for name in names if words & set(name.lower().split("/"))}
    if given:
        assert heard["val"] >= {f"{name}.wav" for name in given if "noise" not in name}
        assert not heard["train"] & {f"{name}.wav" for name in given}
    assert any("test:" in line and "left out" in line for line in corpus.plan())


@pytest.mark.parametrize("names", TREES.values(), ids=TREES)
def test_inspect_prints_the_three_counts(
    tmp_path: Path, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "data", names)
    assert inspect([str(root)]) == 0
    count = sum(is_test(root, root.resolve() / f"{name}.wav") for name in names)
    assert f"{count} for the test (left out of the training)" in capsys.readouterr().out


def test_speakers_are_those_below_the_split(tmp_path: Path) -> None:
    root = make(tmp_path / "data", TREES["below a data set"])
    speakers = {row.path.parent.name: row.speaker for row in recognise(root).rows}
    assert speakers == {"anna": "vctk/anna", "carl": "vctk/carl", "dora": "vctk/dora"}
    assert recognise(root / "vctk").rows[0].speaker == "dora/dora"


def test_a_speaker_called_test_stays_a_speaker(tmp_path: Path) -> None:
    root = make(tmp_path / "data", ("anna/a", "bert/a", "test/a"))
    layout = recognise(root)
    assert {row.speaker for row in layout.rows} == {"anna/anna", "bert/bert", "test/test"}
    assert all(row.split != "test" for row in split_rows(layout.rows))
    assert "folder test is taken for a speaker" in layout.remarks[0]
    below = recognise(make(tmp_path / "more", ("train/anna/a", "train/test/a", "val/b/a")))
    assert {row.speaker for row in below.rows if row.split is None} == {"anna/anna", "test/test"}


def test_a_speaker_on_both_sides_is_refused_by_name(tmp_path: Path) -> None:
    root = make(tmp_path / "data", ("train/anna/a", "val/bert/a", "test/anna/b"))
    with pytest.raises(ValueError, match="speaker anna/anna is in the splits test and train"):
        Corpus.open(root, None, tmp_path / "cache")


def test_a_tree_of_test_recordings_alone_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "data", ("test/dora/a", "val/carl/a"))
    with pytest.raises(ValueError, match="nothing is left to train on; .*1 for the test"):
        Corpus.open(root, None, tmp_path / "cache")


def test_without_validation_the_test_does_not_stand_in_for_it(tmp_path: Path) -> None:
    root = make(tmp_path / "data", ("train/anna/a", "test/dora/a"))
    corpus = Corpus.open(root, None, tmp_path / "cache")
    assert {Path(clip.file).parent.name for clip in corpus.clips} == {"anna"}
    assert {clip.split for clip in corpus.clips} == {"train", "val"}


def test_noise_and_rooms_of_the_test_are_left_out_too(tmp_path: Path) -> None:
    names = ("clean/anna/a", "clean/bert/a", "noise/train/n", "noise/test/m", "rir/train/r",
             "rir/test/s")  # fmt: skip
    root = make(tmp_path / "data", names)
    corpus = Corpus.open(root, None, tmp_path / "cache")
    assert {Path(clip.file).stem for clip in corpus.clips} == {"a", "n", "r"}
    noise = make(tmp_path / "noise", ("train/n", "test/m"))
    other = Corpus.open(make(tmp_path / "s", ("anna/a", "bert/a")), noise, tmp_path / "cache2")
    assert {Path(clip.file).stem for clip in other.clips if clip.kind == "noise"} == {"n"}


def test_noise_beside_speech_is_not_taken_for_speech(tmp_path: Path) -> None:
    rows = recognise(make(tmp_path / "data", ("speech/anna/a", "noise/n"))).rows
    assert {(row.kind, row.path.stem) for row in rows} == {("speech", "a"), ("noise", "n")}


def test_the_manifest_counts_and_a_contradiction_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = make(tmp_path / "data", ("train/anna/a", "test/dora/a", "val/carl/a"))
    lines = [
        {"file": "data/train/anna/a.wav", "split": "test"},
        {"file": "data/test/dora/a.wav", "split": "train"},
        {"file": "data/val/carl/a.wav"},  # without a split: the folder's
    ]
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    with caplog.at_level(logging.WARNING):
        corpus = Corpus.open(root, None, tmp_path / "cache", manifest)
    assert {(Path(c.file).parent.name, c.split) for c in corpus.clips} == {
        ("dora", "train"),
        ("carl", "val"),
    }
    assert "contradicts the folders for 2 files" in caplog.text


def test_a_manifest_without_splits_leaves_them_to_the_folders(tmp_path: Path) -> None:
    root = make(tmp_path / "data", TREES["at the top"])
    manifest = tmp_path / "list.jsonl"
    lines = [{"file": f"data/{name}.wav"} for name in TREES["at the top"]]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    corpus = Corpus.open(root, None, tmp_path / "cache", manifest)
    assert not any("test" in clip.file.split("data/")[1] for clip in corpus.clips)
