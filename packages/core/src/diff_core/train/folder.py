"""The folder of a run: one run at a time, and nothing left of a run that was killed."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from diff_core.files import leftovers
from diff_core.locks import locked
from diff_core.train.stop import TrainingError

__all__ = ["run_folder"]

# safetensors writes to a file of this name first
_TORN = re.compile(r"\.tmp[A-Za-z0-9]{6}")


@contextmanager
def run_folder(directory: Path) -> Generator[None]:
    """Hold the folder of a run within the block, without what a killed run left of its writing.

    Raises TrainingError while another process trains in it.
    """
    with locked(directory / ".lock") as is_mine:
        if not is_mine:
            raise TrainingError(
                f"{directory}: another process trains here; wait until it ends, or choose "
                "another folder"
            )
        for folder in (directory, directory / "averages"):
            torn = [path for path in folder.glob(".tmp*") if _TORN.fullmatch(path.name)]
            for path in (*leftovers(folder), *torn):
                path.unlink(missing_ok=True)
        yield
