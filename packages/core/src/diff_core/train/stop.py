"""Why a run stops: faults and signals."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Signals", "Stopped", "TrainingError"]


class TrainingError(RuntimeError):
    """Training cannot go on."""


class Stopped(Exception):
    """A signal asked the run to stop; its state is saved after `step` steps.

    code: the exit code that shells and schedulers expect, 128 + the signal's number
    """

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}")
        self.step, self.code = step, 128 + number


class Signals:
    """Within the block, a first Ctrl-C or SIGTERM is only noted; a second Ctrl-C interrupts."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self._before: dict[int, Any] = {}

    def are_caught(self) -> bool:
        """Return whether this process has been asked to stop."""
        return self.caught is not None

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # Python's rule
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.caught is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = number
