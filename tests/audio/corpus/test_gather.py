"""Of gathering: licences by file, splits, what is taken twice, and clones without a work tree."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import gather
import licences
import pytest
import soundfile
from repositories import find
from sets import READERS, soundfx

HELD_OUT = json.loads(gather.HELD_OUT.read_text(encoding="utf-8"))

ESC = """
101 - Dog:
- [1-100032-A.ogg]: clip derived from a (b).wav (http://x.org/people/n/sounds/100032/) by n f [CC0]
- [1-110389-A.ogg]: clip derived from c.wav (http://x.org/people/s/sounds/110389/) by s.com [CC-BY]
- [1-17367-A.ogg]: clip derived from d.wav (http://x.org/people/t/sounds/17367/) by t [CC-BY-NC]
- [1-17368-A.ogg]: clip derived from d.wav (http://x.org/p/t/sounds/17368/) by t [CC-Sampling+]
"""


@pytest.fixture(params=["work tree", "bare"])
def clones(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a clone of rse/soundfx: four effects, one without a licence, one not free."""
    source = tmp_path / "rse+soundfx"
    (source / "soundfx.d").mkdir(parents=True)
    for name, terms in (
        ("bell1", "Creative Commons 0 (CC-0)"),
        ("bell2", "Creative Commons Attribution 3.0 Unported (CC-BY-3.0)"),
        ("horn", "Creative Commons Attribution-NonCommercial 3.0 (CC-BY-NC-3.0)"),
    ):
        (source / "soundfx.d" / f"{name}.mp3").write_bytes(name.encode())
        text = f"Sound-Origin: https://freesound.org/s/1/\nLicense-Name:    {terms}\n"
        (source / "soundfx.d" / f"{name}.txt").write_text(text)
    (source / "soundfx.d" / "bare.mp3").write_bytes(b"bare")
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True)
    if request.param == "work tree":
        return tmp_path
    bare = tmp_path / "bare" / "rse+soundfx" / "repo"
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(bare)], check=True)
    return tmp_path / "bare"


def test_only_free_effects_are_copied_each_with_its_licence(clones: Path, tmp_path: Path) -> None:
    clone = find(clones, "rse/soundfx")
    assert clone is not None
    items = soundfx(clone, HELD_OUT)
    assert {(item.path.split("/")[-1], item.licence) for item in items} == {
        ("bell1.mp3", "CC0-1.0"),
        ("bell2.mp3", "CC-BY-3.0"),
    }
    copies = [(item.path, tmp_path / "out" / item.to) for item in items]
    assert clone.write(copies) == 2
    assert (tmp_path / "out/noise/soundfx/soundfx.d/bell1.mp3").read_bytes() == b"bell1"
    assert clone.write(copies) == 0, "what is there is not written again"


def test_a_missing_clone_is_named_and_the_others_are_read(
    clones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = gather.copied(clones, tmp_path / "out", HELD_OUT)
    assert len(rows) == 2
    named = capsys.readouterr().err
    assert all(
        repository in named for repository, _ in READERS.values() if repository != "rse/soundfx"
    )


def test_clips_of_esc_50_under_other_licences_are_left_out() -> None:
    found = licences.esc50(ESC)
    assert {clip: licence for clip, (licence, _) in found.items()} == {
        "1-100032-A": "CC0-1.0",
        "1-110389-A": "CC-BY-3.0",
    }
    assert found["1-100032-A"][1] == "n f, http://x.org/people/n/sounds/100032/"


@pytest.mark.parametrize(
    ("terms", "licence"),
    [
        ("Public Domain Creative Commons license", "public domain"),
        ("Attribution Creative Commons license", "CC-BY-3.0"),
        ("Attribution Share Alike Creative Commons license", ""),
        ("Attribution Non-commercial No Derivatives Creative Commons license", ""),
        ("", ""),
    ],
)
def test_rooms_of_reverb_js_are_free_or_left_out(terms: str, licence: str) -> None:
    text = f"By A\n\nhttp://a.org/b\n\nLicense for this content: {terms}"
    assert licences.reverb_js(text) == (licence, "http://a.org/b")


def test_precise_names_who_gave_a_file_and_its_template_gives_none() -> None:
    oath = ", hereby agree to waive all claim, and place them into the public domain\n"
    given = licences.precise(
        [
            ("a.txt", f"I, Ann Lee{oath}x/en/one.wav\n"),
            ("t.txt", f"I, [author name]{oath}/two.wav\n"),
        ]
    )
    assert given == {"one.wav": "Ann Lee, licenses/a.txt"}


def row(**more: object) -> gather.Row:
    """A row of speech to train on."""
    return {"file": "speech/a/1.wav", "kind": "speech", "set": "a", "speaker": "x",
            "split": "train", "licence": "CC0-1.0", "source": "s", **more}  # fmt: skip


def test_a_file_is_judged_by_itself_and_a_speaker_by_the_median_of_few_files() -> None:
    rows = [row(file=str(n), speaker=speaker) for n, speaker in enumerate("xxxyyyzu")]
    rows += [row(file=f"long{n}", speaker="long") for n in range(40)]
    bak = {"0": 3.3, "1": 3.3, "3": 3.2, "4": 3.4, "5": 3.9, "6": 2.0}
    bak |= {f"long{n}": 3.35 for n in range(31)}
    kept, rejected = gather.judged(
        rows, {name: {"file": name, "bak": b} for name, b in bak.items()}
    )
    assert [r["file"] for r in rejected] == ["0", "1", "2", "3", "6"]
    assert len(kept) == 43, "31 files do not stand for a speaker, and nobody measured u"


def test_a_clip_of_both_esc_sets_comes_once_and_a_librispeech_reader_is_in_one_set() -> None:
    rows = [
        row(file="noise/esc50/1-1-A-3.wav", kind="noise", set="esc50"),
        row(file="noise/esc50/1-1-B-3.wav", kind="noise", set="esc50"),
        row(file="noise/esc10/1-1-A.ogg", kind="noise", set="esc10"),
        row(file="speech/5/19-1.flac", set="librispeech_tc5", speaker="19"),
        row(file="speech/100/19-2.ogg", set="librispeech_tc100", speaker="19"),
        row(file="speech/100/20-1.ogg", set="librispeech_tc100", speaker="20"),
    ]
    merged = gather.merged(rows)
    assert [(r["file"], r["set"]) for r in merged if r["kind"] == "noise"] == [
        ("noise/esc10/1-1-A.ogg", "esc10"),
        ("noise/esc50/1-1-B-3.wav", "esc50"),
    ]
    speech = {r["speaker"]: r["set"] for r in merged if r["kind"] == "speech"}
    assert speech == {"19": "librispeech_tc5", "20": "librispeech_tc100"}


def test_two_cuts_of_a_recording_in_two_splits_are_refused() -> None:
    cuts = [
        row(file="1", kind="noise", set="esc10", speaker="7"),
        row(file="2", kind="noise", set="esc50", speaker="7", split="val"),
    ]
    with pytest.raises(ValueError, match="two splits"):
        gather.refuse_shared(cuts)
    gather.refuse_shared([cuts[0] | {"speaker": "8"}, cuts[1]])


def test_a_lone_voice_may_be_held_out_by_text_only() -> None:
    texts = [row(file="1", text="One."), row(file="2", text="Two.", split="val")]
    gather.refuse_shared(texts)
    with pytest.raises(ValueError, match="two splits"):
        gather.refuse_shared([*texts, row(file="3", text="two.")])


def test_another_list_is_copied_and_its_missing_file_is_named(tmp_path: Path) -> None:
    there = tmp_path / "other"
    (there / "noise").mkdir(parents=True)
    (there / "noise" / "3-144028-B.ogg").write_bytes(b"sound")
    line = {"file": "noise/3-144028-B.ogg", "set": "esc10", "speaker": None, "split": "train",
            "licence": "CC0-1.0", "snr_db": None}  # fmt: skip
    (there / "m.jsonl").write_text(json.dumps(line) + "\n")
    out = tmp_path / "out"
    rows = gather.fetched(gather.further(there / "m.jsonl", out, HELD_OUT), out)
    assert (out / "noise/3-144028-B.ogg").read_bytes() == b"sound"
    assert rows[0]["split"] == "val", "another cut of this recording is held out"
    assert rows[0]["speaker"] == "144028"
    assert rows[0]["kind"] == "noise"
    (there / "m.jsonl").write_text(json.dumps(line | {"file": "noise/gone.ogg"}) + "\n")
    with pytest.raises(ValueError, match=r"line 1: no file .*gone\.ogg"):
        gather.further(there / "m.jsonl", out, HELD_OUT)


def test_a_main_voice_of_the_teacher_is_held_out_by_text_and_another_is_not(
    tmp_path: Path,
) -> None:
    lines = []
    for voice, speed in (("af_main", 1.0), ("bm_other", 0.9), ("bm_other", 1.0)):
        for number in range(20):
            file = f"{voice}/t{number + int(100 * speed):05d}.flac"
            (tmp_path / voice).mkdir(exist_ok=True)
            (tmp_path / file).write_bytes(b"sound")
            lines.append({"file": file, "voice": voice, "speed": speed, "frames": [1],
                          "text": f"{voice} {speed} {number}", "language": "en-us"})  # fmt: skip
    (tmp_path / "speech.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = gather.further(tmp_path / "speech.jsonl", tmp_path, HELD_OUT)
    assert {row["set"] for row in rows if row["speaker"] == "bm_other"} == {"kokoro"}
    held = [row for row in rows if row["split"] == "val"]
    assert [row["set"] for row in held] == ["kokoro_af_main"]
    gather.refuse_shared(rows)


def test_a_file_that_is_no_sound_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", [0.0] * 800, 16_000)
    (tmp_path / "b.wav").write_bytes(b"none")
    rows = gather.timed([row(file="a.wav"), row(file="b.wav")], tmp_path)
    assert [(r["file"], r["seconds"], r["rate"]) for r in rows] == [("a.wav", 0.05, 16_000)]
    assert "b.wav" in capsys.readouterr().err
