"""The report of a run while it goes: a bar, `log.jsonl`, TensorBoard's files where asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor
from tqdm import tqdm

from diff_core.lines import printable
from diff_core.train.log import Log

__all__ = ["Report"]


class Report:
    """The report of the process that speaks; those of the others (`speaks` false) write nothing.

    board: whether to write TensorBoard's files, to `directory`/board; needs `diff-core[train]`
    """

    def __init__(
        self, directory: Path, start: int, steps: int, *, speaks: bool = True, board: bool = False
    ) -> None:
        self._begun = time.monotonic()
        self._log = Log(directory / "log.jsonl") if speaks else None
        self._board: Any = _writer(directory / "board", start) if board and speaks else None
        self._bar: Any = tqdm(
            desc="training",
            initial=start,
            total=steps,
            disable=None if speaks else True,
            dynamic_ncols=True,
        )

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.close()
        if self._log:
            self._log.close()
        if self._board:
            self._board.close()

    def advance(self, loss: float | None) -> None:
        """A step is done; `loss` is what the bar shows."""
        if loss is not None:
            self._bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
        self._bar.update()

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """A line of the log, and its numbers on the board."""
        if self._log is None:
            return
        seconds = round(time.monotonic() - self._begun, 1)
        try:
            self._log.add({"step": step, "seconds": seconds} | dict(values))
        except OSError as error:  # the weights are worth more than a line
            self.say(f"{self._log.path}: step {step} is not in the log: {error.strerror}")
        if self._board:
            for name, value in values.items():
                group = value if isinstance(value, dict) else {name: value}
                above = name if isinstance(value, dict) else "training"
                for key, number in group.items():
                    if isinstance(number, int | float):
                        self._board.add_scalar(f"{above}/{key}", number, step)

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Write the scores of a validation, also as a line on standard error."""
        self.write(step, {"validation": dict(scores)})
        self.say("  ".join([f"step {step}"] + [f"{k} {v:.4g}" for k, v in scores.items()]))

    def show(self, step: int, things: Mapping[str, Tensor | tuple[Tensor, int]]) -> None:
        """Pictures (C, H, W) in [0, 1] and sounds (T,) with their rate, by name, on the board."""
        if self._board is None:
            return
        for name, thing in things.items():
            if isinstance(thing, tuple):
                self._board.add_audio(name, thing[0][None], step, sample_rate=thing[1])
            else:
                self._board.add_image(name, thing, step)

    def say(self, line: str) -> None:
        """A line on standard error, above the bar."""
        if self._log:
            self._bar.write(printable(line), file=sys.stderr)


def _writer(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise ValueError(
            "TensorBoard is not installed; pip install 'diff-core[train]', or leave the board out"
        ) from None
    return SummaryWriter(str(folder), purge_step=start)
