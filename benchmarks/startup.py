"""How long people wait for nothing: --help of every command, and importing the core beside torch.

python benchmarks/startup.py --rounds 5

Processor time (user and system) of fresh processes, the least of the rounds, so that other work on
the machine hardly counts; wall-clock time is shown beside it. The goals: --help in 1.0 s at most,
`import diff_core` in 1.3 times `import torch` at most. Exit code 1 if one is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import typer

import diff_audio.__main__
import diff_medical.__main__

HELP_SECONDS, IMPORT_RATIO = 1.0, 1.3
TORCH = "import torch"
# The core imports its parts, and torch with them, when the first of its names is used.
PROGRAMS = (TORCH, "import diff_core", "import diff_core; diff_core.Ddim", "import diff_core.nn")


def main() -> int:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="processes a row; the least counts")
    rounds = parser.parse_args().rounds

    taken = imports(rounds)
    print("| program | CPU s | wall s | ratio |\n|---|---|---|---|")
    for program, (cpu, wall) in taken.items():
        print(f"| {program} | {cpu:.2f} | {wall:.2f} | {cpu / taken[TORCH][0]:.2f} |")
    worst = max(cpu for cpu, _ in taken.values()) / taken[TORCH][0]

    print("\n| --help of | CPU s | wall s |\n|---|---|---|")
    slowest = 0.0
    for words in commands():
        cpu, wall = least([sys.executable, "-m", *words, "--help"], rounds)
        slowest = max(slowest, cpu)
        print(f"| {' '.join(words)} | {cpu:.2f} | {wall:.2f} |", flush=True)
    print(f"\nslowest --help: {slowest:.2f} CPU s")
    return int(slowest > HELP_SECONDS or worst > IMPORT_RATIO)


def imports(rounds: int) -> dict[str, tuple[float, float]]:
    """The programs by turns, so that all see the same machine."""
    taken: dict[str, list[tuple[float, float]]] = {program: [] for program in PROGRAMS}
    for _ in range(rounds):
        for program, seen in taken.items():
            seen.append(once([sys.executable, "-c", program]))
    return {program: min(seen) for program, seen in taken.items()}


def commands() -> Iterator[list[str]]:
    """(module, sub-commands...) of every command of both packages."""
    for domain in (diff_audio.__main__, diff_medical.__main__):
        todo = [([str(domain.__package__)], typer.main.get_command(domain.app))]
        while todo:
            words, command = todo.pop(0)
            yield words
            inside = getattr(command, "commands", {})
            todo += [([*words, name], found) for name, found in inside.items()]


def least(words: list[str], rounds: int) -> tuple[float, float]:
    """The smallest CPU time of some processes, with the wall-clock time of that one."""
    return min(once(words) for _ in range(rounds))


def once(words: list[str]) -> tuple[float, float]:
    """(CPU, wall) seconds of one process with one thread."""
    before, start = os.times(), time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(words, check=True, capture_output=True, env=environment)
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system, wall


if __name__ == "__main__":
    sys.exit(main())
