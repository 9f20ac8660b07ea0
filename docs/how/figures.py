"""The figures of the page "How diffusion works", drawn into docs/how.

python docs/how/figures.py              # everything
python docs/how/figures.py score seeds  # some of it

Needs the three packages and matplotlib, and nothing beside what the repository holds: the examples
and the weights of the packages. The same on every run. Some titles hold scores of these weights:
draw again when the weights change.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from drawing import curves, mixture, scan, sound

HERE = Path(__file__).resolve().parent
FIGURES: dict[str, Callable[[Path], None]] = {
    "scan-forward": scan.forward,
    "sound-forward": sound.forward,
    "schedules": curves.schedules,
    "schedules-scan": scan.by_schedule,
    "score": mixture.score,
    "score-data": mixture.data,
    "samplers": curves.errors,
    "scan-reverse": scan.reverse,
    "sound-reverse": sound.reverse,
    "seeds": scan.seeds,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the named figures, or all of them, and print the time."""
    parser = argparse.ArgumentParser(description="Draws the figures of How diffusion works.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(FIGURES)}; all by default")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write into")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(FIGURES):
        parser.error(f"unknown {', '.join(sorted(unknown))}; expected of {', '.join(FIGURES)}")
    torch.set_num_threads(1)  # the last bits do not depend on the number of cores
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or FIGURES:
        FIGURES[name](given.out)
    print(f"{time.process_time():.0f} s of CPU")


if __name__ == "__main__":
    main()
