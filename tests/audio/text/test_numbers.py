"""Numbers in words, against num2words, an independent library, and against usage."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from diff_audio.text.normalise import numbers

WHOLE = st.integers(0, 10**36 - 1)


def plain(words: str) -> str:
    """num2words in American: no "and", no commas, no hyphens."""
    return " ".join(re.sub(r"[-,]", " ", words).replace(" and ", " ").split())


@given(WHOLE)
def test_cardinals_are_those_of_num2words(number):
    assert numbers.cardinal(str(number)) == plain(num2words(number))


@given(WHOLE)
def test_ordinals_are_those_of_num2words(number):
    assert numbers.ordinal(str(number)) == plain(num2words(number, to="ordinal"))


@given(st.integers(1100, 1999) | st.integers(2010, 2099))
def test_years_are_those_of_num2words(number):
    said = plain(num2words(number, to="year"))
    assert numbers.year(str(number)) == said


@pytest.mark.parametrize(
    ("year", "said"),
    [
        ("1066", "ten sixty six"),
        ("1900", "nineteen hundred"),
        ("1905", "nineteen oh five"),
        ("2000", "two thousand"),
        ("2007", "two thousand seven"),
        ("2026", "twenty twenty six"),
        ("476", "four seventy six"),
        ("44", "forty four"),
    ],
)
def test_years(year, said):
    assert numbers.year(year) == said


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_decimal_is_its_whole_part_and_its_digits(whole, part):
    said = numbers.decimal(f"{whole:,}.{part}").split(" point ")
    assert said == [numbers.cardinal(str(whole)), numbers.digits(str(part))]


def test_what_has_no_name_is_read_digit_by_digit():
    assert numbers.cardinal("1" + "0" * 36) == "one" + " zero" * 36
    assert numbers.cardinal("1" + "0" * 35) == "one hundred decillion"
    assert numbers.digits("007") == "zero zero seven"


@pytest.mark.parametrize(
    ("over", "under", "said"),
    [
        ("1", "2", "one half"),
        ("3", "2", "three halves"),
        ("3", "4", "three quarters"),
        ("2", "3", "two thirds"),
        ("1", "20", "one twentieth"),
        ("7", "20", "seven twentieths"),
        ("5", "0", "five over zero"),
        ("5", "1", "five over one"),
    ],
)
def test_fractions(over, under, said):
    assert numbers.fraction(over, under) == said


def written(number: int) -> str:
    """Roman numerals by taking away the largest that fits."""
    parts = ("M1000 CM900 D500 CD400 C100 XC90 L50 XL40 X10 IX9 V5 IV4 I1").split()
    text = ""
    for part in parts:
        sign, value = re.match(r"([A-Z]+)(\d+)", part).groups()
        while number >= int(value):
            text, number = text + sign, number - int(value)
    return text


def test_every_roman_numeral_is_read_back():
    assert all(numbers.roman(written(number)) == number for number in range(1, 4000))


@pytest.mark.parametrize("text", ["", "IIII", "IIX", "VX", "MMMM", "ABC", "iv", "LL"])
def test_what_is_no_roman_numeral(text):
    assert numbers.roman(text) is None
