"""Files that are whole or absent, never replaced unasked, known by their bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Generator
from pathlib import Path

__all__ = [
    "fingerprint",
    "leftovers",
    "refuse_existing",
    "replacing",
    "sha256",
    "write_json",
]

_KEPT = 32
"""How much of a name is in that of its temporary file."""
# tempfile's own eight letters stand between
_TEMPORARY = re.compile(rf"\.(.{{1,{_KEPT}}})\.[a-z0-9_]{{8}}((?:\.[^.]+){{1,2}})", re.DOTALL)


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return a checkpoint's short name: the first 16 digits of its `sha256`. Raises OSError."""
    return sha256(path)[:16]


def refuse_existing(
    *outputs: Path | None, overwrite: bool = False, source: Path | None = None
) -> None:
    """Raise FileExistsError for an output that exists, unless `overwrite`, or is `source` itself.

    None stands for an output that was not asked for.
    """
    for path in outputs:
        if path is None or not path.exists():
            continue
        if source is not None and source.exists() and path.samefile(source):
            raise FileExistsError(f"the output {path} is the input itself; choose another name")
        if not overwrite:
            raise FileExistsError(
                f"the output {path} exists; add overwrite=True or choose another name"
            )


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Give a temporary path beside `path` that becomes `path` when the block ends well.

    On any exception, keyboard interrupts included, the temporary file is removed and `path` is as
    it was. The temporary name keeps the suffixes of `path`, because writers choose a format by it.
    Raises OSError, with the name of `path`, where it cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    suffix = "".join(path.suffixes[-2:])
    # The start of the name only: a name may be as long as the file system allows.
    prefix = f".{path.name[:_KEPT]}."
    try:
        handle, name = tempfile.mkstemp(suffix=suffix, prefix=prefix, dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a finished file gets the permissions of any new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def leftovers(folder: Path) -> Generator[Path]:
    """The temporary files in a folder that `replacing` made: of writers at work, or killed."""
    for path in folder.glob(".*"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and path.is_file():
            name, suffix = found.groups()
            if name.endswith(suffix) or len(name) == _KEPT:
                yield path


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write a value as a JSON file (indented by two, a newline at its end), whole or not at all.

    Raises OSError where it cannot be written, and TypeError for what JSON cannot hold.
    """
    # ASCII: a file name in it may hold bytes that are no UTF-8
    text = json.dumps(value, indent=2) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
