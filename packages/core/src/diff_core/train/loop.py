"""The training loop.

Everything random is a function of (seed, step): the data sets give item i as a pure function of
(seed, i), and the objective draws from a generator seeded for its step and part. A resumed run
therefore equals an uninterrupted one bit for bit, and nothing random needs saving.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import nn

from diff_core.checkpoint.description import describe
from diff_core.train.batches import Batches, load
from diff_core.train.config import TrainConfig, learning_rate
from diff_core.train.distributed import Processes, guarded, processes
from diff_core.train.ema import Ema
from diff_core.train.folder import run_folder
from diff_core.train.job import Collate, Loss, Samples, Show
from diff_core.train.posthoc import Snapshots
from diff_core.train.precision import forward_in, narrow_dtype
from diff_core.train.report import Report
from diff_core.train.state import Progress, State
from diff_core.train.step import Stepper
from diff_core.train.stop import Signals, Stopped, TrainingError
from diff_core.train.watch import Seen

__all__ = ["train"]

M = TypeVar("M", bound=nn.Module)
Validate = Callable[[M, int], Mapping[str, float] | Seen]


@dataclass
class _Run(Generic[M]):
    """The parts of a run, and its progress."""

    model: M
    samples: Samples
    config: TrainConfig
    among: Processes
    batches: Batches
    averages: Mapping[str, Ema[Any]]
    snapshots: Snapshots
    stepper: Stepper
    state: State
    report: Report
    signals: Signals
    progress: Progress
    until: int
    skipped: int = 0
    is_judged: bool = False

    def take(self, step: int, parts: Any) -> None:
        """Take a step, note it, and save what is due. Raises Stopped after a signal."""
        outcome = self.stepper.take(step, parts, asked=self.signals.are_caught)
        done, main = step + 1, self.among.rank == 0
        last, ends = done == self.config.steps, done == self.until
        self.progress = self.progress.stepped(outcome.loss if outcome.taken else None)
        if outcome.taken:
            self.skipped = 0
            for average in self.averages.values():
                average.update(self.model, step)
            if done % self.config.log_every == 0 or ends:
                rate, loss = learning_rate(self.config, step), self.progress.loss
                values = {"loss": loss, "rate": rate, "gradient": outcome.gradient}
                self.report.write(done, values)
        else:
            self._skip(done, self.batches.names(self.samples, step, outcome.bad))
        self.report.advance(self.progress.loss)
        self.snapshots.take(done, last=last, write=main)
        if outcome.asked or done % self.config.checkpoint_every == 0 or ends:
            self.state.save(self.progress, keep=self.config.keep, write=main)
        if outcome.asked:
            self.among.wait()  # for the checkpoint: a launcher ends all when the first ends
            raise Stopped(self.signals.caught or signal.SIGTERM, done)

    def _skip(self, done: int, names: Sequence[str]) -> None:
        """Note a step that was skipped; raise TrainingError after too many in a row."""
        self.skipped += 1
        self.report.write(done, {"skipped": self.skipped, "items": names})
        if self.skipped >= self.config.patience:
            raise TrainingError(
                f"{self.skipped} steps in a row gave a loss or gradient that is not finite; "
                f"in step {done} it was that of {', '.join(names) or 'no single item'}"
            )

    def judge(
        self,
        average: M,
        done: int,
        validate: Validate[M],
        keep: Callable[[M, int], None] | None,
        show: Show[M] | None,
    ) -> bool:
        """Score the average and keep it if it is due; return whether the run may end here."""
        if self.config.best and not self.is_judged:  # there may be no score of that name
            self.state.save(self.progress, keep=self.config.keep, write=self.among.rank == 0)
        self.is_judged = True
        if self.among.rank == 0:
            found = validate(average, done)
            scores = found.numbers if isinstance(found, Seen) else found
            self.report.scores(done, scores)
            if isinstance(found, Seen):
                self.report.show(done, found.pictures)
            if show:
                self.report.show(done, show(average, done))
            self.progress = self.progress.judged(scores, self.config)
            if keep and (not self.config.best or self.progress.best_step == done):
                keep(average, done)
        self.progress = replace(self.progress, validated=done)
        if self.config.best or done == self.until:
            self.state.save(self.progress, keep=self.config.keep, write=self.among.rank == 0)
        if any(self.among.total([float(self.progress.is_over(self.config))])):
            best = self.progress.best_step
            self.report.say(f"{self.config.best} has not improved since step {best}")
            return True
        return False


def _resume(state: State, progress: Progress, among: Processes) -> Progress:
    """Return the progress of the checkpoint, if there is one, and report what differs from it."""
    changes: Sequence[str] = ()
    if state.path.exists():
        progress, changes = progress.after(state.load())
    among.wait()
    for change in changes if among.rank == 0 else ():
        print(f"resumed after step {progress.step}: {change}", file=sys.stderr)
    return progress


def train(
    model: M,
    objective: Loss,
    samples: Samples,
    config: TrainConfig,
    *,
    directory: Path,
    validate: Validate[M] | None = None,
    keep: Callable[[M, int], None] | None = None,
    collate: Collate | None = None,
    board: bool | Show[M] = False,
    among: Processes | None = None,
    score_start: bool = False,
    until: int | None = None,
) -> M:
    """Train a model and return its average, in evaluation mode.

    `directory` receives `state.safetensors` (to resume from; if one is there, the run goes on
    from it) and `log.jsonl`, one JSON object a line: `loss`, `rate` and `gradient` every
    `log_every` steps, and what `validate(averaged model, step)` returns: scores by name, or a
    `Seen`, whose pictures go to the board (`Watched` makes one). A step whose loss or gradient is
    not finite is skipped and counted. A first Ctrl-C or SIGTERM lets the step end and its state
    be saved. Of several processes the first alone validates, and the others wait for it.

    keep:    keep(averaged model, step) is called after each validation, or, with `config.best`,
             after each that is the best so far
    collate: makes a batch of items; default: stacks their tensors
    board:   write TensorBoard's files to `directory`/board; a function gives the pictures and
             sounds that they show at validations
    among:   the processes of this run; default: this one, and those that a launcher started
    score_start: validate the model as it is given, as step 0: what a fine-tuning has to better
    until:   the step after which this call ends, its state saved; the next call goes on from
             there. The learning rates are those of `config.steps` all the same

    Raises TrainingError after `config.patience` bad steps in a row, if another process is lost or
    while another run is in the directory, CheckpointError if it holds the state of another model,
    Stopped after a signal, and OSError if the disk is full; the last checkpoint is valid after
    each.
    """
    among = among or processes(config.device)
    batches = Batches.of(config, among)
    dtype = narrow_dtype(config.precision, among.device)
    directory.mkdir(parents=True, exist_ok=True)
    model.to(among.device).train()
    description = describe(model)
    snapshots = Snapshots(model, config.snapshot_every, directory)
    ema = Ema(model, config.ema)
    averages = {"average": ema} | snapshots.averages

    with ExitStack() as stack:
        stack.enter_context(forward_in(model, dtype, among.device, compiled=config.compile))
        stack.enter_context(guarded(among, f"the last checkpoint is in {directory}"))
        signals = stack.enter_context(Signals())
        if among.rank == 0:
            stack.enter_context(run_folder(directory))
        stepper = Stepper(model, objective, config, batches, among)
        for average in averages.values():
            average.follow(model)
        state = State(directory, description, model, averages, stepper.optimizer)
        progress = _resume(state, Progress.of(config, batches, among, dtype), among)
        start, stop = progress.step, min(config.steps, until or config.steps)
        report = Report(directory, start, stop, speaks=among.rank == 0, board=board is not False)
        stack.enter_context(report)
        run = _Run(
            model, samples, config, among, batches, averages, snapshots, stepper, state, report,
            signals, progress, stop,
        )  # fmt: skip
        shown, over = board if callable(board) else None, progress.is_over(config)
        if validate and progress.lacks_validation(config, score_start=score_start):
            over = run.judge(ema.gather(), start, validate, keep, shown)
        steps = range(start, 0 if over else stop)
        loader = load(samples, batches, steps, workers=config.workers, collate=collate)
        for step, parts in enumerate(loader, start):
            run.take(step, parts)
            if validate and run.progress.lacks_validation(config):
                if run.judge(ema.gather(), step + 1, validate, keep, shown):
                    break
    return ema.gather()
