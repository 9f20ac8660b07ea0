"""SSML: what is obeyed, what is named, what is refused."""

import pytest

from diff_audio.text import phonemes, utterances
from diff_audio.text.pronunciation.dictionary import lookup


def spoken(inside: str):
    return list(utterances(f"<speak>{inside}</speak>"))


def words(inside: str) -> str:
    return " ".join(" ".join(one.words) for one in spoken(inside))


def test_paragraphs_sentences_and_breaks_have_their_pauses():
    found = spoken(
        '<break time="200ms"/>Hello <break time="1.5s"/> world.<p><s>One</s><s>two</s></p>'
        '<p>Three</p>Four<break strength="none"/>five'
    )
    assert [(" ".join(one.words), one.gap, one.pause) for one in found] == [
        ("hello", "sentence", 1.5),
        ("world", "sentence", None),
        ("one", "sentence", None),
        ("two", "paragraph", None),
        ("three", "paragraph", None),
        ("four", "sentence", 0.0),
        ("five", "paragraph", None),
    ]
    assert [one.lead for one in found] == [0.2, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("kind", "form", "inside", "said"),
    [
        ("characters", "", "AbC-1", "A B C dash one"),
        ("spell-out", "", "ai", "A I"),
        ("cardinal", "", "1,905", "one thousand nine hundred five"),
        ("number", "", "-2.5", "minus two point five"),
        ("ordinal", "", "21", "twenty first"),
        ("digits", "", "1905", "one nine zero five"),
        ("fraction", "", "2 1/3", "two and one third"),
        ("date", "dmy", "5/3/2024", "march fifth twenty twenty four"),
        ("date", "mdy", "5/3/2024", "may third twenty twenty four"),
        ("date", "", "2024-05-03", "may third twenty twenty four"),
        ("date", "my", "5/2024", "may twenty twenty four"),
        ("date", "y", "1066", "ten sixty six"),
        ("telephone", "", "+1 555 0199", "plus one five five five zero one nine nine"),
        ("currency", "", "$2.50", "two dollars and fifty cents"),
        ("cardinal", "", "many", "many"),
        ("time", "hms12", "2:30pm", "two thirty P M"),
    ],
)
def test_say_as(kind, form, inside, said):
    given = f' format="{form}"' if form else ""
    text = f'<say-as interpret-as="{kind}"{given}>{inside}</say-as>'
    assert words(f"It is {text}.") == f"it is {said}"
    assert not spoken(text)[0].skipped


def test_substitutes_and_phonemes_take_the_place_of_the_text():
    assert words('Use <sub alias="W three C">W3C</sub> now') == "use W three C now"
    for given in ('ph="təˈmeɪtoʊ"', 'alphabet="x-arpabet" ph="T AH0 M EY1 T OW0"'):
        one = spoken(f"A <phoneme {given}>tomato</phoneme>.")[0]
        assert one.words == ("A" if one.words[0] == "A" else "a", "tomato")
        assert " ".join(one).endswith("T AH0 M EY1 T OW0 .")
        assert one.text == "A tomato."


def test_rate_and_emphasis_reach_the_phonemes_of_their_words():
    one = spoken(
        'we <prosody rate="50%">go <emphasis level="strong">now</emphasis></prosody> home'
    )[0]
    sounds = list(one)
    at = {word: sounds.index(lookup(word)[0][0]) for word in ("we", "go", "now", "home")}
    assert [one.rates[at[word]] for word in at] == [1.0, 0.5, pytest.approx(0.41), 1.0]
    assert [one.gains[at[word]] > 0 for word in at] == [False, False, True, False]
    assert len(one.rates) == len(one.gains) == len(one)
    assert spoken("plain words")[0].rates == ()


def test_a_rate_lasts_over_sentences_until_its_element_ends():
    found = spoken('<prosody rate="fast">One. Two.<s>Three</s></prosody> Four.')
    assert [set(one.rates) or {1.0} for one in found] == [{1.25}, {1.25}, {1.25}, {1.0}]


@pytest.mark.parametrize(
    ("given", "rate"), [("slow", 0.8), ("80%", 0.8), ("+50%", 1.5), ("-20%", 0.8), ("2", 2.0)]
)
def test_rates_in_words_and_numbers(given, rate):
    one = spoken(f'<prosody rate="{given}">word</prosody>')[0]
    assert one.rates == pytest.approx([rate] * len(one))


def test_what_is_not_obeyed_is_named_once_and_its_text_is_spoken():
    text = (
        '<speak><voice name="x">Hi</voice> <voice name="y">there</voice> '
        '<prosody pitch="+2st">you</prosody> <desc>hidden</desc><mark name="a"/>'
        '<say-as interpret-as="expletive">so</say-as> [1]</speak>'
    )
    one = phonemes(text)
    assert one.words == ("hi", "there", "you", "so")
    assert [skipped.name for skipped in one.skipped] == [
        "voice of SSML",
        "prosody pitch of SSML",
        "desc of SSML",
        "mark of SSML",
        "say-as expletive of SSML",
        "citation",
    ]
    assert all(text[s.position :].startswith(s.text) for s in one.skipped)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<speak>Hi <b>there</speak>", "broken SSML at line 1, column 21: mismatched tag"),
        ("<speak>Hi", "broken SSML at line 1, column 10: no element found"),
        ("<speak>a &nbsp; b</speak>", "undefined entity"),
        ('<speak><break time="5"/></speak>', "break time '5' at character 7: expected such as"),
        ('<speak><break strength="big"/></speak>', "break strength 'big'"),
        ('<speak><prosody rate="quick">a</prosody></speak>', "prosody rate 'quick'"),
        ('<speak><emphasis level="x">a</emphasis></speak>', "emphasis level 'x'"),
        ('<speak><phoneme alphabet="x-arpabet" ph="QQ">a</phoneme></speak>', "phoneme ph 'QQ'"),
        ("<speak></speak>", "nothing to say"),
    ],
)
def test_a_fault_is_one_line_with_its_place(text, message):
    with pytest.raises(ValueError, match="text") as caught:
        phonemes(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_entities_are_never_expanded():
    """A billion laughs: ten lines that would fill the memory."""
    lines = ['<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    text = f"<?xml version='1.0'?><!DOCTYPE speak [{''.join(lines)}]><speak>&a9;</speak>"
    with pytest.raises(ValueError, match="declares entities"):
        phonemes(text)
    outside = '<!DOCTYPE speak [<!ENTITY x SYSTEM "file:///etc/passwd">]><speak>&x;</speak>'
    with pytest.raises(ValueError, match="declares entities"):
        phonemes(outside)


def test_characters_of_other_alphabets_keep_their_places():
    text = "<speak>été — “naïve” 漢字 café <mark name='x'/></speak>"
    one = phonemes(text)
    assert one.words == ("ete", "naive", "cafe")
    assert [(s.text, s.name) for s in one.skipped] == [
        ("漢字", "CJK"), ("<mark name='x'/>", "mark of SSML"),
    ]  # fmt: skip
