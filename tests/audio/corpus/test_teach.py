"""Of the teacher's texts and speech: what is excluded, what is rich, and going on after a stop."""

from __future__ import annotations

import json
import re
import shutil
from itertools import islice
from pathlib import Path

import everyday
import numpy as np
import phonemes
import pytest
import soundfile
import teach
import texts
from teach import Share

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng")

BOOK = (
    "Header.\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n"
    + "The very first chapter is read by every test there is. " * 40
    + "\n\n"
    + "\n\n".join(
        [
            'He said to her, "We saw the old house by the sea," and then went in.',
            "MARILLA CUTHBERT is a name in capitals that stands here.",
            "It was 1908 when the house by the sea was sold.",
            "The old house by the sea was sold--and nobody knew why.",
            "Yes, he went.",
        ]
        * 90
    )
    + "\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nThe licence is long and no sentence.\n"
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"), (13, "thirteen"), (40, "forty"), (342, "three hundred forty-two"),
        (1_000_001, "one million one"), (90_210, "ninety thousand two hundred ten"),
    ],
)  # fmt: skip
def test_numbers_in_words(value: int, words: str) -> None:
    assert everyday.number_words(value) == words


def test_every_number_in_words_is_another() -> None:
    assert len({everyday.number_words(value) for value in range(3_000)}) == 3_000
    with pytest.raises(ValueError, match="1000000000"):
        everyday.number_words(10**9)


def test_everyday_sentences_are_each_once_without_digits_and_end() -> None:
    made = list(islice(everyday.sentences(1), 4_000))
    assert len(set(made)) == len(made)
    assert made == list(islice(everyday.sentences(1), 4_000))
    assert not [text for text in made if re.search(r"[0-9{}]|\ba [aeio]", text)]
    assert all(text[0].isupper() or text[0] == '"' for text in made)
    assert all(text.rstrip('"')[-1] in ".!?" for text in made)


def test_a_book_gives_its_sentences_and_neither_licence_nor_first_chapter() -> None:
    found = set(texts.book_sentences(BOOK))
    assert found == {
        "He said to her, We saw the old house by the sea, and then went in.",
        "The old house by the sea was sold—and nobody knew why.",
    }
    with pytest.raises(ValueError, match="START"):
        list(texts.book_sentences("A text without marks."))


def test_texts_of_tests_are_found_in_lists_manifests_and_sources(tmp_path: Path) -> None:
    (tmp_path / "h.txt").write_text("Glue the sheet to the board.\nRice is good.\n")
    rows = [{"text": "Held out.", "split": "val"}, {"text": "Learned.", "split": "train"}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "t.py").write_text('A = ("Two words", "Three words here")\n')
    assert texts.excluded_texts(tmp_path / "h.txt")[0] == "Glue the sheet to the board."
    assert texts.excluded_texts(tmp_path / "m.jsonl") == ["Held out."]
    assert texts.excluded_texts(tmp_path / "t.py") == ["Three words here"]


def test_five_words_in_a_row_are_the_same_text() -> None:
    barred = texts.runs("Glue the sheet to the dark board.")
    assert texts.runs("We glue the sheet to the wall.") & barred
    assert not texts.runs("We glue the sheet to a wall.") & barred
    assert texts.runs("Never mind.") & texts.runs("never mind")


def test_the_richest_order_prefers_pairs_not_yet_heard() -> None:
    assert texts.richest(["aaaa", "abcd", "abcd", "efgh"], 3)[:2] == [1, 3]
    assert sorted(texts.richest(["ab", "cd", "ef"], 9)) == [0, 1, 2]


@needs_espeak
def test_phonemes_are_those_of_the_model_and_clauses_stay_in_order() -> None:
    said = phonemes.espeak(["Go home, now!", "", "In the joy (of it)."], "en-us")
    assert said[0].count(",") == 1
    assert said[0].endswith("!")
    assert said[1] == ""
    assert said[2] == phonemes.espeak(["In the joy, of it."], "en-us")[0]
    for language in ("en-us", "en-gb"):
        every = phonemes.espeak(list(islice(everyday.sentences(3), 300)), language)
        made = "".join(phonemes.kokoro(text, british=language == "en-gb") for text in every)
        assert set(made) <= set(teach.SYMBOLS)


