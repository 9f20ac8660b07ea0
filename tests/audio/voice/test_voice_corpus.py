from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.spectra.mel import Mel
from diff_audio.text import SYMBOLS, encode, phonemes
from diff_audio.voice.model import Voice
from diff_audio.voice.training.catalogue import read_catalogue
from diff_audio.voice.training.corpus import Batches, VoiceCorpus, trim
from diff_audio.voice.training.validation import Example

TEXTS = [f"{word} birds sang." for word in "One Two Three Four Five Six Seven Eight".split()]


def tone(seconds: float, rate: int, pitch: float) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 8))
    silence = np.zeros(int(0.4 * rate))
    return np.concatenate([silence, 0.1 * np.asarray(wave), silence])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lj") / "me"
    (root / "wavs").mkdir(parents=True)
    lines = []
    for number, text in enumerate(TEXTS):
        wave = tone(0.6 + 0.1 * number, 16000, 100 + 10 * number)
        soundfile.write(root / "wavs" / f"a{number}.wav", wave, 16000)
        lines.append(f"a{number}|{text}|{text}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def corpus(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> VoiceCorpus:
    cache = tmp_path_factory.mktemp("cache")
    return VoiceCorpus.open(read_catalogue(folder, speaker="me"), cache, Mel())


def test_a_folder_is_split_by_text(folder: Path) -> None:
    utterances = read_catalogue(folder, speaker="me", licence="CC0-1.0")
    assert [u.text for u in utterances] == TEXTS
    assert sum(u.split == "val" for u in utterances) == 1
    assert {(u.speaker, u.licence, u.group) for u in utterances} == {("me", "CC0-1.0", "me")}
    assert utterances[2].where == "metadata.csv line 3"


def test_every_bad_line_of_metadata_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wavs").symlink_to(folder / "wavs")
    (tmp_path / "metadata.csv").write_text(
        "a0|Good.\n\na1\na2|\nnone|Not there.\na0|Again.\na3|b|c|d\n"
    )
    with pytest.raises(ValueError) as error:
        read_catalogue(tmp_path)
    text = str(error.value)
    for fault in (
        "line 3 has 1 columns", "line 4 has no text", "line 5 names none, but there is no wavs",
        "line 6 names a0 again", "line 7 has 4 columns",
    ):  # fmt: skip
        assert fault in text


def test_data_that_is_neither_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a folder with wavs/"):
        read_catalogue(tmp_path / "absent")
    (tmp_path / "metadata.csv").write_text("a|b\n")
    with pytest.raises(ValueError, match=r"wavs: not found"):
        read_catalogue(tmp_path)


def test_a_manifest_gives_sets_splits_and_licences(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"file": str(folder / "wavs" / "a0.wav"), "text": "One.", "set": "x", "speaker": "ann"},
        {"file": str(folder / "wavs" / "a1.wav"), "text": "Two.", "set": "y"},
        {"file": str(folder / "wavs" / "a2.wav"), "set": "x"},
        {"file": str(folder / "wavs" / "a3.wav"), "text": "Four.", "set": "x", "split": "val",
         "licence": "CC0-1.0"},
    ]  # fmt: skip
    path = tmp_path / "list.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read_catalogue(path, sets=["x"])
    assert [(u.text, u.speaker, u.split) for u in found] == [
        ("One.", "ann", "train"),
        ("Four.", "speaker", "val"),
    ]
    assert found[1].licence == "CC0-1.0"
    path.write_text(json.dumps({"file": "gone.wav", "text": "Gone."}))
    with pytest.raises(ValueError, match=r"line 1 names gone\.wav, which is not there"):
        read_catalogue(path)
    path.write_text(json.dumps({"file": "a.wav", "text": "A.", "split": "trian"}))
    with pytest.raises(ValueError, match=r"line 1: split is 'trian'.*did you mean 'train'"):
        read_catalogue(path)


def test_clips_are_cut_to_their_speech_and_aligned(corpus: VoiceCorpus) -> None:
    assert len(corpus.clips) == len(TEXTS) and not corpus.left_out
    for number, clip in enumerate(corpus.clips):
        seconds = clip.frames * 256 / 22050
        assert abs(seconds - (0.6 + 0.1 * number + 0.2)) < 0.05
        assert clip.symbols.tolist() == encode(phonemes(TEXTS[number]))
        assert int(clip.durations.sum()) == clip.frames and int(clip.durations.min()) >= 1
    mean, deviation = corpus.statistics()
    frames = torch.cat([c.mel.float() for c in corpus.select("train")], dim=1)
    assert torch.allclose(mean, frames.mean(1), atol=1e-4)
    assert torch.allclose(deviation, frames.std(1), atol=1e-4)


def test_a_cache_is_used_for_the_same_and_only_the_same(folder: Path, tmp_path: Path) -> None:
    utterances = read_catalogue(folder)
    VoiceCorpus.open(utterances, tmp_path, Mel())
    made = (tmp_path / "mels.safetensors").stat().st_mtime_ns
    again = VoiceCorpus.open(utterances, tmp_path, Mel())
    assert (tmp_path / "mels.safetensors").stat().st_mtime_ns == made
    other = VoiceCorpus.open(utterances, tmp_path, Mel(hop=200))
    assert other.clips[0].frames > again.clips[0].frames


def test_recordings_too_short_for_their_text_are_left_out(folder: Path, tmp_path: Path) -> None:
    utterances = read_catalogue(folder)
    long = "a very long text that nobody can say in so short a time " * 6
    corpus = VoiceCorpus.open(
        [replace(utterances[0], text=long), *utterances[1:]], tmp_path, Mel()
    )
    assert len(corpus.clips) == len(TEXTS) - 1
    assert "metadata.csv line 1" in corpus.left_out[0]


def test_an_epoch_takes_every_clip_once(corpus: VoiceCorpus) -> None:
    count = len(corpus.select("train"))
    size = 2
    batches = Batches(corpus, size, seed=3)
    per_epoch = count // size * size
    orders = []
    for epoch in range(3):
        items = [batches[epoch * per_epoch + n] for n in range(per_epoch)]
        seen = [tuple(item["symbols"][: item["tokens"]].tolist()) for item in items]
        assert len(set(seen)) == per_epoch
        orders.append(seen)
        for n in range(0, per_epoch, size):
            assert items[n]["mel"].shape == items[n + 1]["mel"].shape
            assert max(int(i["frames"]) for i in items[n : n + 2]) == items[n]["mel"].shape[1]
    assert orders[0] != orders[1]
    again = Batches(corpus, size, seed=3)[per_epoch + 1]
    assert all(torch.equal(again[k], v) for k, v in batches[per_epoch + 1].items())
    with pytest.raises(ValueError, match="batch_size is 9"):
        Batches(corpus, 9)


def test_silence_is_no_speech() -> None:
    assert len(trim(torch.zeros(5000), 22050)) == 0
    assert len(trim(torch.zeros(10), 22050)) == 0


def test_an_example_is_drawn(corpus: VoiceCorpus) -> None:
    torch.manual_seed(0)
    model = Voice(len(SYMBOLS), 80, width=16, depth=1, heads=2, decoder_width=16, dilations=(1,))
    model.band_mean, model.band_std = corpus.statistics()
    shown = Example(corpus)(model.eval(), 10)
    for name in ("alignment", "spoken"):
        picture = shown[name]
        assert isinstance(picture, torch.Tensor) and picture.shape[0] == 3
        assert float(picture.min()) >= 0 and float(picture.max()) <= 1
        assert float(picture.std()) > 0.1
