"""Checks of an installation, with a remedy for each fault."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from diff_core.command.extras import extras, missing, needs
from diff_core.command.failures import explain
from diff_core.command.weights import find_weights

__all__ = ["Check", "Doctor"]

State = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Check:
    """A check: its name, its state, the finding, and a remedy ("" where none is needed)."""

    name: str
    state: State
    seen: str
    advice: str = ""


@dataclass(frozen=True)
class Doctor:
    """The checks of one distribution.

    distribution: its name, "diff-audio"; its requirements and extras are looked up
    weights:      folder of the checkpoints that it must hold
    trials:       by sub-command, what runs its model on a moment of data; raises where it cannot
    """

    distribution: str
    weights: Path
    trials: Mapping[str, Callable[[], object]]

    def examine(self, *, as_json: bool = False) -> int:
        """Print every check; 0 if none is bad, else 1."""
        code = 0
        for check in self.checks():
            code |= check.state == "bad"
            if as_json:
                print(json.dumps(asdict(check)), flush=True)
            else:
                _show(check)
        return code

    def checks(self) -> Iterator[Check]:
        """One after the other, as they are made."""
        yield Check("python", "good", f"{platform.python_version()} at {sys.executable}")
        yield from _libraries(self.distribution)
        yield _device()
        yield _scratch()
        yield from _checkpoints(self.weights)
        for name, trial in self.trials.items():
            yield _tried(f"{self.distribution} {name}", trial)


def _show(check: Check) -> None:
    from rich.console import Console
    from rich.text import Text

    mark, style = {"good": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}[
        check.state
    ]
    line = Text.assemble((mark, style), f"  {check.name}: {check.seen}")
    console = Console(soft_wrap=True, highlight=False)
    console.print(line)
    if check.advice:
        console.print(Text(f"      {check.advice}", style="bold"))


def _libraries(distribution: str) -> Iterator[Check]:
    """Check the requirements of the distribution and of its extras."""
    found = [f"{need.name} {need.version}" for need in needs(distribution) if need.version]
    yield Check("libraries", "good", ", ".join(found))
    for name in missing(distribution):
        yield Check(name, "bad", "is not installed", f"pip install {name}")
    for extra in extras(distribution):
        if lacking := missing(distribution, extra):
            advice = f'for it: pip install "{distribution}[{extra}]"'
            yield Check(f"extra {extra}", "note", f"without {', '.join(lacking)}", advice)
        else:
            yield Check(f"extra {extra}", "good", "installed")


def _device() -> Check:
    import torch

    from diff_core.device import pick_device

    device = pick_device("auto")
    seen = f"{device.type}, PyTorch {torch.__version__}, {torch.get_num_threads()} CPU threads"
    if device.type == "cuda":
        return Check("device", "good", f"{seen}, {torch.cuda.get_device_name()}")
    return Check("device", "good", seen)


def _scratch() -> Check:
    """Long files are worked on in the folder for temporary files."""
    import shutil

    folder = Path(tempfile.gettempdir())
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Check("temporary files", "bad", explain(error), "point TMPDIR at a writable folder")
    if free < 1:
        advice = "long recordings need more: free some, or point TMPDIR elsewhere"
        return Check("temporary files", "note", f"{free:.1f} GiB free in {folder}", advice)
    return Check("temporary files", "good", f"{free:.0f} GiB free in {folder}")


def _checkpoints(folder: Path) -> Iterator[Check]:
    from diff_core.checkpoint import CheckpointError, read_card

    files = list(find_weights(folder))
    again = "install the package again: the file is not whole"
    if not files:
        yield Check("weights", "bad", f"none in {folder}", again)
    for file in files:
        try:
            card = read_card(file.path)
        except (CheckpointError, OSError) as error:
            yield Check(file.path.name, "bad", explain(error), again)
        else:
            size = file.path.stat().st_size / 1e6
            seen = f"{card.name}, {size:.1f} MB, sha256 {file.fingerprint}"
            yield Check(file.path.name, "good", seen)


def _tried(name: str, trial: Callable[[], object]) -> Check:
    start = time.monotonic()
    try:
        trial()
    except Exception as error:  # whatever is wrong, the others are still to be tried
        advice = f"if the checks above are good, report what `{name} --debug` prints"
        return Check(name, "bad", explain(error), advice)
    return Check(name, "good", f"works, {time.monotonic() - start:.1f} s")
