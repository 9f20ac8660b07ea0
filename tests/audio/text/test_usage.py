"""Signs, numbers and names that people say in a way of their own."""

import pytest

from diff_audio.text import phonemes

CASES = [
    # signs
    ("-$5, $-5", "minus five dollars minus five dollars"),
    ("$5-10", "five to ten dollars"),
    ("$5/month, €3/hr", "five dollars per month three euros per hour"),
    ("1e-5", "one times ten to the power of minus five"),
    ("6.02e23", "six point zero two times ten to the power of twenty three"),
    ("10^-5 is 10^2", "ten to the power of minus five is ten to the power of two"),
    ("√2", "square root of two"),
    ("2x4, 4×4", "two by four four by four"),
    ("3x5=15", "three times five equals fifteen"),
    ("5 × 10^3", "five times ten to the power of three"),
    ("10x faster", "ten times faster"),
    ('10" vinyl', "ten inch vinyl"),
    ('it is 10" tall', "it is ten inches tall"),
    ('a 10" or 12" disc', "a ten inches or twelve inch disc"),
    ('"I am 10" he said', "i am ten he said"),
    ("5 in. long, 6' tall", "five inches long six feet tall"),
    ("50/50", "fifty fifty"),
    # times
    ("10:30-11:45", "ten thirty to eleven forty five"),
    ("9am-5pm", "nine A M to five P M"),
    ("10-11 a.m.", "ten to eleven A M"),
    ("9:15–17:30", "nine fifteen to seventeen thirty"),
    ("Mon-Fri, Jan–Mar", "monday to friday january to march"),
    ("Fri 5pm", "friday five P M"),
    ("the sun, a sat nav", "the sun a sat nav"),
    ("01.05.2024", "may first twenty twenty four"),
    ("2024's best of the 1990's", "twenty twenty four's best of the nineteen nineties"),
    ("the class of '05 and '98", "the class of oh five and ninety eight"),
    # numbers digit by digit
    ("call 911", "call nine one one"),
    ("911", "nine one one"),
    ("911 items", "nine hundred eleven items"),
    ("dial 112", "dial one one two"),
    ("Beverly Hills, CA 90210", "beverly hills california nine zero two one zero"),
    ("TX 73301-0001", "texas seven three three zero one zero zero zero one"),
    ("ZIP code 02134", "zip code zero two one three four"),
    ("Austin, TX.", "austin texas"),
    ("90210 people", "ninety thousand two hundred ten people"),
    ("5551234567", "five five five one two three four five six seven"),
    ("8000000000", "eight billion"),
    ("1-800-555-0199", "one eight zero zero five five five zero one nine nine"),
    ("Room 101, flight 370", "room one oh one flight three seventy"),
    ("v2.0 and version 1.2.3", "version two point zero and version one dot two dot three"),
    ("Python 3.11", "python three point eleven"),
    # letters
    ("WWII after WWI", "world war two after world war one"),
    ("iOS, mRNA, tRNAs", "I O S M R N A T R N As"),
    ("PhDs and a PhD", "P H Ds and a P H D"),
    ("macOS", "mac O S"),
    ("AM radio; I am", "A M radio i am"),
    ("an IV drip", "an I V drip"),
    ("Henry IV", "henry the fourth"),
    ("MCMLXXIV", "nineteen seventy four"),
    ("notes.txt, song.mp3, all.zip", "notes dot T X T song dot M P three all dot zip"),
    # short forms
    ("12 hrs and hrs", "twelve hours and hours"),
    ("8 oz. of it, oz.", "eight ounces of it ounces"),
    ("5th Ave is on Park Ave.", "fifth avenue is on park avenue"),
    ("Ave Maria", "ave maria"),
    ("Mt Everest", "mount everest"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), CASES, ids=[text for text, _ in CASES])
def test_words(text, words):
    assert " ".join(phonemes(text).words) == words


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Excuse me", {0: "IH0 K S K Y UW1 Z"}),
        ("an excuse", {1: "IH0 K S K Y UW1 S"}),
        ("a tear in her eye", {1: "T IH1 R"}),
        ("a tear in the cloth", {1: "T EH1 R"}),
        ("she shed a tear", {3: "T IH1 R"}),
        ("Record a record", {0: "R AH0 K AO1 R D", 2: "R EH1 K ER0 D"}),
        ("Present the present", {0: "P R IY0 Z EH1 N T", 2: "P R EH1 Z AH0 N T"}),
        ("Desert the desert", {0: "D IH0 Z ER1 T", 2: "D EH1 Z ER0 T"}),
        ("Project the project", {0: "P R AH0 JH EH1 K T", 2: "P R AA1 JH EH0 K T"}),
        ("to perfect it", {1: "P ER0 F EH1 K T"}),
        ("a Polish sausage", {1: "P OW1 L IH0 SH"}),
        ("polish the shoes", {0: "P AA1 L IH0 SH"}),
        ("content with it", {0: "K AH0 N T EH1 N T"}),
        ("the content of it", {1: "K AA1 N T EH0 N T"}),
        ("a learned man", {1: "L ER1 N AH0 D"}),
        ("he learned it", {1: "L ER1 N D"}),
        ("make use of it", {1: "Y UW1 S"}),
        ("use the door", {0: "Y UW1 Z"}),
        ("Ann records a song", {1: "R AH0 K AO1 R D Z"}),
        ("old records", {1: "R EH1 K ER0 D Z"}),
        ("I was upset", {2: "AH0 P S EH1 T"}),
        ("fresh produce", {1: "P R OW1 D UW0 S"}),
        ("wind the clock", {0: "W AY1 N D"}),
        ("the shops close at five", {2: "K L OW1 Z"}),
        ("my address", {1: "AE1 D R EH2 S"}),
        ("address the crowd", {0: "AH0 D R EH1 S"}),
        ("an aged man", {1: "EY1 JH AH0 D"}),
        ("aged five", {0: "EY1 JH D"}),
        ("Siobhan Nguyen's GitHub", {0: "SH AH0 V AO1 N", 1: "W IH1 N Z", 2: "G IH1 T HH AH2 B"}),
    ],
)
def test_words_that_sound_by_their_place(text, places):
    spoken = " ".join(phonemes(text)).split("   ")
    for place, sounds in places.items():
        assert spoken[place] == sounds


@pytest.mark.parametrize(
    "piece", ["1x", "1", "a.", "10-", "911 ", "$-", '1"', "II", "iOS", "1:00-", "a@"]
)
def test_numbers_over_and_over_are_no_trap(piece):
    assert phonemes(piece * 4000).words
