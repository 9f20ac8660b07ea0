"""The temporary file of a file that is being written: made, locked, put in its place, cleared."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Generator
from pathlib import Path

__all__ = ["clear", "leftovers", "lock", "open_beside", "put_in", "sync"]

_KEPT = 32
"""How much of a name is in that of its temporary file."""
_TEMPORARY = re.compile(r"\..{1,32}\.diff-[0-9a-f]{8}(?:\.[^.]+){0,2}", re.DOTALL)

# The errors of drives without hard links.
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES, errno.EXDEV}


def leftovers(folder: Path) -> Generator[Path]:
    """The temporary files in a folder that `replacing` made: of writers at work, or killed."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            yield path


def open_beside(path: Path, place: Path, mode: int) -> tuple[int, Path]:
    """Make and open a temporary file beside `place`, with permissions `mode` less the umask."""
    # The start of the name only: a name may be as long as the file system allows.
    start = f".{place.name[:_KEPT]}.diff-"
    suffix = next((s for s in ("".join(path.suffixes[-2:]), path.suffix) if len(s) <= _KEPT), "")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = place.with_name(f"{start}{secrets.token_hex(4)}{suffix}")
        try:
            return os.open(temporary, flags, mode & 0o666 | 0o600), temporary
        except FileExistsError:
            continue
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def lock(handle: int) -> bool:
    """Lock an open file until it is closed.

    False where another process holds it, on drives without locks, and on Windows, where an open
    file cannot be renamed.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def clear(path: Path) -> None:
    """Remove the temporary files for `path` of writers that were killed."""
    start = f".{path.name[:_KEPT]}.diff-"
    try:
        names = [name for name in os.listdir(path.parent) if name.startswith(start)]
    except OSError:
        return  # is reported by what writes
    for old in (path.with_name(name) for name in names if _TEMPORARY.fullmatch(name)):
        with contextlib.suppress(OSError):
            handle = os.open(old, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            dead = lock(handle)
            os.close(handle)
            if dead:
                old.unlink()


def sync(path: Path) -> None:
    """Wait until a file is on the disk. Raises OSError, also of a disk that is found full now."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(handle)


def put_in(temporary: Path, path: Path) -> None:
    """Give a file its name unless that is taken: FileExistsError, in one step of the system."""
    try:
        if os.name == "nt":
            os.rename(temporary, path)
            return
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # the name is taken first, by an empty file that is then replaced
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            os.replace(temporary, path)
        else:
            temporary.unlink()
    except FileExistsError:
        raise FileExistsError(
            f"the output {path} appeared during the work and was kept; add overwrite=True or "
            "choose another name"
        ) from None
