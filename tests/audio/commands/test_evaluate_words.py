"""`python -m diff_audio.evaluate --words`: words wrong, against clean files and against texts."""

import csv
import json

import numpy as np
import pytest
import soundfile

from diff_audio.evaluate import main
from sound_pairs import last, two


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Two clean sentences, one of which lost its end, and their texts; REF and EST."""
    from diff_audio.voice.speaker import Speaker

    folder, speaker = tmp_path_factory.mktemp("spoken"), Speaker.from_pretrained()
    texts = {"a": "The weather was cold.", "b": "The river was high in the morning."}
    for name, text in texts.items():
        wave, rate = speaker(text)
        for place in ("ref", "est"):
            (folder / place).mkdir(exist_ok=True)
            if place == "est" and name == "b":
                wave = np.where(np.arange(len(wave)) < len(wave) // 2, wave, 0.0)
            soundfile.write(folder / place / f"{name}.wav", wave, rate)
    (folder / "texts.tsv").write_text(
        "file\ttext\n" + "".join(f"{name}.wav\t{text}\n" for name, text in texts.items())
    )
    return folder


@pytest.mark.slow
def test_words_are_scored_against_the_clean_file_and_against_texts(spoken, tmp_path, capsys):
    arguments = [str(spoken / "ref"), str(spoken / "est"), "--json", "--scores", "si_sdr"]
    assert main([*arguments, "--words"]) == 0
    a, b, mean = last(capsys)
    assert a["wer"] == 0 and a["wrong"] == 0 and b["wer"] > 0.2
    for row in (a, b):
        assert row["wer"] == pytest.approx(row["wrong"] / row["words"])
    assert mean["mean"]["wer"]["mean"] == pytest.approx(
        (a["wrong"] + b["wrong"]) / (a["words"] + b["words"])
    )
    table = tmp_path / "scores.csv"
    texts = ["--transcripts", str(spoken / "texts.tsv")]
    assert main([*arguments, *texts, "--csv", str(table)]) == 0
    a, b, _ = last(capsys)
    assert (a["words"], b["words"]) == (4, 7) and b["wer"] > a["wer"]
    rows = list(csv.DictReader(table.open()))
    assert [int(row["words"]) for row in rows] == [4, 7]
    assert float(rows[1]["wer"]) == pytest.approx(b["wer"])
    assert main([*arguments[:2], "--scores", "si_sdr", *texts]) == 0
    out = capsys.readouterr().out
    assert "wer     words wrong over words said" in out and "     wer\n" in out


def test_a_recording_without_a_text_is_counted(tmp_path, speechlike, capsys):
    """What has no text has no score of words, and the others keep theirs."""
    clean = speechlike(1.0)
    arguments = two(tmp_path, clean, clean, ("a", "b"))
    two(tmp_path, clean, 0 * clean, ("c",))
    texts = tmp_path / "texts.csv"
    texts.write_text('file,text\na,"..."\nc.wav,"three words here"\nelse.wav,one\n')
    arguments += ["--scores", "si_sdr", "--transcripts", str(texts)]
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    a, b, c, mean = map(json.loads, out.splitlines())
    assert a["wer"] is None and b["wer"] is None and "words" not in a
    assert (c["wer"], c["words"], c["wrong"]) == (1.0, 3, 3)  # nothing is heard in silence
    assert mean["mean"]["wer"] == {"mean": 1.0, "half_width": None, "count": 1, "undefined": 2}
    assert "b.wav: has no text" in err and "else is not scored" in err


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("t.csv", "name,text\na,b\n", "no columns file and text"),
     ("t.csv", "file,text\na,b\na.wav,c\n", "line 3 is another text of 'a.wav'"),
     ("t.tsv", "file\ttext\na\n", "line 2 lacks"),
     ("t.csv", b"file,text\na,\xff\n", "not written in UTF-8"),
     ("t.txt", "one text", "but several files are scored"),
     ("t.docx", "", "expected a .csv, .tsv or .txt file"),
     ("missing.csv", None, "cannot be read")],
)  # fmt: skip
def test_texts_that_cannot_be_used_are_refused(name, text, said, tmp_path, speechlike, capsys):
    arguments = two(tmp_path, speechlike(0.3), speechlike(0.3), ("a", "b"))
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main([*arguments, "--transcripts", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert "--transcripts is" in err and said in err


def test_a_missing_recogniser_is_named(tmp_path, speechlike, monkeypatch, capsys):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "jiwer" else find(n, *a)
    )
    arguments = two(tmp_path, speechlike(0.5), speechlike(0.5))
    assert main([*arguments, "--json", "--scores", "si_sdr", "--words"]) == 0
    out, err = capsys.readouterr()
    assert "WER is left out" in err and "pip install 'diff-audio[words]'" in err
    assert "wer" not in out
