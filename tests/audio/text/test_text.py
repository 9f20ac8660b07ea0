"""Any text: what can be said is said, the rest is named, long text comes in pieces."""

import json
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diff_audio.text import SYMBOLS, encode, phonemes, sentences, utterances
from diff_audio.text.__main__ import main
from diff_audio.text.normalise.sentences import LONGEST

ENGLISH = st.text("abcAIXS .,!?;:-'\"()0123456789$£%/@&+=#*<>\n", max_size=80)


@settings(max_examples=300)
@given(st.text(max_size=60) | ENGLISH)
@example("\x01\x02\x03")
@example("\ud800")
@example("1/0 0:00 $0.00 00/00/00 31/31/31 Feb 31, 99:99 II. VX -.- I.I. '' '80s")
def test_any_text_is_spoken_or_refused_with_a_reason(text):
    try:
        spoken = phonemes(text)
    except ValueError as error:
        assert str(error).startswith("text")
        return
    assert spoken.words
    assert set(spoken) <= set(SYMBOLS)
    assert spoken[0] not in " ,.!?;:-"
    assert len(encode(spoken)) == len(spoken) + 2
    for skipped in spoken.skipped:
        assert text[skipped.position :].startswith(skipped.text)


def flat(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=300)
@given(st.text(max_size=400) | st.text("ab. ,A!\n[]", max_size=900))
def test_sentences_lose_nothing_and_stay_short(text):
    pieces = list(sentences(text))
    assert flat("".join(pieces)) == flat(text)
    assert all(piece == piece.strip() and piece for piece in pieces)
    assert all(len(piece) <= LONGEST or "[" in piece for piece in pieces)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=12), max_size=300), st.data())
def test_sentences_cut_between_words(words, data):
    marks = data.draw(
        st.lists(
            st.sampled_from(["", "", ",", ";", "."]), min_size=len(words), max_size=len(words)
        )
    )
    text = " ".join(word + mark for word, mark in zip(words, marks, strict=True))
    assert " ".join(sentences(text)) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four", 4),
        ("Dr. Smith met Mr. Jones at St. Mary's.", 1),
        ("He came at 5 p.m. sharp. She left.", 2),
        ("In the U.S. They left.", 2),
        ("In the U.S. Senate.", 1),
        ("J. R. R. Tolkien wrote it.", 1),
        ("No. 5 is alive. No. I am not.", 3),
        ("Pi is 3.14. It is.", 2),
        ("apples, pears, etc. and more", 1),
        ("apples, pears, etc. The end.", 2),
        ('"Stop." He did. (Really.) Yes.', 4),
        ("A heading\n\nA paragraph\nof two lines.", 2),
        ("Wait... what? Wait... No.", 3),
        ("So do I. He does too.", 2),
        ("e.g. Rome, i.e. the city", 1),
        ("", 0),
    ],
)
def test_sentences_end_where_readers_say(text, count):
    assert len(list(sentences(text))) == count


def test_a_long_sentence_is_cut_at_its_clauses():
    clause = "this is a clause of some forty characters"
    text = ", ".join([clause] * 12) + "."
    pieces = list(sentences(text))
    assert all(piece.endswith((",", ".")) and len(piece) <= LONGEST for piece in pieces)
    assert len(pieces) == 3


def test_long_text_streams():
    """A hundred thousand characters: the first sentence is said before the rest is looked at."""
    said = 0

    text = "It was the best of times, it was the worst of times. " * 2000
    stream = utterances(text)
    first = next(stream)
    assert first.words[:3] == ("it", "was", "the")
    for spoken in stream:
        said += 1
        assert len(spoken) < 20 * LONGEST
    assert said == 1999


@pytest.mark.parametrize(
    "character", ["a", "1", ".", "-", "(", "'", "A", "$", "1,", "a.", "1/", "I"]
)
def test_one_character_over_and_over_is_no_trap(character):
    text = character * 20_000
    try:
        assert phonemes(text).words
    except ValueError as error:
        assert "nothing to say" in str(error)


def test_what_cannot_be_said_is_named():
    spoken = phonemes("Hi 🙂 мир!")
    assert spoken.words == ("hi",)
    assert [(s.position, s.text, s.name) for s in spoken.skipped] == [
        (3, "🙂", "SLIGHTLY SMILING FACE"),
        (5, "мир", "CYRILLIC"),
    ]
    with pytest.raises(ValueError, match="character 3: .*SLIGHTLY SMILING FACE"):
        phonemes("Hi 🙂", strict=True)


def test_what_is_skipped_is_told_where_it_stands_in_the_whole_text():
    text = "Привет. Hello there. 🙂 You. 漢字."
    skipped = [one for spoken in utterances(text) for one in spoken.skipped]
    assert [text[one.position :].startswith(one.text) for one in skipped] == [True] * 3
    assert [one.name for one in skipped] == ["CYRILLIC", "SLIGHTLY SMILING FACE", "CJK"]


def test_a_bad_bracket_in_a_later_sentence_is_named_with_its_place():
    with pytest.raises(ValueError, match="character 13 is never closed"):
        list(utterances("Hello there. [HH AH0"))


@pytest.mark.parametrize("text", ["", " \n", "...", "?!", "🙂", "— – -", "()", '"'])
def test_nothing_to_say_is_an_error(text):
    with pytest.raises(ValueError, match="nothing to say"):
        phonemes(text)
    with pytest.raises(ValueError, match="nothing to say"):
        list(utterances(text))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="engine is 'festival': expected one of cmu, gruut"):
        phonemes("a", engine="festival")
    with pytest.raises(ValueError, match="language is 'de-de'.*expected engine 'gruut'"):
        phonemes("a", language="de-de")
    with pytest.raises(ValueError, match="text is NoneType: expected str"):
        phonemes(None)


def test_the_command_prints_words_and_phonemes(capsys):
    assert main(["Dr. Smith. [T UW1] 🙂"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["doctor smith", "D AA1 K T ER0   S M IH1 TH .", "[T UW1]", "T UW1"]
    assert "SLIGHTLY SMILING FACE" in err
    assert main(["--json", "Hi."]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == ["hi"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["[HH"], 1, "diff_audio.text: text: '[' at character 0 is never closed"),
        (["--strict", "a 🙂"], 1, "SLIGHTLY SMILING FACE"),
        ([""], 1, "nothing to say"),
        (["--engine", "x", "a"], 2, "expected one of cmu, gruut, espeak"),
        ([], 2, "TEXT"),
    ],
)
def test_the_command_fails_in_one_line(arguments, code, message, capsys):
    assert main(arguments) == code
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_standard_input_is_read():
    done = subprocess.run(
        [sys.executable, "-m", "diff_audio.text", "-"],
        input="Hi there.",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("hi there\n")
