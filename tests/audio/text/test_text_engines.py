"""Other languages: the alphabet of the libraries in our symbols, and the libraries themselves."""

import importlib.util
import string

import pytest

from diff_audio.text import SYMBOLS, phonemes
from diff_audio.text.pronunciation.ipa import arpabet


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("həlˈoʊ", "HH AH0 L OW1"),
        ("wˈɜːld", "W ER1 L D"),
        ("d͡ʒˈæz", "JH AE1 Z"),
        ("tʃˈɜːtʃ", "CH ER1 CH"),
        ("ˈʌndɚstˌænd", "AH1 N D ER0 S T AE2 N D"),
        ("bˈɔɪ", "B OY1"),
        ("ʃˈøːnə", "SH ER1 N AH0"),
        ("ˈaʊ̯to", "AW1 T OW0"),
        ("bɔ̃ʒˈuʁ", "B AO0 ZH UW1 R"),
        ("ɪç", "IH0 SH"),
        ("ɲ", "N Y"),
        ("", ""),
    ],
)
def test_ipa_becomes_the_nearest_sounds(ipa, phones):
    assert arpabet(ipa) == (phones.split(), [])


def test_a_tap_depends_on_the_language_and_unknown_signs_are_named():
    assert arpabet("ɾ") == (["D"], [])
    assert arpabet("ɾ", tap="R") == (["R"], [])
    assert arpabet("tǃa") == (["T", "AA0"], ["ǃ"])


# A library that is not installed is told of in one line that says how to install it.
LIBRARIES = {"gruut": ("gruut", "en-us"), "espeak": ("phonemizer", "en-us")}


@pytest.mark.parametrize("engine", LIBRARIES)
def test_an_engine_speaks_or_says_how_to_install_it(engine):
    library, language = LIBRARIES[engine]
    text = "Hello world, [T UW1] birds! Yes."
    if importlib.util.find_spec(library) is None:
        with pytest.raises(ValueError, match=rf"pip install 'diff-audio\[{engine}\]'"):
            phonemes(text, engine=engine)
        return
    spoken = phonemes(text, engine=engine, language=language)
    assert set(spoken) <= set(SYMBOLS)
    words = " ".join(spoken).translate(str.maketrans("", "", string.digits)).split("   ")
    assert [w.rstrip(",!. ") for w in words[1:]] == ["W ER L D", "T UW", "B ER D Z", "Y EH S"]
    assert [symbol for symbol in spoken if symbol in ",.!?"] == [",", "!", "."]
    with pytest.raises(ValueError, match="language is 'xx'"):
        phonemes(text, engine=engine, language="xx")
    with pytest.raises(ValueError, match="nothing to say"):
        phonemes("...", engine=engine)
