"""Files that wait to be worked on, one at a time, and what became of them."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from diff_core.command.failures import explain
from diff_core.command.studio.field import Value
from diff_core.command.studio.limits import Limits
from diff_core.progress import Progress

__all__ = ["Choices", "Full", "Made", "Task", "Tasks", "Work"]

UNDONE = ("waiting", "working")
WORTH_SAYING = 2.0  # seconds of work, before which no time is foretold


@dataclass(frozen=True)
class Choices:
    """The user's choices.

    quality: the name of a quality
    amount:  the share of the change, 0 to 1
    further: the value of each further option of the page, by its name
    shown:   those of them that are not the usual ones, as the page shows them
    tool:    the name of the tool, "" for the first
    """

    quality: str
    amount: float
    further: Mapping[str, Value] = field(default_factory=dict[str, Value])
    shown: tuple[str, ...] = ()
    tool: str = ""


@dataclass(frozen=True)
class Made:
    """The products of an upload: the result, a page about it that needs no other file, and further
    files, each with its name on the page: {"removed": ...}.
    """

    result: Path
    report: Path
    further: Mapping[str, Path] = field(default_factory=dict[str, Path])


Work = Callable[[Path, Choices, Progress], Made]
"""Make something of a file, beside it; calls back with the share done, 0 to 1.

