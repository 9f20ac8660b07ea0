"""The mark of a synthetic scan in a NIfTI header: read and put in.

The mark stands in the description (79 bytes, which every reader shows) and as JSON in a header
extension (code 6, comment). Both are part of the header, so they go where it goes: nibabel keeps
them as long as an image is made with the header of the old one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diff_medical.marks.mark import Mark

__all__ = ["sign", "signs"]

_COMMENT = 6  # the extension code for text
_DESCRIPTION = 79  # bytes


def sign(header: Any, mark: Mark | None) -> None:
    """Put what is missing of the mark into a header, in place; without one, that it is synthetic.

    A description that says nothing of it gives way to the mark.
    """
    from nibabel.nifti1 import Nifti1Extension

    found = _signs(header)
    if "header" not in found:
        old = header["descrip"].item().decode("latin-1")
        text = mark.line() if mark else f"SYNTHETIC; {old}".rstrip("; ")
        header["descrip"] = text.encode("ascii", "replace")[:_DESCRIPTION]
    if mark and "extension" not in found:
        header.extensions.append(Nifti1Extension(_COMMENT, mark.json().encode()))


def signs(path: Path) -> dict[str, Mark | None]:
    """Return the marks in the header, by their place; None for "synthetic" without a mark.

    Raises ScanError for a file that is no NIfTI file, or pair of files.
    """
    from diff_medical.scan.header import open_image
    from diff_medical.scan.pair import is_pair, open_pair

    if is_pair(path):
        return _signs(open_pair(path)[0].header)
    return _signs(open_image(path)[0].header)


def _signs(header: Any) -> dict[str, Mark | None]:
    found: dict[str, Mark | None] = {}
    for extension in header.extensions:
        content = extension.get_content()
        if extension.get_code() == _COMMENT and isinstance(content, bytes | str):
            text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
            if mark := Mark.parse(text.rstrip("\0 \n")):
                found["extension"] = mark
    description = header["descrip"].item().decode("latin-1")
    if "synthetic" in description.lower():
        found["header"] = Mark.parse(description)
    return found
