"""The training loop.

Everything random is a function of (seed, step): the data sets give item i as a pure function of
(seed, i), and the objective draws from a generator seeded for its step and part. A resumed run
therefore equals an uninterrupted one bit for bit, and nothing random needs saving.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

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

__all__ = ["train"]

M = TypeVar("M", bound=nn.Module)


def train(
    model: M,
    objective: Loss,
    samples: Samples,
    config: TrainConfig,
    *,
    directory: Path,
    validate: Callable[[M, int], dict[str, float]] | None = None,
    keep: Callable[[M, int], None] | None = None,
    collate: Collate | None = None,
    show: Show[M] | None = None,
    board: bool = False,
    among: Processes | None = None,
    score_start: bool = False,
) -> M:
    """Trains and returns the averaged model, in evaluation mode.

    `directory` receives `state.safetensors` (to resume from; if one is there, the run goes on
    from it) and `log.jsonl`, one JSON object a line: `loss`, `rate` and `gradient` every
    `log_every` steps, and what `validate(averaged model, step)` returns. A step whose loss or
    gradient is not finite is skipped and counted. A first Ctrl-C or SIGTERM lets the step end and
    its state be saved.

    keep:    keep(averaged model, step) is called after each validation, or, with `config.best`,
             after each that is the best so far
    collate: makes a batch of items; default: stacks their tensors
    show:    pictures and sounds for TensorBoard, at validations
    board:   write TensorBoard's files to `directory`/board
    among:   the processes of this run; default: this one, and those that a launcher started
    score_start: validate the model as it is given, as step 0: what a fine-tuning has to better

    Raises TrainingError after `config.patience` bad steps in a row, if another process is lost, or
    if another run is in `directory`, CheckpointError if the directory holds the state of another model, Stopped after a signal, and
    OSError if the disk is full; the last checkpoint is valid after each.
    """
    among = among or processes(config.device)
    main = among.rank == 0
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
        if main:
            stack.enter_context(run_folder(directory))
        stepper = Stepper(model, objective, config, batches, among)
        for average in averages.values():
            average.follow(model)
        state = State(directory, description, model, averages, stepper.optimizer)
        progress, changes = Progress.of(config, batches, among, dtype), ()
        if state.path.exists():
            progress, changes = progress.after(state.load())
        among.wait()
        for change in changes if main else ():
            print(f"resumed after step {progress.step}: {change}", file=sys.stderr)

        start, stop = progress.step, config.steps
        report = stack.enter_context(Report(directory, start, stop, speaks=main, board=board))

        def judge(progress: Progress) -> tuple[Progress, bool]:
            """Validate after `progress.step` steps, all processes together; whether to stop."""
            average, done = ema.gather(), progress.step
            if main and validate:
                scores = validate(average, done)
                report.scores(done, scores)
                if show and board:
                    report.show(done, show(average, done))
                progress = progress.judged(scores, config)
                if keep and (not config.best or progress.best_step == done):
                    keep(average, done)
            progress = replace(progress, validated=done)
            if config.best:
                state.save(progress, keep=config.keep, write=main)
            return progress, any(among.total([float(progress.is_over(config))]))

        over = progress.is_over(config)
        if validate and progress.lacks_validation(config, score_start=score_start):
            progress, over = judge(progress)
        steps = range(start, 0 if over else stop)
        loader = load(samples, batches, steps, workers=config.workers, collate=collate)
        skipped = 0
        for step, parts in enumerate(loader, start):
            outcome = stepper.take(step, parts, asked=signals.are_caught)
            done, last = step + 1, step + 1 == stop
            progress = progress.stepped(outcome.loss if outcome.taken else None)
            if outcome.taken:
                skipped = 0
                for average in averages.values():
                    average.update(model, step)
                if done % config.log_every == 0 or last:
                    rate = learning_rate(config, step)
                    values = {"loss": progress.loss, "rate": rate, "gradient": outcome.gradient}
                    report.write(done, values)
            else:
                skipped += 1
                names = batches.names(samples, step, outcome.bad)
                report.write(done, {"skipped": skipped, "items": names})
                if skipped >= config.patience:
                    raise TrainingError(
                        f"{skipped} steps in a row gave a loss or gradient that is not finite; "
                        f"in step {done} it was that of {', '.join(names) or 'no single item'}"
                    )
            report.advance(progress.loss)
            snapshots.take(done, last=last, write=main)
            if outcome.asked or done % config.checkpoint_every == 0 or last:
                state.save(progress, keep=config.keep, write=main)
            if outcome.asked:
                among.wait()  # for the checkpoint: a launcher ends all when the first ends
                raise Stopped(signals.caught or signal.SIGTERM, done)
            if validate and progress.lacks_validation(config):
                progress, over = judge(progress)
                if over:
                    report.say(f"{config.best} has not improved since step {progress.best_step}")
                    break
    return ema.gather()
