"""The refusals of files: errors of one line, also for all that other libraries raise where bytes
are damaged.

zipfile, zlib, pydicom and nibabel name no error for damage: it shows as whatever their parsing
stumbled over. What the system has to say (no permission, no room) stays as it is.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

__all__ = ["ScanError", "damaged", "foreign"]

LONGEST = 200  # characters of what a library says
BY_CONTENT = (None, errno.EINVAL, errno.EOVERFLOW)
"""Numbers of an OSError that damaged bytes lead to: seeking to before the start of a file."""


@contextmanager
def foreign(refusal: Callable[[str], ValueError]) -> Generator[None]:
    """Raises `refusal` of what was said, in one line, for any exception of the block.

    Left as they are: an OSError of the system, and what is no error but a wish to stop.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in BY_CONTENT:
            raise
        raise refusal(_said(error)) from error


def _said(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


class ScanError(ValueError):
    """A file that cannot be used; the message names it, says what is wrong with it, and what to
    do.
    """

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")


def damaged(path: Path, problem: str, remedy: str) -> AbstractContextManager[None]:
    """ScanError for whatever a library raises in the block, with what it said."""
    return foreign(lambda why: ScanError(path, f"{problem} ({why})", remedy))
