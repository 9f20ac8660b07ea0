"""The abbreviations, acronyms and Roman numerals."""

from __future__ import annotations

import re

from diff_audio.text.normalise.numbers import cardinal, ordinal, roman
from diff_audio.text.pronunciation.dictionary import lookup

__all__ = ["ENDING", "LETTER", "MONTHS", "SHORT", "acronyms", "expand", "letter_names", "romans"]

LETTER = "\x01"
"""Stands before a capital that is spoken by its name, so that A is no article."""

MONTHS = (
    "January February March April May June July August September October November December"
).split()
"""The names of the months, January first."""

# Written with a full stop; those in _BARE without one too.
SHORT = {
    "Mr": "mister", "Mrs": "missus", "Ms": "miz", "Messrs": "messieurs", "Prof": "professor",
    "Rev": "reverend", "Gen": "general", "Col": "colonel", "Capt": "captain", "Cpt": "captain",
    "Lt": "lieutenant", "Sgt": "sergeant", "Sen": "senator", "Rep": "representative",
    "Gov": "governor", "Pres": "president", "Hon": "honorable", "Jr": "junior", "Sr": "senior",
    "Inc": "incorporated", "Ltd": "limited", "Co": "company", "Corp": "corporation",
    "Bros": "brothers", "Ave": "avenue", "Blvd": "boulevard", "Rd": "road", "Mt": "mount",
    "Ft": "fort", "vs": "versus", "etc": "et cetera", "approx": "approximately",
    "dept": "department", "Dept": "department", "est": "established", "fig": "figure",
    "Fig": "figure", "vol": "volume", "Vol": "volume", "al": "al", "cf": "compare",
    "ca": "circa", "misc": "miscellaneous", "tel": "telephone", "Tel": "telephone",
    "ext": "extension", "min": "minimum", "max": "maximum", "Mon": "monday", "Tue": "tuesday",
    "Tues": "tuesday", "Wed": "wednesday", "Thu": "thursday", "Thurs": "thursday",
    "Fri": "friday", "Sat": "saturday", "Sept": "september",
    **{month[:3]: month.lower() for month in MONTHS if month != "May"},
}  # fmt: skip
"""The words for abbreviations that are written with a full stop."""
_BARE = ("Mr", "Mrs", "Ms", "Prof", "Jr", "Sr", "vs", "etc")

ENDING = frozenset({"Jr", "Sr", "Inc", "Ltd", "Co", "Corp", "Bros", "Ave", "Blvd", "Rd", "etc"})
"""The ones among those that often end a sentence: a capital after them begins a new one."""

_NUMBERED = {
    "No": "number", "no": "number", "Nos": "numbers", "p": "page", "pp": "pages",
    "ch": "chapter", "Ch": "chapter", "sec": "section", "c": "circa",
}  # fmt: skip
_DOTTED = {"e.g.": "for example", "i.e.": "that is", "a.k.a.": "also known as"}

_ALONE = "(?<![A-Za-z0-9'])"
STARTERS = (
    "A|An|And|As|At|But|By|For|He|Her|His|How|I|If|In|Is|It|My|No|Not|Now|On|One|Or|Our|She|So|"
    "That|The|Their|Then|There|These|They|This|Those|To|Was|We|What|When|Where|Who|Why|Yes|You|Your"
)
"""Words that, with a capital after a full stop, begin a sentence: "in the U.S. They left"."""

_STREET = (
    r"\b(?!(?:In|At|To|The|From|Near|On|And|Of|By|For|With|When|But)\b)([A-Z][a-z]+|\d+[a-z]{2})"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"{_STREET} St\.?(?=\s*$|\s+[A-Z])(?<=\.)"), r"\1 street."),
    (re.compile(rf"{_STREET} St\b\.?(?=[,;:!?)]|\s+[a-z]|\s*$)"), r"\1 street"),
    (re.compile(_ALONE + r"St\b\.?(?=\s+[A-Z])"), "saint"),
    (re.compile(rf"{_STREET} Dr\.(?=\s*$)"), r"\1 drive."),
    (re.compile(rf"{_STREET} Dr\b\.?(?=[,;:!?)]|\s+[a-z])"), r"\1 drive"),
    (re.compile(_ALONE + r"Dr\b\.?"), "doctor"),
    (re.compile(_ALONE + r"w/o\b"), "without"),
    (re.compile(_ALONE + r"w/(?=\s)"), "with"),
    (re.compile(_ALONE + r"b/c\b"), "because"),
    (re.compile(r"\band/or\b"), "and or"),
)
_WITH_STOP = re.compile(
    _ALONE + rf"({'|'.join(sorted(SHORT, key=len, reverse=True))})\.(?=(\s*$|\s+[\"'(]*[A-Z])?)"
)
_WITHOUT = re.compile(_ALONE + rf"({'|'.join(_BARE)})(?![A-Za-z.'])")
_BEFORE_NUMBER = re.compile(_ALONE + rf"({'|'.join(_NUMBERED)})\.\s?(?=\d)")
_LATIN = re.compile(_ALONE + r"(?:e\.g\.|i\.e\.|a\.k\.a\.)")
_PERIODS = re.compile(
    _ALONE + rf"(Ph\.D|[A-Za-z](?:\.[A-Za-z])+)\.(?![a-z])(?=(\s*$|\s+(?:{STARTERS})\b)?)"
)
_INITIAL = re.compile(_ALONE + rf"([A-HJ-Z])\.(?=\s*(?!(?:{STARTERS})\b)[A-Z])")
_CAPITALS = re.compile(_ALONE + r"([A-Z]{2,})('?s)?(?![A-Za-z'])")
_LETTER_NAME = re.compile(r"\b([Vv]itamin|[Pp]lan|[Gg]rade|[Hh]epatitis|[Tt]ype|[Ll]etter) (A)\b")

