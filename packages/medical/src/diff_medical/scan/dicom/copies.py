"""Copies of DICOM headers for new pixels: what describes the old ones is left out.

Private elements stay, because b values, the times of slices and the CSA header of Siemens are
kept nowhere else. Those that hold pixels or pictures of them go.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from diff_medical.scan.dicom.pixels import quiet

__all__ = ["copied"]

STALE = (
    "IconImageSequence", "DigitalSignaturesSequence", "MACParametersSequence",
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries", "PixelDataProviderURL", "ReferencedImageEvidenceSequence",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
)  # fmt: skip
PIXELS = 0x7F00  # the first of the groups that makers use for pixels and what was made of them
OVERLAYS = range(0x6000, 0x6100)
WIDTHS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}  # bytes of the numbers in an element


def copied(source: Any) -> Any:
    """Return a copy of a header as little endian, without what describes the old pixels."""
    made = _little(source) if source.original_encoding[1] is False else copy.deepcopy(source)
    for name in STALE:
        if name in made:
            delattr(made, name)
    for tag in [tag for tag in made.keys() if tag.is_private]:
        if tag.group >= PIXELS or tag.group in OVERLAYS or not _is_kept(made, tag):
            del made[tag]
    return made


def _is_kept(made: Any, tag: Any) -> bool:
    """Return True for a private element that can be written and holds no picture."""
    try:
        with quiet():
            element = made[tag]
    except Exception:  # pydicom raises many kinds where a value is not of its type
        return False
    return element.VR != "SQ" or not any(_has_pixels(item) for item in element.value)


def _has_pixels(item: Any) -> bool:
    return any(element.tag == 0x7FE00010 for element in item.iterall())


def _little(source: Any) -> Any:
    """A copy of a big-endian header whose numbers are written little endian."""
    from pydicom.dataset import FileDataset

    made = FileDataset(source.filename, {}, preamble=b"\0" * 128,
                       file_meta=copy.deepcopy(source.file_meta))  # fmt: skip
    _fill(made, source)
    return made


def _fill(made: Any, source: Any) -> None:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    for element in source:
        value = element.value
        if element.VR == "SQ":
            items = [Dataset() for _ in value]
            for new, old in zip(items, value, strict=True):
                _fill(new, old)
            value = Sequence(items)
        elif element.VR == "UN":  # of unknown numbers, whose bytes cannot be turned
            continue
        elif element.VR in WIDTHS and isinstance(value, bytes):
            value = np.frombuffer(value, f">u{WIDTHS[element.VR]}").byteswap().tobytes()
        made[element.tag] = DataElement(element.tag, element.VR, value)
