"""The symbols of text: an order that trained voices rely on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_audio.text import SYMBOLS, decode, encode


def test_there_are_as_many_as_arpabet_has():
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 4 + 7 + 24 + 3 * 15
    assert SYMBOLS[:4] == ("_", "^", "$", " ")
    assert {"ZH", "OY0", "OY1", "OY2", "-"} < set(SYMBOLS) and "OY" not in SYMBOLS


@given(st.lists(st.sampled_from(SYMBOLS[3:])))
def test_decode_undoes_encode(phonemes):
    indices = encode(phonemes)
    assert (indices[0], indices[-1]) == (SYMBOLS.index("^"), SYMBOLS.index("$"))
    assert len(indices) == len(phonemes) + 2
    assert decode(indices) == tuple(phonemes)
    assert decode([*indices, 0, 0]) == tuple(phonemes)


def test_unknown_symbols_are_named_with_their_place():
    with pytest.raises(ValueError, match=r"phonemes\[1\] is 'AH': expected a symbol"):
        encode(["HH", "AH"])
    with pytest.raises(ValueError, match=r"indices\[2\] is 80: expected 0 to 79"):
        decode([0, 1, 80])
    with pytest.raises(ValueError, match=r"indices\[0\] is -1"):
        decode([-1])
