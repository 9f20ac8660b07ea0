"""The size and the time of an install: the base, and with the libraries of training.

python benchmarks/install.py --only base

Each set goes into a fresh virtual environment in a temporary folder, deleted afterwards, by the
line of docs/use/install.md. PyTorch comes from where `pip` finds it, and its version is printed:
the build with CUDA is several GB larger. The seconds are wall-clock time, and include downloads
of what is not in the cache of `pip`. `--python` takes another interpreter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETS = {
    "base": ("./packages/core", "./packages/audio", "./packages/medical"),
    "train": ("./packages/core", "./packages/audio[train]", "./packages/medical[train]"),
}


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="Measure installs.")
    parser.add_argument("--only", choices=SETS, help="measure this set alone")
    parser.add_argument("--python", default=sys.executable, help="the interpreter")
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else SETS:
        megabytes, seconds, torch = measure(arguments.python, SETS[name])
        print(f"{name}: {megabytes:.0f} MB, {seconds:.0f} s, PyTorch {torch}")
    return 0


def measure(python: str, packages: tuple[str, ...]) -> tuple[float, float, str]:
    """Return the size in MB (10^6 bytes), the seconds and PyTorch's version of an install."""
    with tempfile.TemporaryDirectory(prefix="install-") as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        there = Path(folder, "Scripts" if os.name == "nt" else "bin", "python")
        start = time.perf_counter()
        line = [there, "-m", "pip", "install", "-q", "-c", "constraints.txt", *packages]
        subprocess.run(line, check=True, cwd=ROOT)
        seconds = time.perf_counter() - start
        files = [path for path in Path(folder).rglob("*") if not path.is_symlink()]
        size = sum(path.stat().st_size for path in files if path.is_file())
        check = "import torch, diff_audio, diff_medical; print(torch.__version__)"
        torch = subprocess.check_output([there, "-c", check], cwd=folder, text=True)
        return size / 1e6, seconds, torch.strip()


if __name__ == "__main__":
    sys.exit(main())
