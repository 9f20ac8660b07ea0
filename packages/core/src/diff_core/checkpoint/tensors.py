"""Files of tensors: safetensors, on the disk or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from diff_core.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CheckpointError", "read_tensors", "write_tensors"]


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or not what it should be."""


def read_tensors(
    path: Path, *, only_metadata: bool = False
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file, on the CPU. Raises CheckpointError."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            names: list[str] = [] if only_metadata else list(file.keys())
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise CheckpointError(f"{path}: its tensors cannot be read ({error})") from error
        raise MemoryError(f"{path}: no memory for its tensors") from error
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: not a safetensors file, or damaged ({error})") from error


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file that is on the disk, whole, when this returns; raises OSError."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=dict(metadata))
        except SafetensorError as error:  # the library's name for any fault of the disk
            full = shutil.disk_usage(path.parent).free < sum(t.nbytes for t in tensors.values())
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, f"{os.strerror(number)} ({error})", str(path)) from error
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
