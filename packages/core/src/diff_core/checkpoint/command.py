"""Small commands on checkpoints, which need no library beside the base."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from diff_core.checkpoint.tensors import CheckpointError
from diff_core.lines import print_line

__all__ = ["exit_code", "parser_of"]


def parser_of(module: str, text: str | None) -> argparse.ArgumentParser:
    """Return the parser of `python -m MODULE`, with the text of the module as its help."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def exit_code(module: str, work: Callable[[], None]) -> int:
    """Do the work and return 0; for files that cannot be used, print one line and return 1."""
    try:
        work()
    except (CheckpointError, ValueError, OSError) as error:
        print_line(f"{module}: {error}", sys.stderr)
        return 1
    return 0
