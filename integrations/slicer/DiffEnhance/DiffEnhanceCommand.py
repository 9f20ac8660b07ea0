"""The command that the Slicer module runs, in a Python of its own; nothing here needs Slicer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

__all__ = ["command", "enhance"]


def command(
    python: str, source: Path, target: Path, *, modality: str, strength: float, quality: str
) -> list[str]:
    """Return the words of the command for one scan."""
    words = [python, "-m", "diff_medical.enhance", str(source), "-o", str(target), "--overwrite"]
    return [
        *words, "--modality", modality, "--strength", f"{strength:g}", "--quality", quality,
        "--quiet",
    ]  # fmt: skip


def enhance(
    words: list[str], report: Callable[[str], None], *, environment: dict[str, str]
) -> None:
    """Run the command and report each of its lines.

    environment: without Slicer's own PYTHONHOME and PYTHONPATH, which another Python must not see

    Raises RuntimeError, with the last line, if it fails.
    """
    clean = {k: v for k, v in environment.items() if not k.startswith(("PYTHON", "LD_LIBRARY"))}
    last = "it printed nothing"
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean
    ) as process:
        assert process.stdout
        for line in process.stdout:
            last = line.strip() or last
            report(last)
    if process.returncode:
        raise RuntimeError(last)