def test_the_is_a_word_of_its_own_and_diphthongs_are_one_symbol() -> None:
    assert phonemes.kokoro("ɪnðə hˈa^ʊs") == "ɪn ðə hˈWs"
    assert phonemes.kokoro("bɹˈʌðə", british=True) == "bɹˈʌðə", "brother keeps its end"
    assert phonemes.kokoro("ɡˌo^ʊ mˈoː^ɹ") == "ɡˌO mˈɔɹ"


SHARES = (Share("af_x", 4.0), Share("bm_y", 2.0, (0.9, 1.1)))
LIST = [
    {"id": f"t{n:03d}", "text": f"Text {n}.", "kind": "book", "source": "b"} for n in range(40)
]


def test_no_text_is_two_voices_and_each_has_its_part() -> None:
    given = teach.shares_of(LIST, SHARES)
    ids = [text["id"] for own in given.values() for text in own]
    assert sorted(ids) == [text["id"] for text in LIST]
    assert abs(len(given["af_x"]) - 2 * len(given["bm_y"])) <= 2


class Speaks:
    """A stand-in for the model of others: says a symbol in one frame, and can fail at a count."""

    def __init__(self, fails_at: int = 10**9) -> None:
        self.said: list[str] = []
        self._fails_at = fails_at

    def style(self, voice: str) -> np.ndarray:
        return np.zeros((510, 256), np.float32)

    def __call__(
        self, symbols: str, style: np.ndarray, speed: float
    ) -> tuple[np.ndarray, list[int]]:
        if len(self.said) == self._fails_at:
            raise KeyboardInterrupt
        self.said.append(symbols)
        frames = [1] * (len(symbols) + 2)
        return np.full(teach.HOP * len(frames), 0.1, np.float32), frames


@needs_espeak
def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    teach.speak(Speaks(), LIST, SHARES, tmp_path / "whole", 1e9)
    with pytest.raises(KeyboardInterrupt):
        teach.speak(Speaks(7), LIST, SHARES, tmp_path / "parts", 1e9)
    listed = tmp_path / "parts" / "speech.jsonl"
    listed.write_text(listed.read_text() + '{"file": "af_x/t0')  # killed while writing
    again = Speaks()
    teach.speak(again, LIST, SHARES, tmp_path / "parts", 1e9)
    one, two = (teach.read_done(tmp_path / part / "speech.jsonl") for part in ("whole", "parts"))
    same = [{k: v for k, v in row.items() if k != "cpu"} for row in one]
    assert [{k: v for k, v in row.items() if k != "cpu"} for row in two] == same
    assert len(again.said) == len(one) - 7
    for row in two:
        info = soundfile.info(tmp_path / "parts" / row["file"])
        assert info.frames == teach.HOP * sum(row["frames"]) == round(row["seconds"] * teach.RATE)
    spoken = {s.voice: sum(r["seconds"] for r in one if r["voice"] == s.voice) for s in SHARES}
    assert all(spoken[share.voice] >= share.seconds for share in SHARES)
    assert {row["speed"] for row in one if row["voice"] == "af_x"} == {1.0}


@needs_espeak
def test_it_stops_at_the_limit(tmp_path: Path) -> None:
    teach.speak(Speaks(), LIST, SHARES, tmp_path, 2.0)
    total = sum(row["seconds"] for row in teach.read_done(tmp_path / "speech.jsonl"))
    assert 2.0 <= total < 3.0


def test_a_damaged_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "speech.jsonl"
    path.write_text('{"file": 1}\nnonsense\n{"file": 2}\n')
    with pytest.raises(ValueError, match="line 2"):
        teach.read_done(path)
