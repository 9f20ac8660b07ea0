"""Written English in spoken words, by how people say it."""

import pytest

from diff_audio.text import phonemes

CASES = [
    # abbreviations
    ("Dr. Smith paid $3.50", "doctor smith paid three dollars and fifty cents"),
    ("Mr. and Mrs. Jones vs. Ms. Lee", "mister and missus jones versus miz lee"),
    ("St. Mary's on Main St.", "saint mary's on main street"),
    ("He lives on Mulholland Dr.", "he lives on mulholland drive"),
    ("Prof. Lee, Jr., etc.", "professor lee junior et cetera"),
    ("No. 5 says no. No!", "number five says no no"),
    ("See p. 12 and Fig. 3.", "see page twelve and figure three"),
    ("e.g. cats, i.e. pets", "for example cats that is pets"),
    ("J. R. R. Tolkien", "J R R tolkien"),
    # acronyms
    ("NASA and NATO", "nasa and nato"),
    ("the EPA's CDs in the US", "the E P As C Ds in the U S"),
    ("STOP THAT NOW", "stop that now"),
    ("the IT department did it", "the I T department did it"),
    ("COVID-19 on 4K TVs", "covid nineteen on four K T Vs"),
    ("mp3", "M P three"),
    ("vitamin A is a vitamin", "vitamin A is a vitamin"),
    # numbers
    ("1,234,567.89", "one million two hundred thirty four thousand five hundred sixty seven "
     "point eight nine"),
    ("the 1st, 2nd, 23rd and 112th", "the first second twenty third and one hundred twelfth"),
    ("007", "zero zero seven"),
    ("-5 or .5", "minus five or point five"),
    ("version 1.2.3", "version one dot two dot three"),
    ("1/2, 3/4 and 2 1/3 cups", "one half three quarters and two and one third cups"),
    ("2½ cups", "two and one half cups"),
    ("open 24/7", "open twenty four seven"),
    ("pages 5-10", "pages five to ten"),
    ("1914–1918", "nineteen fourteen to nineteen eighteen"),
    ("a 3:1 lead", "a three to one lead"),
    ("#5 is a #win", "number five is a hashtag win"),
    # years and dates
    ("in 1905 and 2007", "in nineteen oh five and two thousand seven"),
    ("1066 AD", "ten sixty six A D"),
    ("500 BC", "five hundred B C"),
    ("the 1990s and the '80s", "the nineteen nineties and the eighties"),
    ("1234 items, 1500", "one thousand two hundred thirty four items fifteen hundred"),
    ("March 5, 2024", "march fifth twenty twenty four"),
    ("5 March 2024", "the fifth of march twenty twenty four"),
    ("the 4th of July", "the fourth of july"),
    ("Dec. 25th", "december twenty fifth"),
    ("2024-12-31", "december thirty first twenty twenty four"),
    ("3/5/2024", "march fifth twenty twenty four"),
    ("25/12/1999", "december twenty fifth nineteen ninety nine"),
    ("May 2020", "may twenty twenty"),
    ("You may go", "you may go"),
    # times
    ("3:05 p.m.", "three oh five P M"),
    ("at 15:45", "at fifteen forty five"),
    ("12:00", "twelve o'clock"),
    ("6am", "six A M"),
    # money
    ("$1, $2 and $0.99", "one dollar two dollars and ninety nine cents"),
    ("£1.01", "one pound and one penny"),
    ("€1,000", "one thousand euros"),
    ("$1.2 billion", "one point two billion dollars"),
    ("£2m", "two million pounds"),
    ("$5-10", "five to ten dollars"),
    ("50¢", "fifty cents"),
    # measures
    ("10%", "ten percent"),
    ("5 km at 60 km/h", "five kilometers at sixty kilometers per hour"),
    ("1 kg, 2.5 kg", "one kilogram two point five kilograms"),
    ("-5°C or 98.6 °F", "minus five degrees celsius or ninety eight point six degrees fahrenheit"),
    ("5'10\" tall", "five feet ten inches tall"),
    ("16 GB, 3 GHz", "sixteen gigabytes three gigahertz"),
    ("10 MB/s", "ten megabytes per second"),
    # Roman numerals
    ("Louis XIV and Elizabeth II", "louis the fourteenth and elizabeth the second"),
    ("World War II, Chapter IV", "world war two chapter four"),
    ("Rocky III", "rocky three"),
    ("Mary, I think", "mary i think"),
    # telephone, mail, web
    ("(555) 123-4567", "five five five one two three four five six seven"),
    ("555-1234", "five five five one two three four"),
    ("+44 20 7946 0958", "plus four four two zero seven nine four six zero nine five eight"),
    ("john.smith@example.com", "john dot smith at example dot com"),
    ("https://www.example.co.uk/a-b", "W W W dot example dot C O dot U K slash A dash B"),
    ("Visit example.org.", "visit example dot org"),
    # signs
    ("R&D + more = fun @ home", "R and D plus more equals fun at home"),
    ("3 x 5 = 15", "three times five equals fifteen"),
    ("and/or", "and or"),
    ("C++", "C plus plus"),
    ("x < y", "X less than Y"),
    ("α-rays", "alpha rays"),
    # Unicode
    ("“naïve” café — ﬁne", "naive cafe fine"),
    ("don’t", "don't"),
    ("４２", "forty two"),
    ("soft\u00adware", "software"),
    ("rock 'n' roll", "rock 'n roll"),
    ("well-known", "well known"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), CASES, ids=[text for text, _ in CASES])
def test_words(text, words):
    assert " ".join(phonemes(text).words) == words


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("Yes, no; maybe: so. Really? Wow! Well - yes.", ",;:.?!-."),
        ("What?! No!!! Hm...", "?!."),
        ("He left at 5 p.m. Then she came.", ".."),
        ("He left at 5 p.m. with her.", "."),
        ("Acme Inc. The end.", ".."),
        ("In the U.S. They left. In the U.S. Senate.", "..."),
        ("Dr. Smith and St. Mary", ""),
        ("... (quietly) he said", ","),
        ("3.14 is 1,000 times", ""),
        ("a — b – c -- d", "---"),
        ("no.", "."),
    ],
)
def test_punctuation_is_kept_where_it_is_heard(text, marks):
    said = [symbol for symbol in phonemes(text) if symbol in ",.!?;:-"]
    assert "".join(said) == marks
