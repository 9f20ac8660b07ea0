"""The word SYNTHETIC drawn into a picture, for people to see and for programs to find again.

It is drawn in letters of fixed pixels, not in a font, so that it can be found by comparing pixels
after a picture has been saved without its texts, cropped, or compressed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PIXELS", "is_stamped", "stamp"]

_LETTERS = {  # rows from the top, 5 pixels each, as the bits of a number
    "S": (15, 16, 16, 14, 1, 1, 30),
    "Y": (17, 17, 10, 4, 4, 4, 4),
    "N": (17, 25, 21, 19, 17, 17, 17),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "H": (17, 17, 17, 31, 17, 17, 17),
    "E": (31, 16, 16, 30, 16, 16, 31),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "C": (14, 17, 16, 16, 16, 17, 14),
}
_DARK, _LIGHT = 24, 232  # grey levels
_SCALES = (1, 2, 3)
_ALIKE = (
    0.7  # correlation from which it is the stamp: JPEG of quality 30 leaves .95, noise gives .25
)


def _pixels() -> NDArray[np.bool_]:
    """The word in light letters with a dark edge of one pixel."""
    word = [
        [[row >> 4 - bit & 1 for bit in range(5)] for row in _LETTERS[letter]]
        for letter in "SYNTHETIC"
    ]
    apart = np.hstack([np.pad(letter, ((1, 1), (1, 0))) for letter in word])
    return np.pad(apart, ((0, 0), (0, 1))).astype(bool)


PIXELS = _pixels()
"""(9, 55): the word, and its dark edge."""


def stamp(picture: NDArray[np.uint8], scale: int = 1) -> None:
    """Draws the word into the lower right corner of a picture, (H, W) or (H, W, 3), in place.

    scale: pixels of the picture for one of the word, 1 to 3

    Raises ValueError for a picture that is smaller than the word.
    """
    word = np.kron(np.where(PIXELS, _LIGHT, _DARK), np.ones((scale, scale))).astype(np.uint8)
    height, width = word.shape
    if picture.shape[0] < height or picture.shape[1] < width:
        raise ValueError(
            f"picture is {picture.shape[:2]}; expected at least {word.shape} for the mark"
        )
    corner = picture[-height:, -width:]
    corner[...] = word if picture.ndim == 2 else word[..., None]


def is_stamped(picture: NDArray[np.uint8]) -> bool:
    """Return True if the word stands anywhere in a picture (H, W), grey levels, at scale 1, 2 or
    3.
    """
    from skimage.feature import match_template

    for scale in _SCALES:
        word = np.kron(PIXELS, np.ones((scale, scale)))
        fits = picture.shape[0] >= word.shape[0] and picture.shape[1] >= word.shape[1]
        if fits and float(match_template(picture.astype(np.float32), word).max()) > _ALIKE:
            return True
    return False
