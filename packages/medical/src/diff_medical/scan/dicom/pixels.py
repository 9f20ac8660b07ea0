"""The pixels of DICOM files, as stored."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from diff_medical.scan.refusal import foreign

__all__ = ["images", "quiet"]


@contextmanager
def quiet() -> Generator[None]:
    """Run the block without pydicom's remarks on other makers' habits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def images(header: Any) -> Iterator[NDArray[Any]]:
    """Yield the images (rows, columns) of the file of a header, as stored, one after the other.

    Raises ValueError where they cannot be decoded.
    """
    syntax = _syntax(header)

    def refusal(why: str) -> ValueError:
        if syntax.is_compressed and (missing := _missing(syntax)):
            return ValueError(
                f"its pixels are compressed ({syntax.name}) and no decoder is installed; "
                f"pip install {missing}, or decompress it with dcmdjpeg or gdcmconv"
            )
        return ValueError(f"its pixels cannot be decoded ({why}); export it again")

    with foreign(refusal), quiet():
        found = _decoded(header, syntax)
    while True:
        with foreign(refusal), quiet():
            image = next(found, None)
        if image is None:
            return
        yield image


def _decoded(header: Any, syntax: Any) -> Iterator[NDArray[Any]]:
    from pydicom import dcmread
    from pydicom.pixels.utils import iter_pixels, pixel_array

    path = Path(header.filename)
    if syntax.is_deflated:  # the whole file is one stream
        return iter_pixels(dcmread(path))
    if int(header.get("NumberOfFrames") or 1) == 1:  # pixel_array mends more than iter_pixels
        return iter([pixel_array(path, transfer_syntax_uid=syntax)])
    return iter_pixels(path, transfer_syntax_uid=syntax)


def _syntax(header: Any) -> Any:
    """The transfer syntax; of a file that does not say it, as it was read."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    said = header.file_meta.get("TransferSyntaxUID")
    if said is not None:
        return said
    implicit, little = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _missing(syntax: Any) -> str:
    """Return what to install for a transfer syntax; "" where a decoder is there."""
    from pydicom.pixels import get_decoder  # type: ignore[reportPrivateImportUsage]

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return ""
    if decoder.is_available:
        return ""
    needed = " ".join(decoder.missing_dependencies)
    return "'diff-medical[dicom]'" if "gdcm" in needed else "pylibjpeg pylibjpeg-openjpeg"
