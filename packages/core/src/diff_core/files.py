"""Files that are either whole or absent, and files of tensors."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

__all__ = ["CheckpointError", "read_tensors", "replacing"]


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


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file, on the CPU. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file, or damaged ({error})") from error
