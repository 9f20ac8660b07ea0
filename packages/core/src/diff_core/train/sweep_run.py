"""A sweep from its file to its table: the runs one after the other, in one process."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from diff_core.files import write_json
from diff_core.launch import launched
from diff_core.lines import print_line
from diff_core.train.config import TrainConfig
from diff_core.train.folder import run_folder
from diff_core.train.recipe import dump_recipe, make_recipe, read_recipe
from diff_core.train.run import RECIPE, Options, run_job
from diff_core.train.state import difference, read_progress
from diff_core.train.stop import TrainingError
from diff_core.train.sweep import SWEEP, Result, Setting, Sweep, Trial, ranked, result_of
from diff_core.train.sweep_table import draw_sweep, table_lines, write_table

__all__ = ["run_sweep"]


def run_sweep(
    module: Any,
    recipe_path: Path,
    overrides: Sequence[str],
    inputs: Any,
    options: Options,
    file: Path | None,
) -> None:
    """Run the sweep in a YAML file and write OUT/sweep.csv and OUT/sweep.png.

    The runs are in OUT/runs and share OUT/corpus; OUT/sweep.json and OUT/recipe.json hold what the
    next call needs to go on. A run that fails is reported, and the sweep goes on without it.

    file: None to go on with the sweep that OUT holds

    Raises ValueError for a sweep or a recipe that is none, before anything is trained, for several
    processes, and where OUT holds a sweep of another recipe; and what `run_job` raises.
    """
    if launched()[1] > 1:
        raise ValueError("a sweep trains in one process; start it without a launcher")
    record = _recorded(options.out)
    if record is not None:
        start = record["start_from"]
        options = replace(options, start_from=start and Path(start), grow=bool(record["grow"]))
    if file is not None:
        sweep = read_recipe(Sweep, file, what="sweep")
    elif record is not None:
        sweep = make_recipe(Sweep, record["sweep"], f"{options.out / SWEEP}: ")
    else:
        raise ValueError(f"{options.out} holds no sweep to go on with")
    base = read_recipe(module.Recipe, recipe_path, overrides)
    sweep.judged_by(base.train)
    for setting in sweep.settings():
        with _named(setting):
            read_recipe(module.Recipe, recipe_path, [*overrides, *setting.overrides()])
    runner = _Runner(sweep, base.train, module, recipe_path, tuple(overrides), inputs, options)
    for line in runner.plan():
        print_line(line)
    if options.dry_run:
        trial = runner.trials(sweep.settings()[0])[0]
        run_job(module, recipe_path, [*overrides, *trial.overrides()], inputs, options)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with run_folder(options.out):
        _remember(options, sweep, dump_recipe(base), record)
        runner.run()


def _recorded(out: Path) -> dict[str, Any] | None:
    """Return what OUT/sweep.json holds, None where there is none. Raises ValueError if damaged."""
    path = out / SWEEP
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        return {name: record[name] for name in ("sweep", "start_from", "grow")}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path}: damaged; choose another --out") from None


def _remember(
    options: Options, sweep: Sweep, recipe: Mapping[str, Any], record: Mapping[str, Any] | None
) -> None:
    """Keep sweep and recipe in OUT. Raises ValueError if runs of another recipe are there."""
    path = options.out / RECIPE
    if record is not None and path.exists():
        if unlike := difference(json.loads(path.read_text()), dict(recipe)):
            raise ValueError(f"{options.out} holds a sweep of another recipe: {unlike}")
    start = options.start_from and str(options.start_from)
    write_json(path, recipe)
    write_json(
        options.out / SWEEP,
        {"sweep": asdict(sweep), "start_from": start, "grow": options.grow},
    )


@contextlib.contextmanager
def _named(setting: Setting) -> Generator[None]:
    """Put the setting before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"sweep, {setting.words()}: {error}") from None


