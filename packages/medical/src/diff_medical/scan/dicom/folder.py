"""Folders that are whole or absent, exchanged in one step where the system can.

The temporary folder of a writer is hidden and stands beside its target. What a killed writer
leaves is removed by the next one for the same target, and an older folder that lost its name
gets it back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from diff_core.locks import locked
from diff_medical.scan.kinds import is_dicom

__all__ = ["replacing_folder", "settle"]

OLD = ".old"
WRITTEN = re.compile(r"\d{5}\.dcm")
AT_CWD, EXCHANGE, SWAP = -100, 2, 2  # of renameat2 and of renamex_np


@contextmanager
def replacing_folder(folder: Path, *, overwrite: bool = True) -> Generator[Path]:
    """Give a temporary folder beside `folder` that becomes it when the block ends well.

    Raises FileExistsError where `folder` is there by then and is not to be overwritten, or where
    another process writes it.
    """
    with _mine(folder):
        _settle(folder)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            yield partial
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(partial, 0o777 & ~umask)
            if not folder.exists():
                partial.rename(folder)
            elif overwrite:
                _exchange(partial, folder)
            else:
                raise FileExistsError(
                    f"the output {folder} exists; add overwrite=True or choose another name"
                )
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def settle(folder: Path) -> None:
    """Finish what a killed writer of `folder` left: an older folder gets its name back, and
    temporary ones are removed. Nothing is done while another process writes it.
    """
    if any(_leftovers(folder)):
        with locked(_lock(folder)) as is_mine:
            if is_mine:
                _settle(folder)


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def _mine(folder: Path) -> Generator[None]:
    with locked(_lock(folder)) as is_mine:
        if not is_mine:
            raise FileExistsError(f"the output {folder} is being written by another process; "
                                  "wait for it")  # fmt: skip
        yield


def _settle(folder: Path) -> None:
    if not _lock(folder).exists():  # no lock can be had here: they may be another's at work
        return
    for path in [*_leftovers(folder)]:
        if path.name.endswith(OLD) and not folder.exists():
            path.rename(folder)
        elif all(WRITTEN.fullmatch(p.name) or is_dicom(p) for p in path.iterdir()):
            shutil.rmtree(path, ignore_errors=True)


def _leftovers(folder: Path) -> Iterator[Path]:
    """The temporary folders of writers of `folder`, older ones with their name taken first."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[a-z0-9_]{{8}}({re.escape(OLD)})?")
    if folder.parent.is_dir():
        found = [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]
        yield from sorted(
            (path for path in found if path.is_dir()), key=lambda path: path.suffix != OLD
        )


def _exchange(new: Path, folder: Path) -> None:
    """Let two folders change their names, in one step where the system can.

    Else there is a moment without `folder`; `settle` brings it back if the process dies then.
    """
    if _swapped(new, folder):
        return
    old = new.with_name(new.name + OLD)
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _swapped(one: Path, other: Path) -> bool:
    """Return whether the system exchanged two paths; False where it cannot."""
    a, b = os.fsencode(one), os.fsencode(other)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            failed = libc.renameat2(AT_CWD, a, AT_CWD, b, EXCHANGE)
        elif sys.platform == "darwin":
            failed = libc.renamex_np(a, b, SWAP)
        else:
            return False
    except (OSError, AttributeError, TypeError):  # no such library or function
        return False
    code = ctypes.get_errno()
    if failed and code not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
        raise OSError(code, os.strerror(code), str(other))
    return not failed
