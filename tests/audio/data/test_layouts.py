"""Public layouts, on trees of the same shape as the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diff_audio.data.corpus import Corpus
from diff_audio.data.layouts import Row, recognise
from diff_audio.data.manifest import listed, read_rows
from diff_audio.data.splits import split_rows


def sound(path: Path, seconds: float = 0.1, frequency: float = 440.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * 16000)) / 16000)
    soundfile.write(path, wave, 16000)
    return path


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def by_name(folder: Path) -> dict[str, Row]:
    return {str(r.path.relative_to(folder.resolve())): r for r in recognise(folder).rows}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("{}_trainset_28spk_wav", "{}_testset_wav"),
        ("train/{}", "test/{}"),
    ],
)
def test_voicebank_demand_pairs(tmp_path: Path, train: str, test: str) -> None:
    for part, names in ((train, ("p226_001", "p227_004")), (test, ("p232_002",))):
        for name in names:
            sound(tmp_path / part.format("clean") / f"{name}.wav")
            sound(tmp_path / part.format("noisy") / f"{name}.wav")
    sound(tmp_path / train.format("clean") / "p228_009.wav")  # without a noisy one
    layout = recognise(tmp_path)
    assert layout.name == "VoiceBank-DEMAND"
    noisy = {r.path.stem: r for r in layout.rows if r.kind == "noisy"}
    assert set(noisy) == {"p226_001", "p227_004", "p232_002"}
    for row in noisy.values():
        assert row.pair is not None
        assert row.pair.name == row.path.name and row.pair != row.path
        assert row.speaker == f"voicebank/{row.path.stem[:4]}"
        assert row.split == ("test" if row.path.stem.startswith("p232") else None)
    assert sum(r.kind == "speech" for r in layout.rows) == 4


def test_voicebank_texts(tmp_path: Path) -> None:
    for kind in ("clean", "noisy"):
        sound(tmp_path / f"{kind}_trainset_28spk_wav" / "p226_001.wav")
    text(tmp_path / "trainset_28spk_txt" / "p226_001.txt", "Please call Stella.\n")
    assert {row.text for row in recognise(tmp_path).rows} == {"Please call Stella."}


def test_dns_speech_noise_responses_and_mixtures(tmp_path: Path) -> None:
    sound(tmp_path / "clean" / "read" / "book_1_reader_06709_0_clean_fileid_7.wav")
    sound(tmp_path / "clean" / "vctk" / "p225_004.wav")
    sound(tmp_path / "noise" / "door.wav")
    sound(tmp_path / "impulse_responses" / "small" / "room1.wav")
    sound(tmp_path / "noisy" / "book_1_snr3_fileid_7.wav")
    rows = by_name(tmp_path)
    assert recognise(tmp_path).name == "DNS"
    kinds = {name: row.kind for name, row in rows.items()}
    assert sorted(kinds.values()) == ["noise", "noisy", "room", "speech", "speech"]
    assert rows["noisy/book_1_snr3_fileid_7.wav"].pair == (
        (tmp_path / "clean/read/book_1_reader_06709_0_clean_fileid_7.wav").resolve()
    )
    speakers = {row.speaker for row in rows.values() if row.kind == "speech"}
    assert speakers == {"dns/reader_06709", "dns/p225"}


def test_wham_noise_alone_and_mixtures(tmp_path: Path) -> None:
    for part in ("tr", "cv", "tt"):
        sound(tmp_path / "noise" / "wham_noise" / part / f"{part}_a.wav")
        for kind in ("s1", "mix_single", "noise"):
            sound(tmp_path / "full" / part / kind / f"05{len(part)}a_{part}.wav")
    alone = recognise(tmp_path / "noise", "noise")  # one folder further in
    assert alone.name == "WHAM"
    assert {(r.kind, r.split) for r in alone.rows} == {
        ("noise", None),
        ("noise", "val"),
        ("noise", "test"),
    }
    full = recognise(tmp_path / "full")
    assert sorted(r.kind for r in full.rows) == ["noise"] * 3 + ["noisy"] * 3 + ["speech"] * 3
    assert all(r.pair is not None for r in full.rows if r.kind == "noisy")


def test_ljspeech_takes_the_normalised_text(tmp_path: Path) -> None:
    root = tmp_path / "LJSpeech-1.1"
    sound(root / "wavs" / "LJ001-0001.wav")
    sound(root / "wavs" / "LJ001-0002.wav")
    text(
        root / "metadata.csv", "LJ001-0001|In 1465|In fourteen sixty-five\nLJ001-0002|Only one|\n"
    )
    for folder in (tmp_path, root):
        layout = recognise(folder)
        assert layout.name == "LJSpeech"
        assert [row.text for row in layout.rows] == ["In fourteen sixty-five", "Only one"]
        assert {row.speaker for row in layout.rows} == {"LJSpeech-1.1/LJSpeech-1.1"}


def test_vctk_takes_the_first_microphone(tmp_path: Path) -> None:
    waves = tmp_path / "wav48_silence_trimmed"
    for name in ("p225/p225_001_mic1", "p225/p225_001_mic2", "p315/p315_002_mic2"):
        sound(waves / f"{name}.flac")
    text(tmp_path / "txt" / "p225" / "p225_001.txt", "Please call Stella.")
    layout = recognise(tmp_path)
    assert layout.name == "VCTK"
    assert [(r.path.stem, r.speaker, r.text) for r in layout.rows] == [
        ("p225_001_mic1", "vctk/p225", "Please call Stella."),
        ("p315_002_mic2", "vctk/p315", ""),
    ]


def test_librispeech_and_libritts(tmp_path: Path) -> None:
    sound(tmp_path / "train-clean-100" / "19" / "198" / "19-198-0001.flac")
    text(tmp_path / "train-clean-100/19/198/19-198.trans.txt", "19-198-0001 NORTHANGER ABBEY\n")
    sound(tmp_path / "dev-clean" / "84" / "121" / "84_121_000001_000000.wav")
    text(tmp_path / "dev-clean/84/121/84_121_000001_000000.normalized.txt", "Go, do you hear?")
    sound(tmp_path / "test-other" / "367" / "13" / "367-13-0000.flac")
    layout = recognise(tmp_path)
    assert layout.name == "LibriSpeech/LibriTTS"
    assert {(r.speaker, r.split, r.text) for r in layout.rows} == {
        ("libri/19", None, "NORTHANGER ABBEY"),
        ("libri/84", "val", "Go, do you hear?"),
        ("libri/367", "test", ""),
    }
    sound(tmp_path / "dev-clean" / "something else.wav")
    assert recognise(tmp_path).name == "plain"


def test_plain_trees_and_hidden_files(tmp_path: Path) -> None:
    sound(tmp_path / "anna" / "deep" / "a.wav")
    sound(tmp_path / "bert.flac")
    sound(tmp_path / "anna" / ".hidden" / "c.wav")
    text(tmp_path / "notes.txt", "no sound")
    layout = recognise(tmp_path)
    assert layout.name == "plain"
    assert {row.speaker for row in layout.rows} == {"anna/anna", f"{tmp_path.name}/bert"}
    with pytest.raises(ValueError, match="speech folder .*nowhere: no such folder"):
        recognise(tmp_path / "nowhere")


def test_what_the_commands_made_is_left_out_where_its_origin_lies_beside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = ["p/a.wav", "p/b_denoised.wav", "p/c_removed.wav", "p/x.WAV", "q/a_removed_mp3.wav"]
    made = ["p/a_denoised.wav", "p/a_removed.wav", "p/x_DENOISED.WAV", "p/a_denoised_denoised.wav",
            "p/m_vocoded.wav", "p/m_filled.wav", "q/z_removed_mp3.wav"]  # fmt: skip
    for name in (*kept, *made):
        sound(tmp_path / name)
    text(tmp_path / "p" / "m.npy", "a mel")
    text(tmp_path / "q" / "z.mp3", "an MP3")
    found = {name for name in by_name(tmp_path) if name.lower().endswith(".wav")}
    assert found == set(kept)
    assert caplog.text.count(f"{len(made)} left out: outputs of diff_audio beside") == 1


def test_outputs_do_not_hide_a_layout(tmp_path: Path) -> None:
    sound(tmp_path / "84" / "121" / "84-121-0001.flac")
    sound(tmp_path / "84" / "121" / "84-121-0001_denoised.flac")
    layout = recognise(tmp_path)
    assert layout.name == "LibriSpeech/LibriTTS" and len(layout.rows) == 1


def row(name: str, speaker: str, split: str | None = None, said: str = "", kind="speech") -> Row:
    return Row(Path(f"/{name}"), kind, speaker.split("/")[0], speaker, split, said)  # type: ignore[arg-type]


def test_a_speaker_in_two_splits_is_refused_by_name() -> None:
    rows = [row("1", "s/anna", "train"), row("2", "s/bert", "train"), row("3", "s/anna", "val")]
    with pytest.raises(ValueError, match="speaker s/anna is in the splits train and val"):
        split_rows(rows)


def test_a_lone_speaker_is_split_and_checked_by_text() -> None:
    rows = [row("1", "s/a", "train", "one"), row("2", "s/a", "val", "two")]
    assert [r.split for r in split_rows(rows)] == ["train", "val"]
    with pytest.raises(ValueError, match="saying 'one', is in the splits train and val"):
        split_rows([*rows, row("3", "s/a", "val", "one")])
    with pytest.raises(ValueError, match="speaker s/a is in the splits"):  # texts are not known
        split_rows([row("1", "s/a", "train"), row("2", "s/a", "val")])


def test_speakers_are_held_out_whole_and_alike_in_any_order() -> None:
    rows = [row(f"{s}-{i}", f"set/{s}") for s in range(60) for i in range(3)]
    split = {r.path: r.split for r in split_rows(rows)}
    assert split == {r.path: r.split for r in split_rows(rows[::-1])}
    held = {r.speaker for r in rows if split[r.path] == "val"}
    assert len(held) == 3
    assert all((split[r.path] == "val") == (r.speaker in held) for r in rows)


def test_a_speaker_of_whom_some_have_a_split_trains_with_the_rest() -> None:
    rows = [row("1", "s/a", "train"), row("2", "s/a"), row("3", "s/b", "val"), row("4", "s/c")]
    assert [r.split for r in split_rows(rows)] == ["train", "train", "val", "train"]
    with pytest.raises(ValueError, match="speaker s/b is in the splits train and val"):
        split_rows([*rows, row("5", "s/b")])


def test_noisy_recordings_go_with_their_clean_ones() -> None:
    clean = [row(str(i), f"s/{i}") for i in range(5)]
    noisy = [Row(Path(f"/noisy{i}"), "noisy", "s", f"s/{i}", pair=clean[i].path) for i in range(5)]
    done = split_rows([*noisy, *clean])
    of = {r.path: r.split for r in done}
    assert {of[n.path] == of[c.path] for n, c in zip(noisy, clean, strict=True)} == {True}
    assert [r.kind for r in done] == ["speech"] * 5 + ["noisy"] * 5


def test_one_recording_serves_both_splits_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert sorted(r.split or "" for r in split_rows([row("1", "s/a")])) == ["train", "val"]
    assert "only one source of speech" in caplog.text


def test_manifest_names_pairs_texts_and_bad_splits(tmp_path: Path) -> None:
    sound(tmp_path / "s" / "clean.wav")
    sound(tmp_path / "s" / "noisy.wav", frequency=500)
    rows = [
        {"file": "s/clean.wav", "speaker": "x", "text": "hello"},
        {"file": "s/noisy.wav", "speaker": "x", "clean": "s/clean.wav"},
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    clean, noisy = listed(tmp_path / "s", "speech", read_rows(manifest))
    assert (clean.kind, clean.text) == ("speech", "hello")
    assert (noisy.kind, noisy.pair) == ("noisy", clean.path)
    corpus = Corpus.open(tmp_path / "s", None, tmp_path / "cache", manifest)
    pairs = corpus.select("noisy", "train")
    assert [corpus.clips[clip.pair].text for clip in pairs] == ["hello"]
    manifest.write_text('{"file": "s/clean.wav", "split": "dev"}')
    with pytest.raises(ValueError, match="line 1: split is 'dev'; expected one of train, val"):
        read_rows(manifest)
