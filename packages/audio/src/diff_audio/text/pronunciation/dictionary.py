"""The CMU Pronouncing Dictionary, packed into the package (by `pack.py`)."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files

from diff_audio.text.symbols import SYMBOLS

__all__ = ["DICTIONARY", "Phones", "corrected", "lookup", "pack_line", "words"]

Phones = tuple[str, ...]
"""The phonemes of a word, in ARPAbet with stress."""

DICTIONARY = "cmudict.txt.gz"
"""The file of the dictionary in this folder."""

# A phone is one printable character, so that a pronunciation is a short string and a space can
# stand between two pronunciations.
_FIRST = ord("!")
_CODE = {symbol: chr(_FIRST + index) for index, symbol in enumerate(SYMBOLS)}
_PHONE = {code: symbol for symbol, code in _CODE.items()}


# Words that the dictionary lacks and the rules of this package or its users say.
_ADDED = {
    "airbnb": "EH1 R B IY2 AH0 N B IY2", "centiliter": "S EH1 N T AH0 L IY2 T ER0",
    "chatgpt": "CH AE1 T JH IY2 P IY2 T IY1",
    "coronavirus": "K ER0 OW1 N AH0 V AY2 R AH0 S", "covid": "K OW1 V IH0 D",
    "decillion": "D IH0 S IH1 L Y AH0 N", "denoise": "D IY0 N OY1 Z",
    "emoji": "IH0 M OW1 JH IY0", "eta": "EY1 T AH0", "gif": "G IH1 F",
    "gigabit": "G IH1 G AH0 B IH2 T", "gigahertz": "G IH1 G AH0 HH ER2 T S",
    "gigawatt": "G IH1 G AH0 W AA2 T", "jpeg": "JH EY1 P EH2 G",
    "milliamp": "M IH1 L IY0 AE2 M P", "miz": "M IH1 Z", "nonillion": "N OW0 N IH1 L Y AH0 N",
    "omicron": "AA1 M AH0 K R AA2 N", "paisa": "P AY1 S AH0", "paise": "P AY1 S EY2",
    "potus": "P OW1 T AH0 S", "quadrillion": "K W AA0 D R IH1 L Y AH0 N",
    "quintillion": "K W IH0 N T IH1 L Y AH0 N", "septillion": "S EH0 P T IH1 L Y AH0 N",
    "sextillion": "S EH0 K S T IH1 L Y AH0 N", "spectrogram": "S P EH1 K T R AH0 G R AE2 M",
    "sudoku": "S UW0 D OW1 K UW0", "tau": "T AW1", "tiktok": "T IH1 K T AA2 K",
    "uefa": "Y UW0 EY1 F AH0", "unicode": "Y UW1 N AH0 K OW2 D",
    "upsilon": "UH1 P S AH0 L AA2 N", "vocoder": "V OW1 K OW2 D ER0",
    "voxel": "V AA1 K S AH0 L",
}  # fmt: skip


# Names that the dictionary spells out as if they were English.
_CORRECTED = {
    "siobhan": "SH AH0 V AO1 N", "nguyen": "W IH1 N", "goethe": "G ER1 T AH0",
    "github": "G IH1 T HH AH2 B", "niamh": "N IY1 V", "saoirse": "S ER1 SH AH0",
    "aoife": "IY1 F AH0", "caoimhe": "K IY1 V AH0", "linkedin": "L IH1 NG K T IH0 N",
    "brexit": "B R EH1 K S IH0 T", "kyiv": "K IY1 IH0 V",
    "zelensky": "Z AH0 L EH1 N S K IY0",
}  # fmt: skip


def corrected(word: str) -> Phones | None:
    """Return how a name is said whose entry in the dictionary is wrong or missing, else None."""
    said = _CORRECTED.get(word)
    return tuple(said.split()) if said else None


def pack_line(word: str, pronunciations: list[Phones]) -> str:
    """Return one line of the packed dictionary."""
    return f"{word} " + " ".join("".join(_CODE[p] for p in one) for one in pronunciations)


@cache
def words() -> dict[str, str]:
    """Return every word in lower case, and its pronunciations as they are packed."""
    packed = (files("diff_audio.text") / "data" / DICTIONARY).read_bytes()
    lines = gzip.decompress(packed).decode("ascii").splitlines()
    return dict(line.split(" ", 1) for line in lines)  # pyright: ignore[reportArgumentType, reportReturnType]


def lookup(word: str) -> tuple[Phones, ...]:
    """The pronunciations of a word in lower case, the usual one first; () if it is not known."""
    packed = words().get(word)
    if packed is None:
        return (tuple(_ADDED[word].split()),) if word in _ADDED else ()
    return tuple(tuple(_PHONE[code] for code in one) for one in packed.split(" "))
