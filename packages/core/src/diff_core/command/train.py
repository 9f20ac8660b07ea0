"""The training command of a domain: options, recipe, plan, run, one line for each fault.

A domain names a module that holds a recipe's type, `Recipe`, and

    build(recipe: Recipe, inputs: Inputs, out: Path) -> Job

which finds the data and makes the model. The module is imported when the command runs, so that
--help is quick. `Recipe` is a frozen dataclass with a field `train: TrainConfig`; `Inputs` is a
frozen dataclass whose fields are the command's options for data.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from diff_core.command import Device, explain
from diff_core.command.extras import missing
from diff_core.command.options import MACHINE, Debug
from diff_core.command.team import is_first, rank
from diff_core.lines import log_lines, print_line

__all__ = ["Folder", "training_command"]


@dataclass(frozen=True)
class Folder:
    """The inputs of a command that reads one folder."""

    data: Annotated[Path, typer.Option(help="Folder of training data.")]
    manifest: Annotated[
        Path | None, typer.Option(help="JSON lines that say more of the files.")
    ] = None


@dataclass(frozen=True)
class Choices:
    """The options of every training command."""

    out: Annotated[Path, typer.Option(help="Folder for weights, log and state.")]
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings: train.steps=1000."),
    ] = None
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="YAML with every number of the run, or a model: its own recipe. Default: the one "
            "that comes with the package; with --start-from that of the model, with --resume that "
            "of the run."
        ),
    ] = None
    sweep: Annotated[
        Path | None,
        typer.Option(
            help="YAML with values to try for keys of the recipe: a run for each, and a table."
        ),
    ] = None
    start_from: Annotated[
        Path | None,
        typer.Option(help="Weights to begin with: a file, or `shipped`. For fine-tuning."),
    ] = None
    grow: Annotated[
        bool,
        typer.Option("--grow", help="Let the model have more than --start-from: blocks, outputs."),
    ] = False
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in OUT.")] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, time ten steps, write no run.")
    ] = False
    board: Annotated[
        bool, typer.Option("--board", help="Write TensorBoard's files to OUT/board.")
    ] = False
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the run; default: the recipe's.")
    ] = None
    device: Annotated[Device, typer.Option(help="Where to train.", rich_help_panel=MACHINE)] = (
        "auto"
    )
    debug: Debug = False

    def check(self) -> None:
        """Raise typer.BadParameter for options that contradict each other or what is in OUT."""
        from diff_core.train.sweep import SWEEP

        held = any((self.out / name).exists() for name in ("state.safetensors", SWEEP))
        if held != self.resume and not (self.dry_run and not self.resume):
            raise typer.BadParameter(
                f"{self.out} holds a run; go on with it by --resume, or give another --out"
                if held
                else f"{self.out} holds no run to --resume"
            )
        if self.resume and self.start_from:
            raise typer.BadParameter("--resume goes on from OUT's state; leave --start-from out")
        if self.is_sweep() and self.seed is not None:
            raise typer.BadParameter("a sweep has `seeds` in its file; leave --seed out")
        if self.sweep and (self.out / "state.safetensors").exists():
            raise typer.BadParameter(f"{self.out} holds a run, not a sweep; give another --out")
        if self.grow and not self.start_from:
            raise typer.BadParameter("--grow enlarges the model of --start-from; give both")

    def is_sweep(self) -> bool:
        """Return whether the options ask for a sweep, or to go on with that in OUT."""
        from diff_core.train.sweep import SWEEP

        return self.sweep is not None or self.resume and (self.out / SWEEP).exists()


@dataclass(frozen=True)
class Task:
    """A training command of a domain; see `training_command`."""

    name: str
    module: str
    default: Path
    shipped: Path | None
    command: str

    def run(self, choices: Choices, inputs: Any) -> int:
        """Train, and return the exit code; a fault is one line on standard error."""
        prefix = self.command if is_first() else f"{self.command}, process {rank()}"
        log_lines(prefix)
        choices.check()
        for name in (self.command.partition(".")[0].replace("_", "-"), "diff-core"):
            if lacking := missing(name, "train"):
                advice = f"pip install '{name}[train]'"
                names = ", ".join(lacking)
                print_line(f"{prefix}: training needs {names}; {advice}", sys.stderr)
                return 1
        from diff_core.train.distributed import leave
        from diff_core.train.run import RECIPE, Options, run_job
        from diff_core.train.stop import Stopped, TrainingError
        from diff_core.train.sweep_run import run_sweep

        seed = [] if choices.seed is None else [f"train.seed={choices.seed}"]
        is_shipped = self.shipped and str(choices.start_from) == "shipped"
        begin = self.shipped if is_shipped else choices.start_from
        code, out = 0, choices.out
        options = Options(
            self.name,
            out,
            begin,
            choices.grow,
            choices.dry_run,
            choices.board,
            choices.device,
        )
        try:
            own = out / RECIPE if choices.resume and (out / RECIPE).exists() else None
            recipe = choices.recipe or begin or own or self.default
            settings = [*(choices.overrides or ()), *seed]
            module = import_module(self.module)
            if choices.is_sweep():
                run_sweep(module, recipe, settings, inputs, options, choices.sweep)
            else:
                run_job(module, recipe, settings, inputs, options)
        except Stopped as stopped:
            if is_first():
                print_line(f"{prefix}: {stopped}; go on with --resume", sys.stderr)
            code = stopped.code
        except (ValueError, OSError, MemoryError, TrainingError) as error:
            if choices.debug:
                raise
            print_line(f"{prefix}: {explain(error)}", sys.stderr)
            code = 1
        leave(code)
        return code


def training_command(
    app: typer.Typer,
    name: str,
    module: str,
    default: Path,
    *,
    inputs: type[Any] = Folder,
    shipped: Path | None = None,
    command: str,
    help: str,
    examples: Mapping[str, str] | None = None,
) -> None:
    """Add the sub-command `name`: it trains what `module` builds, to OUT/`name`.safetensors.

    default:  the recipe, where none is given
    inputs:   dataclass of data options, each an Annotated with a typer.Option
    shipped:  the weights that `--start-from shipped` means
    command:  how the app is called, for messages: "diff_audio.train"
    help:     what it trains, one sentence
    examples: of the command, where `app` is an `App`; see `App.command`
    """
    task = Task(name, module, default, shipped, command)

    def run(**given: Any) -> None:
        own = {field.name: given.pop(field.name) for field in dataclasses.fields(Choices)}
        raise typer.Exit(task.run(Choices(**own), inputs(**given)))

    text = (
        f"{help}\n\n"
        f"Writes OUT/{name}.safetensors (averaged weights and model card), OUT/log.jsonl (losses "
        "and scores), OUT/curves.png (the same drawn), OUT/recipe.json (every number of the run) "
        "and OUT/state.safetensors (to resume from). With --sweep, it writes the runs to OUT/runs "
        "and OUT/sweep.csv and OUT/sweep.png, which compare them. "
        f"Several processes: accelerate launch -m {command} {name} ..."
    )
    _declare(run, inputs, Choices)
    more: dict[str, Any] = {"examples": examples} if examples else {}
    app.command(name, help=text, **more)(run)


def _declare(run: Any, *options: type[Any]) -> None:
    """Give a function of **given the fields of dataclasses as its parameters, in their order."""
    parameters: list[inspect.Parameter] = []
    for kind in options:
        hints = get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):
            missing = field.default is dataclasses.MISSING
            parameters.append(
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    annotation=hints[field.name],
                    default=inspect.Parameter.empty if missing else field.default,
                )
            )
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