# Spelled although the dictionary has them as words, and spoken although it has not.
_SPELLED = frozenset("US MIT LED USB SEC EPA ER AC DC AI ID TV PC PS UK EU UN UV HR PR VP".split())
_WORDS_OF_TWO = frozenset(
    "OK NO GO SO UP MY ME WE HE BE DO IF IN IS IT OF ON OR TO AT AS AN BY OH HI AM".split()
)
_AS_WORDS = frozenset(
    "NASA NATO UNESCO UNICEF OPEC LASER RADAR SCUBA COVID NAFTA FIFA UEFA SWAT AWOL POTUS YOLO "
    "IKEA GIF VAT NIMBY NASDAQ INTERPOL".split()
)
_IT = re.compile(
    r"\bIT(?= (?:department|support|team|manager|staff|sector|industry|systems?|security|"
    r"infrastructure|services?|projects?|professionals?|specialist|company|consultant)\b)"
)
_THE_WHO = re.compile(r"(?<=[Tt]he )WHO\b")

_PARTS = (
    "chapter|part|act|scene|volume|book|section|article|phase|type|class|stage|level|appendix|"
    "figure|table|war|bowl|title|mark|round|episode|season|unit|lesson|canto|psalm|page|grade"
)
_PART = re.compile(rf"\b({_PARTS})\s+([IVXLCDM]+)\b(?!')", re.IGNORECASE)
_RULERS = (
    "Louis Henry Charles Edward George James William Richard Elizabeth Mary Philip Paul Pius "
    "Benedict Gregory Leo Napoleon Catherine Peter Nicholas Alexander Frederick Ivan Otto Ramses "
    "Ptolemy Francis Innocent Clement Urban Wilhelm Christian Gustav Haakon Olaf Harald Carlos "
    "Darius Cyrus Xerxes Ferdinand Leopold Maximilian Rudolf Sixtus Julius John Robert Malcolm "
    "Constantine Theodosius Albert Victor Margrethe Boniface Celestine Adrian Stephen Friedrich"
).split()
_RULER = re.compile(
    rf"\b({'|'.join(_RULERS)})\s+(?:([IVX]{{2,}}|V|X)\b|(I)(?=\s*(?:$|[,.;:!?)])|'s|\s+(?:of|was|"
    r"and|reigned|ruled|died|had|became|is)\b))"
)
_NUMERAL = re.compile(_ALONE + r"([IVX]{2,})(?![A-Za-z'])")


def letter_names(text: str) -> str:
    """The letters of `text`, each to be spoken by its name."""
    return " ".join(LETTER + letter.upper() for letter in text if letter.isalpha())


def romans(text: str) -> str:
    """Return the text with Roman numerals of chapters and rulers in words: "Louis the
    fourteenth".
    """

    def part(match: re.Match[str]) -> str:
        value = roman(match[2])
        return match[0] if value is None else f"{match[1]} {cardinal(str(value))}"

    def ruler(match: re.Match[str]) -> str:
        value = roman(match[2] or match[3])
        return match[0] if value is None else f"{match[1]} the {ordinal(str(value))}"

    def numeral(match: re.Match[str]) -> str:
        value = roman(match[1])
        return match[0] if value is None else cardinal(str(value))

    return _NUMERAL.sub(numeral, _RULER.sub(ruler, _PART.sub(part, text)))


def expand(text: str) -> str:
    """Return the text with abbreviations in words; a full stop that also ends the sentence
    stays.
    """
    text = _BEFORE_NUMBER.sub(lambda m: f"{_NUMBERED[m[1]]} ", text)
    text = _LATIN.sub(lambda m: _DOTTED[m[0]], text)
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    text = _WITH_STOP.sub(_stopped, text)
    text = _WITHOUT.sub(lambda m: SHORT[m[1]], text)
    text = _PERIODS.sub(lambda m: letter_names(m[1]) + ("." if m[2] is not None else " "), text)
    return _INITIAL.sub(lambda m: f"{LETTER}{m[1]} ", text)


def _stopped(match: re.Match[str]) -> str:
    ends = match[2] is not None and (match[1] in ENDING or not match[2].strip())
    return SHORT[match[1]] + ("." if ends else "")


def acronyms(text: str) -> str:
    """Return the text with acronyms letter by letter; a text all in capitals is only loud."""
    text = _LETTER_NAME.sub(rf"\1 {LETTER}\2", text)
    text = _THE_WHO.sub(letter_names("WHO"), _IT.sub(letter_names("IT"), text))
    loud = not re.search("[a-z]", text) and len(re.findall("[A-Z]{2,}", text)) > 1

    def spelled(match: re.Match[str]) -> str:
        word, ending = match[1], (match[2] or "").lstrip("'")
        if _is_word(word, loud=loud):
            return match[0]
        return letter_names(word) + ending

    return _CAPITALS.sub(spelled, text)


def _is_word(word: str, *, loud: bool) -> bool:
    if word in _AS_WORDS:
        return True
    known = bool(lookup(word.lower()))
    if loud:
        return known or len(word) > 4
    if word in _SPELLED:
        return False
    if len(word) == 2:
        return word in _WORDS_OF_TWO
    return known or (len(word) > 5 and bool(re.search("[AEIOUY]", word)))
