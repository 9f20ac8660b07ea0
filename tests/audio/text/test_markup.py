"""Texts that people paste: Markdown, HTML, mail, tables, brackets, addresses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_audio.text import phonemes, summary, utterances
from diff_audio.text.markup.read import read


def told(text: str) -> list[tuple[str, str]]:
    """The sentences of a text with the kind of pause after each."""
    return [(" ".join(one.words), one.gap) for one in utterances(text)]


def left_out(text: str) -> list[tuple[str, str]]:
    return [(one.text, one.name) for spoken in utterances(text) for one in spoken.skipped]


@pytest.mark.parametrize(
    ("text", "words", "names"),
    [
        ("It rained [1] and [12, 13] fell.[4]", "it rained and fell", ["citation"] * 3),
        ("So it is [citation needed].", "so it is", ["citation"]),
        ("It grew [Smith et al., 2019].", "it grew", ["citation"]),
        ("A note.[a] [^2]", "a note", ["citation", "citation"]),
        ("[laughter] Thank you.", "thank you", ["stage direction"]),
        ("He [laughs softly] went [applause].", "he went", ["stage direction"] * 2),
        ("[00:12:05] Good day.", "good day", ["time mark"]),
        ("They asked [the government] to act.", "they asked the government to act", []),
        ("[T]he end of [his] days [in 1999].",
         "the end of his days in nineteen ninety nine", []),
        ("He wrote [sic] it.", "he wrote it", ["citation"]),
        ("an [old [1] and] new]", "an old and new", ["citation"]),
        ("[ ] open [] shut [", "open shut", []),
        ("Say [T UW1] birds [1].", "say [T UW1] birds", ["citation"]),
        ("Press [S T R] now.", "press [S T R] now", []),
    ],
)  # fmt: skip
def test_brackets_are_read_or_left_out(text, words, names):
    spoken = phonemes(text)
    assert " ".join(spoken.words) == words
    assert [one.name for one in spoken.skipped] == names
    assert all(text[one.position :].startswith(one.text) for one in spoken.skipped)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("See [the page](https://a.org/b(c)d \"title\") now.", "see the page now"),
        ("See [the page][ref].\n\n[ref]: https://a.org", "see the page"),
        ("![A cat](cat.png) sat.", "A cat sat"),
        ("*one* **two** ***three*** _four_ __five__ ~~six~~ `seven`",
         "one two three four five six seven"),
        ("**bold *and* italic**'s end", "bold and italic's end"),
        ("snake_case_name and 2 * 3 * 4", "snake case name and two times three times four"),
        (r"1\. \*not\* this", "one not this"),
        ("<https://example.org> or <a@b.org>", "example dot org or A at B dot org"),
        ("<b>Bold</b>ly <i class=\"x > y\">said</i>", "boldly said"),
        ("a &lt; b &amp; c&nbsp;d &#8212; &eacute;", "A less than B and C D E"),
        ("H<sub>2</sub>O, 4<sup>th</sup>, x<sup>2</sup>", "H two O fourth X squared"),
        ("x <y and a < b", "X less than Y and A less than B"),
        ("<img src='x' alt='A dog'> ran", "A dog ran"),
        ("<!-- hidden --><script>var x = '<p>';</script>Shown", "shown"),
        ("a<br/>b", "A B"),
    ],
)  # fmt: skip
def test_markup_within_a_line_is_not_spoken(text, words):
    assert " ".join(phonemes(text).words).lower() == words.lower()


def test_blocks_of_markdown_have_their_pauses():
    text = (
        "# The Title\nBody one.\nIt goes on\n\n> Quoted words.\n\n- an apple\n- a pear\n\n"
        "1. First\n2. Second\n\nUnder\n-----\nThe end.\n\n***\n\nLast."
    )
    assert told(text) == [
        ("the title", "heading"),
        ("body one", "sentence"),
        ("it goes on", "paragraph"),
        ("quoted words", "paragraph"),
        ("an apple", "sentence"),
        ("a pear", "paragraph"),
        ("one first", "sentence"),
        ("two second", "paragraph"),
        ("under", "heading"),
        ("the end", "paragraph"),
        ("last", "paragraph"),
    ]


def test_blocks_of_html_have_their_pauses():
    text = "<html><head><title>No</title></head><h1>Title</h1><p>One. Two.</p><ul><li>A b<li>C d"
    assert told(f"{text}</ul><table><tr><td>x y</td><td>5</td></tr></table></html>") == [
        ("title", "heading"),
        ("one", "sentence"),
        ("two", "paragraph"),
        ("a B", "sentence"),
        ("C D", "paragraph"),
        ("X Y five", "paragraph"),
    ]


def test_a_title_in_plain_text_is_a_heading_and_a_paragraph_is_not():
    text = "CHAPTER I\n\nIt was late.\n\n\nIt rained.\nAll day\n\nThe End"
    assert [gap for _, gap in told(text)] == [
        "heading", "paragraph", "sentence", "paragraph", "paragraph",
    ]  # fmt: skip


def test_a_clause_of_a_long_sentence_is_no_sentence():
    text = ", ".join(["this is a clause of some forty characters"] * 12) + ". Next."
    assert [gap for _, gap in told(text)] == ["clause", "clause", "sentence", "paragraph"]


@pytest.mark.parametrize(
    "table",
    [
        "| Name | Age |\n|------|----:|\n| Ann | 5 |\n| Bob | |",
        "Name | Age\n--- | ---\nAnn | 5\nBob |",
        "+------+-----+\n| Name | Age |\n+------+-----+\n| Ann | 5 |\n| Bob | |\n+------+-----+",
        "Name\tAge\nAnn\t5\nBob",
        "│ Name │ Age │\n├──────┼─────┤\n│ Ann │ 5 │\n│ Bob │ │",
    ],
)
def test_a_table_is_read_row_by_row(table):
    spoken = list(utterances(f"Before.\n\n{table}\n\nAfter."))
    assert [" ".join(one.words) for one in spoken] == [
        "before", "name age", "ann five", "bob", "after",
    ]  # fmt: skip
    assert "," in tuple(spoken[1]) and "," in tuple(spoken[2])


def test_code_front_matter_and_quoted_mail_are_left_out():
    text = (
        "---\ntitle: x\n---\nHello.\n\n```python\nx = [1]\n```\n\nYes.\n\n"
        "On Mon, Jan 5, 2024 at 3:14 PM Ann <ann@b.org>\nwrote:\n\n> Old words.\n> More.\n"
        ">> Older\n"
    )
    assert [words for words, _ in told(text)] == ["hello", "yes"]
    assert [name for _, name in left_out(text)] == ["front matter", "code", "quoted mail"]


def test_a_fence_that_is_never_closed_takes_nothing_away():
    assert [words for words, _ in told("One.\n```\nTwo.\n\nThree.")] == ["one", "two", "three"]


def test_a_long_address_keeps_its_host():
    text = (
        "See https://example.com/a/very/long/path?to=what&nobody=wants&to=hear. Then www.a.org/b."
    )
    spoken = phonemes(text)
    assert " ".join(spoken.words) == (
        "see example dot com then W W W dot A dot org slash B"
    )  # fmt: skip
    assert [one.name for one in spoken.skipped] == ["path of an address"]
    assert tuple(spoken).count(".") == 2


def test_what_is_left_out_is_summed_up():
    text = "One [1] two [2] three \U0001f600 four \U0001f600. [laughter] Five [3]."
    skipped = [one for spoken in utterances(text) for one in spoken.skipped]
    assert [one.position for one in skipped] == sorted(one.position for one in skipped)
    assert summary(skipped) == [
        "character 4: '[1]' (citation) and 2 more",
        "character 22: '\\U0001f600' (GRINNING FACE) and 1 more",
        "character 32: '[laughter]' (stage direction)",
    ]
    assert summary(skipped, 1)[1:] == ["2 further kinds"]


MARKUP = st.text("ab1 .\n#>*_`~[]()<>/|-+=!&;:'\"\t\\pspeak", max_size=120)


PIECES = (
    "<p>", "</b>", "[1]", "**", "|", "\n\n", "a", "# ", "```\n", "> ", "<!--", "-->", "&amp;",
    "[AH0]", "](x)",
)  # fmt: skip


@settings(max_examples=300)
@given(MARKUP | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_markup_is_read_and_places_are_those_of_the_source(text):
    try:
        script = read(text)
    except ValueError as error:
        assert str(error).startswith("text:")
        return
    assert len(script.places) == len(script.text)
    assert all(0 <= place <= len(text) for place in script.places)
    assert all(text[one.position :].startswith(one.text) for one in script.skipped)


def test_words_without_markup_are_untouched():
    text = "It's 5 < 6, isn't it? A & B: (yes) 'no' \"so\" – 7 > 2; 3^2 = 9."
    assert read(text).text == text


@pytest.mark.parametrize(
    "piece",
    ["[", "[a", "<", "*", "_a ", "~~", "[a](b", "\t", " ", "<!--", "<script>", "|", "```x\n"],
)
def test_markup_over_and_over_is_no_trap(piece):
    """The work grows with the text and not with its square: that would be minutes."""
    read(piece * 20_000)
