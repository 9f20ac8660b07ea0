"""The user's own lexicon: two columns and the W3C's format."""

from pathlib import Path

import pytest

from diff_audio.text import Lexicon, phonemes

COLUMNS = """# names
Siobhan  SH AH0 V AO1 N
Nguyen\t/wɪn/
GitHub  git hub
New Delhi\tN UW1 D EH1 L IY0   # two words
;;; a comment of CMUdict
Ng  EH1 NG
"""

PLS = """<?xml version="1.0" encoding="UTF-8"?>
<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
         alphabet="ipa" xml:lang="en-US">
  <lexeme><grapheme>Siobhan</grapheme><phoneme>ʃəˈvɔːn</phoneme></lexeme>
  <lexeme><grapheme>Nguyen</grapheme><phoneme alphabet="x-arpabet">W IH1 N</phoneme></lexeme>
  <lexeme><grapheme>W3C</grapheme><alias>World Wide Web Consortium</alias></lexeme>
</lexicon>
"""


def lexicon(folder: Path, text: str) -> Lexicon:
    path = folder / "lexicon"
    path.write_text(text, "utf-8")
    return Lexicon.read(path)


def said(text: str, own: Lexicon) -> tuple[str, tuple[str, ...]]:
    spoken = phonemes(text, lexicon=own)
    return " ".join(spoken).replace("   ", " | "), spoken.words


def test_two_columns(tmp_path):
    own = lexicon(tmp_path, COLUMNS)
    assert said("Siobhan Nguyen", own) == (
        "SH AH0 V AO1 N | W IH1 N",
        ("Siobhan", "Nguyen"),
    )
    assert said("SIOBHAN's GitHub", own)[1] == ("SIOBHAN's", "git", "hub")
    assert said("SIOBHAN's", own)[0] == "SH AH0 V AO1 N Z"
    assert said("New Delhi's Ng.", own) == (
        "N UW1 D EH1 L IY0 Z | EH1 NG .",
        ("New Delhi's", "Ng"),
    )
    assert said("strong", own)[1] == ("strong",)  # no part of a word


def test_the_format_of_the_w3c(tmp_path):
    own = lexicon(tmp_path, PLS)
    assert said("Siobhan Nguyen of the W3C", own) == (
        "SH AH0 V AO1 N | W IH1 N | AH1 V | DH AH0 | W ER1 L D | W AY1 D | W EH1 B | "
        "K AH0 N S AO1 R SH IY0 AH0 M",
        ("Siobhan", "Nguyen", "of", "the", "world", "wide", "web", "consortium"),
    )


def test_case_decides_where_two_entries_differ_by_it(tmp_path):
    own = lexicon(tmp_path, "us  AH1 S\nUS  Y UW1 EH1 S\n")
    assert said("US us", own)[0] == "Y UW1 EH1 S | AH1 S"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Siobhan\n", "line 1 is 'Siobhan': expected a word and how it is said"),
        ("a  AH0\nb  B QQ1\n", "line 2, 'b': 'QQ1' is no phoneme of ARPAbet"),
        ("b  /ǃ/\n", "line 1, 'b': '\\\\u01c3' is no sound of the IPA"),
        ("<lexicon><lexeme></lexicon>", "broken XML at line 1"),
        ("<html></html>", "expected <lexicon>"),
        ("<lexicon><lexeme><grapheme>a</grapheme></lexeme></lexicon>", "without a grapheme, or"),
        ('<lexicon alphabet="x-sampa"><lexeme><grapheme>a</grapheme><phoneme>a</phoneme></lexeme>'
         "</lexicon>", "alphabet 'x-sampa'; expected ipa or arpabet"),
        ('<!DOCTYPE l [<!ENTITY a "b">]><lexicon/>', "declares entities"),
    ],
)  # fmt: skip
def test_a_fault_names_the_file_and_the_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        lexicon(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_lexicon_that_is_no_text(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"caf\xe9 K AE0")
    with pytest.raises(ValueError, match="is not UTF-8"):
        Lexicon.read(path)
