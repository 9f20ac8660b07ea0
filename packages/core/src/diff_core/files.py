"""Files that are whole or absent, never replaced unasked, known by their bytes."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import inspect
import json
import os
import stat
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from diff_core.temporary import clear, leftovers, lock, open_beside, put_in, sync

__all__ = [
    "file_job",
    "fingerprint",
    "leftovers",
    "refuse_existing",
    "replacing",
    "sha256",
    "visible_files",
    "write_json",
    "writing",
]

P = ParamSpec("P")
R = TypeVar("R")


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return a checkpoint's short name: the first 16 digits of its `sha256`. Raises OSError."""
    return sha256(path)[:16]


def visible_files(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted, without those in hidden folders and hidden ones.

    Hidden is what begins with a dot; links to folders are not followed.
    """
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def refuse_existing(
    *outputs: Path | None, overwrite: bool = False, source: Path | None = None
) -> None:
    """Raise FileExistsError for an output that exists, unless `overwrite`, or is `source` itself.

    A link to a file that does not exist counts as an output that exists. None stands for an output
    that was not asked for.
    """
    for path in outputs:
        if path is None or not os.path.lexists(path):
            continue
        if source is not None and source.exists() and path.exists() and path.samefile(source):
            raise FileExistsError(f"the output {path} is the input itself; choose another name")
        if not overwrite:
            raise _exists(path)


@dataclass(frozen=True)
class _Manner:
    """How files are written: see `writing`.

    mode: the permissions of new files, less the umask
    seen: size and time of the last change of the files that are read
    """

    overwrite: bool = True
    source: Path | None = None
    mode: int = 0o777
    seen: dict[Path, tuple[int, int]] = field(default_factory=dict[Path, tuple[int, int]])


_FREELY = _Manner()
_MANNER: ContextVar[_Manner] = ContextVar("manner of writing", default=_FREELY)
_MADE: ContextVar[list[Path] | None] = ContextVar("files made in the block", default=None)


@contextlib.contextmanager
def writing(*, overwrite: bool | None = None, source: Path | None = None) -> Generator[None]:
    """Set how `replacing` puts files in their place within the block.

    overwrite: False: a file that exists is never replaced, even one that appears during the work
    source:    the file or folder that the outputs are made from. Whoever may not read it may not
               read them. Nothing is put in its place once `source` has changed in the block.

    None leaves what a block around this one has set. Without any block, files are replaced.
    """
    manner = _MANNER.get()
    if overwrite is not None:
        manner = replace(manner, overwrite=overwrite)
    if source is not None and source != manner.source:
        files = _files_of(source)
        manner = replace(manner, source=source, mode=_mode_of(source, files), seen=_seen(files))
    token = _MANNER.set(manner)
    try:
        yield
    finally:
        _MANNER.reset(token)


def file_job(do: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that makes files of one: its arguments `source`, if it has one, and
    `overwrite` say how it is `writing`.
    """
    signature = inspect.signature(do)

    @functools.wraps(do)
    def job(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        source, overwrite = given.arguments.get("source"), given.arguments["overwrite"]
        with writing(overwrite=overwrite, source=source):
            return do(*args, **kwargs)

    return job


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Give a temporary path beside `path` that becomes `path` when the block ends well.

    The file is on the disk, whole, before it has its name. On any exception, keyboard interrupts
    included, the temporary file is removed and `path` is as it was; so are files that were made
    in the block. The temporary name keeps the suffixes of `path`, because writers choose a format
    by it. A file that is replaced keeps its permissions, and a link to it stays a link. What a
    killed writer of `path` left is removed.

    Raises OSError, with the name of `path`, where it cannot be written; FileExistsError where it
    exists and must not be replaced; and OSError where the source has changed (see `writing`).
    """
    path, manner = Path(path), _MANNER.get()
    if not manner.overwrite and os.path.lexists(path):
        raise _exists(path)
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    mode = _old_mode(place)
    clear(place)
    handle, temporary = open_beside(path, place, manner.mode if mode is None else mode)
    usual = stat.S_IMODE(os.fstat(handle).st_mode) if mode is None else mode
    is_held = lock(handle)
    if not is_held:
        os.close(handle)
    around = _MADE.get()
    within: list[Path] = []
    token = _MADE.set(within)
    try:
        yield temporary
        sync(temporary)
        if stat.S_IMODE(temporary.stat().st_mode) != usual:
            os.chmod(temporary, usual)
        if manner.seen != _seen(manner.seen):
            raise OSError(f"{manner.source}: changed while it was read; run the command again")
        if manner.overwrite:
            os.replace(temporary, place)
        else:
            put_in(temporary, place)
            if around is not None:
                around += [place, *within]
        manner.seen.pop(place.absolute(), None)
    except BaseException:
        for made in (temporary, *within):
            made.unlink(missing_ok=True)
        raise
    finally:
        _MADE.reset(token)
        if is_held:
            os.close(handle)


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write a value as a JSON file (indented by two, a newline at its end), whole or not at all.

    Raises OSError where it cannot be written, and TypeError for what JSON cannot hold.
    """
    # ASCII: a file name in it may hold bytes that are no UTF-8
    text = json.dumps(value, indent=2) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(f"the output {path} exists; add overwrite=True or choose another name")


def _old_mode(path: Path) -> int | None:
    """The permissions of the file to be replaced, None if there is none.

    Raises OSError for a folder, a device or a pipe.
    """
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return stat.S_IMODE(found)


def _files_of(source: Path) -> list[Path]:
    """The file, or the files of a folder."""
    return visible_files(source.absolute()) if source.is_dir() else [source.absolute()]


def _seen(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of the last change of each file that is there."""
    found: dict[Path, tuple[int, int]] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            facts = path.stat()
            found[path] = facts.st_size, facts.st_mtime_ns
    return found


def _mode_of(source: Path, files: list[Path]) -> int:
    """The permissions that files made from `source` may have at most."""
    mode = 0o777
    for path in (source, *files):
        with contextlib.suppress(OSError):
            mode &= path.stat().st_mode
    return mode | 0o600