The file is named relative to the working directory, which is a folder of its own. What it raises
is reported to the user.
"""


class Full(Exception):
    """Too many files wait."""


class _Stopped(Exception):
    """The user wants it no more."""


class _TooLong(Exception):
    """The work took longer than it may."""


@dataclass
class Task:
    """An upload, until its result.

    owner: who may see it, "" for everyone
    title: its name on the page
    """

    number: int
    source: Path
    choices: Choices
    owner: str = ""
    title: str = ""
    state: Literal["waiting", "working", "done", "failed", "stopped"] = "waiting"
    share: float = 0.0
    began: float = 0.0
    took: float = 0.0
    ended: float = 0.0
    fault: str = ""
    made: Made | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def file(self, what: str) -> Path | None:
        """The "result", the "report" or a further file, if it is there."""
        if self.made is None:
            return None
        files = {**self.made.further, "result": self.made.result, "report": self.made.report}
        name = files.get(what)
        return None if name is None else self.source.parent / name


class Tasks:
    """The queue. Everything lies in `folder`, a subfolder for each file; the last ones are kept.

    Its methods may be called from any thread.
    """

    def __init__(self, folder: Path, work: Work, limits: Limits | None = None) -> None:
        self.folder, self._work, self.limits = folder, work, limits or Limits()
        self._counts = {"done": 0, "failed": 0}
        self._tasks: dict[int, Task] = {}
        self._coming: set[int] = set()
        self._count = 0
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="studio")

    def place(self, name: str) -> Path:
        """Where a file of this name may be put, in a new folder, until `add` or `give_back`.

        Raises Full while as many files wait or are on their way as may.
        """
        with self._lock:
            waiting = sum(task.state in UNDONE for task in self._tasks.values())
            if waiting + len(self._coming) >= self.limits.waiting:
                text = f"{self.limits.waiting} files wait already; let some of them finish"
                raise Full(text)
            self._count += 1
            number = self._count
            self._coming.add(number)
        folder = self.folder / str(number)
        folder.mkdir(mode=0o700)
        return folder / name

    def give_back(self, source: Path) -> None:
        """Take back a place whose file did not come."""
        with self._lock:
            self._coming.discard(int(source.parent.name))
        shutil.rmtree(source.parent, ignore_errors=True)

    def add(self, source: Path, choices: Choices, *, owner: str = "", title: str = "") -> Task:
        """Queue the file at a place that was given out."""
        task = Task(int(source.parent.name), source, choices, owner, title or source.name)
        with self._lock:
            self._coming.discard(task.number)
            self._tasks[task.number] = task
        self._worker.submit(self._do, task)
        return task

    def _forget(self) -> None:
        """Remove the files that are over, but for the last ones."""
        hours = self.limits.hours
        oldest = -math.inf if hours is None else time.monotonic() - 3600 * hours
        with self._lock:
            over = [task for task in self._tasks.values() if task.state not in UNDONE]
            spare = max(0, len(over) - self.limits.kept)
            for place, old in enumerate(over):
                if place < spare or old.ended < oldest:
                    del self._tasks[old.number]
                    shutil.rmtree(old.source.parent, ignore_errors=True)

    def get(self, number: int, owner: str = "") -> Task | None:
        """The owner's task of this number, None if there is none or no longer."""
        self._forget()
        task = self._tasks.get(number)
        return task if task and task.owner == owner else None

    def all(self, owner: str = "") -> list[Task]:
        """Every task of an owner that is here, the oldest first."""
        self._forget()
        with self._lock:
            return [task for task in self._tasks.values() if task.owner == owner]

    def state(self) -> dict[str, int]:
        """Return how many files wait, are worked on, are done and failed, whoever owns them."""
        with self._lock:
            states = [task.state for task in self._tasks.values()]
            waiting = states.count("waiting") + len(self._coming)
            return {"waiting": waiting, "working": states.count("working"), **self._counts}

    def view(self, task: Task) -> dict[str, Any]:
        """Return the facts about a task that the page shows."""
        spent = time.monotonic() - task.began
        left = None
        if task.state == "working" and task.share > 0.05 and spent > WORTH_SAYING:
            left = round(spent / task.share * (1 - task.share))
        with self._lock:
            ahead = sum(
                other.number < task.number and other.state in UNDONE
                for other in self._tasks.values()
            )
        further = task.made.further if task.made else {}
        return {
            "number": task.number, "name": task.title, "tool": task.choices.tool,
            "quality": task.choices.quality,
            "amount": task.choices.amount, "state": task.state, "share": round(task.share, 3),
            "left": left, "took": round(task.took, 1), "ahead": ahead, "fault": task.fault,
            "result": task.made.result.name if task.made else None,
            "further": {what: path.name for what, path in further.items()},
            "options": task.choices.shown,
        }  # fmt: skip

    def stop(self, task: Task) -> None:
        """Take it out of the queue, or stop the work at its next sign of progress."""
        task.stop.set()
        if task.state == "waiting":
            task.ended = time.monotonic()
            task.state = "stopped"
            self._forget()

    def close(self) -> None:
        """Stop everything and wait for that."""
        with self._lock:
            for task in self._tasks.values():
                task.stop.set()
        self._worker.shutdown(cancel_futures=True)

    def _do(self, task: Task) -> None:
        most = math.inf if self.limits.seconds is None else self.limits.seconds

        def advance(share: float) -> None:
            if task.stop.is_set():
                raise _Stopped
            if time.monotonic() - task.began > most:
                raise _TooLong
            task.share = min(1.0, max(0.0, share))

        task.began = time.monotonic()
        try:
            advance(0.0)
            task.state = "working"
            # so that no page or message names the temporary folder; there is one worker only
            with chdir(task.source.parent):
                task.made = self._work(Path(task.source.name), task.choices, advance)
            task.took = time.monotonic() - task.began
            self._end(task, "done")
        except _Stopped:
            self._end(task, "stopped")
        except _TooLong:
            task.fault = self.limits.too_long
            self._end(task, "failed")
        except Exception as fault:  # the queue goes on, whatever one file does
            task.fault = explain(fault).removeprefix(f"{task.source.name}: ")
            self._end(task, "failed")
        self._forget()

    def _end(self, task: Task, state: Literal["done", "failed", "stopped"]) -> None:
        with self._lock:
            task.ended = time.monotonic()
            task.state = state
            if state in self._counts:
                self._counts[state] += 1
