"""One job after another: a bad file is reported and does not stop the others."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from diff_core.command.claims import Skipped, claimed
from diff_core.command.failures import Failures
from diff_core.command.inputs import Job
from diff_core.command.progress import bar
from diff_core.command.remote import as_given
from diff_core.command.reports import Reports
from diff_core.command.shard import Shard
from diff_core.command.summary import Summary
from diff_core.command.team import team
from diff_core.files import writing

__all__ = ["process"]

Outcome = TypeVar("Outcome")


def process(
    jobs: Sequence[Job],
    do: Callable[[Job, Callable[[float], None]], Outcome],
    failures: Failures,
    *,
    line: Callable[[Outcome], str],
    warnings: Callable[[Outcome], Iterable[str]],
    quiet: bool,
    as_json: bool,
    skip_existing: bool = False,
    shard: Shard | None = None,
    summary: Path | None = None,
    reports: Reports | None = None,
) -> int:
    """Do every job under one progress bar and return the exit code.

    do:       does one job, giving a callback the share done, 0 to 1; returns a dataclass
    line:     the line of an outcome on standard output, unless `quiet`
    warnings: its lines on standard error, always
    as_json:  standard output gets the outcome, or the error, as one line of JSON instead
    skip_existing: leaves out, without failure, what is there or being made by another process
    shard:    the part of the jobs to do, without locks; failures from before are part 1's
    summary:  a file that gets one line for each input (`diff_core.command.summary`)
    reports:  the pages of the run, whose index is written in the end

    The bar moves by the size of the inputs. Failures from before count among the inputs. A target
    that another process is making is a failure (`diff_core.command.claims`); so is a source that
    changes during its job. Several processes of one launcher share the jobs
    (`diff_core.command.team`); each reports its own, and process 0 of all in the end. The others'
    exit code is then 0, for it speaks for them.
    """
    among, pages = team(), reports or Reports()
    try:
        lines = Summary(summary)
    except (OSError, ValueError) as error:
        failures.add(str(summary), error)
        return failures.finish(1)
    if shard is not None:
        jobs = shard.of(jobs)
        failures.names = failures.names if shard.index == 1 else []
    failures.speak()
    total = len(jobs) + _before(failures, lines, pages)
    sizes = [job.source.stat().st_size if job.source.is_file() else 0 for job in jobs]
    with bar(float(sum(sizes)), quiet=quiet or among.rank > 0) as progress:
        for turn in among.turns(len(jobs)):
            job, size, began = jobs[turn], sizes[turn], time.monotonic()
            name, target = str(job.source), str(job.target)

            def advance(share: float, size: int = size, label: str = job.source.name) -> None:
                progress.at(share * size + among.done(0), label)

            try:
                job.target.parent.mkdir(parents=True, exist_ok=True)
                outcome: Any = _do_alone(
                    job, advance, do, skip_existing=skip_existing, lock=shard is None
                )
            except Exception as error:  # one bad file must not stop the others
                text = failures.add(name, error)
                seconds = time.monotonic() - began
                lines.add(name, None, seconds, error=text)
                pages.failed(job, seconds, text, exists=isinstance(error, FileExistsError))
                if as_json:
                    progress.say(as_given(json.dumps({"input": name, "error": text})))
                continue
            finally:
                progress.add(size)
                among.done(size)
            skipped = isinstance(outcome, Skipped)
            notes = [] if skipped else list(warnings(outcome))
            for warning in notes:
                failures.warn(name, warning)
            seconds = time.monotonic() - began
            lines.add(name, target, seconds, notes=notes, skipped=skipped)
            pages.skipped(job) if skipped else pages.done(job, seconds, notes)
            if as_json:
                progress.say(as_given(json.dumps(dataclasses.asdict(outcome))))
            elif not quiet:
                progress.say(as_given(outcome.line() if skipped else line(outcome)))
        failures.names = among.gather(failures.names)
    return _finish(pages, failures, total) if among.rank == 0 else 0


def _before(failures: Failures, lines: Summary, pages: Reports) -> int:
    """Record what failed before the work, and return how many inputs did."""
    for name in failures.names:
        lines.add(name, None, 0.0, error=failures.texts[name])
        pages.unread(name, failures.texts[name])
    return len(failures.names)


def _finish(pages: Reports, failures: Failures, total: int) -> int:
    try:
        pages.finish()
    except OSError as error:
        failures.add("--report", error)
    return failures.finish(total)


def _do_alone(
    job: Job,
    advance: Callable[[float], None],
    do: Callable[[Job, Callable[[float], None]], Outcome],
    *,
    skip_existing: bool,
    lock: bool,
) -> Outcome | Skipped:
    """Do a job while no other process does it; without a lock no other process has it."""
    with claimed(job.target) if lock else nullcontext(True) as is_mine:
        if skip_existing and (job.target.exists() or not is_mine):
            why = "exists" if is_mine else "is being written by another process"
            return Skipped(str(job.source), str(job.target), why)
        if not is_mine:
            raise FileExistsError(
                f"the output {job.target} is being written by another process; wait for it"
            )
        with writing(source=job.source):
            return do(job, advance)
