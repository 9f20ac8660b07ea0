"""Files that are either whole or absent, and files of tensors."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["CheckpointError", "read_tensors", "replacing", "write_tensors"]


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or not what it should be."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Gives a temporary path beside `path` that becomes `path` when the block ends well.

    On any exception, keyboard interrupts included, the temporary file is removed and `path` is as
    it was. The temporary name keeps the suffixes of `path`, because writers choose a format by it.
    """
    path = Path(path)
    suffix = "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(suffix=suffix, prefix=f".{path.name}.", dir=path.parent)
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


def read_tensors(
    path: Path, *, only_metadata: bool = False
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file, on the CPU. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            names: list[str] = [] if only_metadata else list(file.keys())
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file, or damaged ({error})") from error


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file that is on the disk, whole, when this returns; raises OSError."""
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=dict(metadata))
        except SafetensorError as error:  # the library's name for any fault of the disk
            full = shutil.disk_usage(path.parent).free < sum(t.nbytes for t in tensors.values())
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, f"{os.strerror(number)} ({error})", str(path)) from error
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