@dataclass
class _Runner:
    """The parts of a sweep, and the result of each setting at its last rung, `reached`."""

    sweep: Sweep
    config: TrainConfig
    module: Any
    recipe: Path
    overrides: tuple[str, ...]
    inputs: Any
    options: Options
    reached: dict[Setting, Result] = field(default_factory=dict[Setting, Result])

    def trials(self, setting: Setting) -> list[Trial]:
        """Return the runs of a setting."""
        return [setting.trial(seed, self.options.out) for seed in self.sweep.seeds]

    def plan(self) -> list[str]:
        """Return lines that say how much is to be trained."""
        settings, seeds = self.sweep.settings(), len(self.sweep.seeds)
        runs = f"{len(settings)} settings with {seeds} seed{'s' * (seeds > 1)} each"
        if not self.sweep.halving:
            return [f"{runs}, {seeds * sum(map(self._steps, settings))} steps in all"]
        total, before, alive, lines = 0, 0, len(settings), list[str]()
        for rung in self.sweep.rungs(self.config):
            total += alive * seeds * (rung - before)
            lines.append(f"to step {rung}: {alive} settings")
            alive, before = self.sweep.going_on(alive), rung
        return [f"{runs}, {total} steps in all", *lines]

    def run(self) -> None:
        """Train rung after rung, and write the table after each setting."""
        name, higher = self.sweep.judged_by(self.config)
        alive = self.sweep.settings()
        for rung in self.sweep.rungs(self.config):
            scores: dict[Setting, float] = {}
            for number, setting in enumerate(alive, 1):
                until = rung if self.sweep.halving else self._steps(setting)
                for trial in self.trials(setting):
                    self._train(trial, until, f"setting {number} of {len(alive)}")
                with _named(setting):
                    found = result_of(self.trials(setting), until, self.config, self.sweep)
                self.reached[setting], scores[setting] = found, found.mean
                self._write(name)
            self._report(name, higher=higher)
            if not any(map(math.isfinite, scores.values())):
                raise TrainingError(f"no setting has a finite {name} at step {rung}")
            alive = self.sweep.best(scores, higher=higher)
        best = alive[0]
        folders = ", ".join(str(trial.folder) for trial in self.trials(best))
        print_line(f"best: {best.words()}, in {folders}")

    def _steps(self, setting: Setting) -> int:
        return int(setting.values.get("train.steps", self.config.steps))

    def _train(self, trial: Trial, until: int, place: str) -> None:
        """Train a run up to a step, unless it has come there; a failure is a line."""
        state = trial.folder / "state.safetensors"
        if state.exists():
            progress = read_progress(state)
            if progress.step >= until and progress.validated == progress.step:
                return
        print_line(f"{place}, to step {until}: {' '.join(trial.overrides())}")
        trial.folder.mkdir(parents=True, exist_ok=True)
        _share_corpus(self.options.out, trial.folder)
        options = replace(self.options, out=trial.folder, until=until, quiet=True)
        overrides = [*self.overrides, *trial.overrides()]
        try:
            run_job(self.module, self.recipe, overrides, self.inputs, options)
        except TrainingError as error:
            print_line(f"{trial.folder}: {error}", sys.stderr)

    def _ranked(self, *, higher: bool) -> list[Result]:
        """Return all results by their scores, of halving those of the last rung first."""
        scores = {setting: found.mean for setting, found in self.reached.items()}
        results = [self.reached[setting] for setting in ranked(scores, higher=higher)]
        return sorted(results, key=lambda found: -found.step if self.sweep.halving else 0)

    def _write(self, score: str) -> None:
        results = list(self.reached.values())
        runs = [self.trials(found.setting) for found in results]
        write_table(self.options.out / "sweep.csv", results, runs, score)

    def _report(self, score: str, *, higher: bool) -> None:
        """Print the table and draw the picture; one that cannot be drawn stops nothing."""
        results = self._ranked(higher=higher)
        for line in table_lines(results, score):
            print_line(line)
        picture = self.options.out / "sweep.png"
        runs = [self.trials(found.setting) for found in results]
        try:
            draw_sweep(picture, results, runs, score)
        except Exception as error:
            print_line(f"{picture}: not drawn ({' '.join(str(error).split())})", sys.stderr)


def _share_corpus(root: Path, folder: Path) -> None:
    """Let a run find its decoded data in OUT/corpus, by a link where the system has links."""
    (root / "corpus").mkdir(exist_ok=True)
    link = folder / "corpus"
    if not os.path.lexists(link):
        with contextlib.suppress(OSError):  # each run then decodes for itself
            link.symlink_to(os.path.relpath(root / "corpus", folder), target_is_directory=True)
