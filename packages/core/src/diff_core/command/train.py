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
import logging
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from diff_core.command import Device, explain
from diff_core.command.options import Debug
from diff_core.command.team import is_first, rank

__all__ = ["Folder", "training_command"]


@dataclass(frozen=True)
class Folder:
    """The inputs of a command that reads one folder."""

    data: Annotated[Path, typer.Option(help="Folder of training data.")]
    manifest: Annotated[
        Path | None, typer.Option(help="JSON lines that say more of the files.")
    ] = None


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
) -> None:
    """Adds the sub-command `name`: trains what `module` builds, to OUT/`name`.safetensors.

    default: the recipe, where none is given
    inputs:  dataclass of data options, each an Annotated with a typer.Option
    shipped: the weights that `--start-from shipped` means
    command: how the app is called, for messages: "diff_audio.train"
    help:    what it trains, one sentence
    """

    def run(
        out: Annotated[Path, typer.Option(help="Folder for weights, log and state.")],
        overrides: Annotated[
            list[str] | None,
            typer.Argument(metavar="[KEY=VALUE]...", help="Settings: train.steps=1000."),
        ] = None,
        recipe: Annotated[
            Path | None,
            typer.Option(
                help="YAML with every number of the run, or a model: its own recipe. Default: "
                "the one that comes with the package; with --start-from that of the model, with "
                "--resume that of the run."
            ),
        ] = None,
        start_from: Annotated[
            Path | None,
            typer.Option(help="Weights to begin with: a file, or `shipped`. For fine-tuning."),
        ] = None,
        grow: Annotated[
            bool,
            typer.Option(
                "--grow", help="Let the model have more than --start-from: blocks, outputs."
            ),
        ] = False,
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on from the state in OUT.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Show the plan, time ten steps, write no run.")
        ] = False,
        board: Annotated[
            bool, typer.Option("--board", help="Write TensorBoard's files to OUT/board.")
        ] = False,
        seed: Annotated[
            int | None, typer.Option(min=0, help="Of all randomness; default: the recipe's.")
        ] = None,
        device: Annotated[Device, typer.Option(help="Where to train.")] = "auto",
        debug: Debug = False,
        **given: Any,
    ) -> None:
        prefix = command if is_first() else f"{command}, process {rank()}"
        logging.basicConfig(level=logging.WARNING, format=f"{prefix}: %(message)s")
        held = (out / "state.safetensors").exists()
        if held != resume and not (dry_run and not resume):
            raise typer.BadParameter(
                f"{out} holds a run; go on with it by --resume, or give another --out"
                if held
                else f"{out} holds no run to --resume"
            )
        if resume and start_from:
            raise typer.BadParameter("--resume goes on from OUT's state; leave --start-from out")
        if grow and not start_from:
            raise typer.BadParameter("--grow enlarges the model of --start-from; give both")
        from diff_core.train.distributed import leave
        from diff_core.train.run import RECIPE, Options, run_job
        from diff_core.train.stop import Stopped, TrainingError

        settings = [*(overrides or ()), *([] if seed is None else [f"train.seed={seed}"])]
        begin = shipped if shipped and str(start_from) == "shipped" else start_from
        options = Options(name, out, begin, grow, dry_run, board, device)
        code = 0
        try:
            own = out / RECIPE if resume and (out / RECIPE).exists() else None
            chosen = recipe or begin or own or default
            run_job(import_module(module), chosen, settings, inputs(**given), options)
        except Stopped as stopped:
            if is_first():
                print(f"{prefix}: {stopped}; go on with --resume", file=sys.stderr)
            code = stopped.code
        except (ValueError, OSError, MemoryError, TrainingError) as error:
            if debug:
                raise
            print(f"{prefix}: {explain(error)}", file=sys.stderr)
            code = 1
        leave(code)
        raise typer.Exit(code)

    run.__doc__ = (
        f"{help}\n\n"
        f"Writes OUT/{name}.safetensors (averaged weights and model card), OUT/log.jsonl (losses "
        "and scores), OUT/curves.png (the same drawn), OUT/recipe.json (every number of the run) "
        "and OUT/state.safetensors (to resume from). "
        "Several processes: accelerate launch -m " + f"{command} {name} ..."
    )
    _add_options(run, inputs)
    app.command(name)(run)


def _add_options(run: Any, inputs: type[Any]) -> None:
    """Puts the fields of `inputs` where the command takes **given, before its own options."""
    hints = get_type_hints(inputs, include_extras=True)
    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=inspect.Parameter.empty
            if field.default is dataclasses.MISSING
            else field.default,
        )
        for field in dataclasses.fields(inputs)
    ]
    own_hints = get_type_hints(run, include_extras=True)
    own = [
        parameter.replace(
            kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[parameter.name]
        )
        for parameter in inspect.signature(run).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    run.__signature__ = inspect.Signature([*added, *own])
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*added, *own]}
