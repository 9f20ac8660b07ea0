"""A training job from its recipe to its model file."""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diff_core.checkpoint import Card, open_checkpoint, parse_card, save
from diff_core.checkpoint.description import describe
from diff_core.checkpoint.tensors import CheckpointError
from diff_core.files import write_json
from diff_core.lines import print_line
from diff_core.train.batches import Batches, load
from diff_core.train.config import TrainConfig
from diff_core.train.curves import draw_curves
from diff_core.train.distributed import Processes, guarded, processes
from diff_core.train.folder import run_folder
from diff_core.train.job import Job
from diff_core.train.log import hours_trained
from diff_core.train.loop import train
from diff_core.train.precision import forward_in, narrow_dtype
from diff_core.train.recipe import dump_recipe, read_recipe
from diff_core.train.state import difference, read_progress, refuse_other
from diff_core.train.step import Stepper
from diff_core.train.watch import Watched

__all__ = ["RECIPE", "Options", "run_job", "start_from"]

RECIPE = "recipe.json"
"""In OUT: every number of the run, with which --resume goes on."""

_REHEARSAL = 10


@dataclass(frozen=True)
class Options:
    """The options of the training command beside recipe and data; `until` is that of `train`."""

    name: str
    out: Path
    start_from: Path | None = None
    grow: bool = False
    dry_run: bool = False
    board: bool = False
    device: str = "auto"
    until: int | None = None
    quiet: bool = False


def run_job(
    module: Any, recipe_path: Path, overrides: Sequence[str], inputs: Any, options: Options
) -> None:
    """Read the recipe, build what `module` describes, train, and write OUT/NAME.safetensors.

    The plan goes to standard output. Raises what `read_recipe`, `module.build` and `train` do.
    """
    recipe: Any = read_recipe(module.Recipe, recipe_path, overrides)
    among = processes(options.device)
    config = replace(recipe.train, device=among.device.type)
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    writes = among.rank == 0 and not options.dry_run
    with (
        guarded(among, f"the last checkpoint, if any, is in {out}"),
        run_folder(out) if writes else contextlib.nullcontext(),
    ):
        with among.first():  # it decodes and caches what the others then find
            torch.manual_seed(config.seed)
            job: Job[Any] = module.build(recipe, inputs, out)
        before = _past(job.model, options, write=writes)
        if among.rank == 0 and not options.quiet:
            _print([*job.plan, *_plan(job, config, among)])
        if options.dry_run:
            lines = _rehearse(job, config, among)
            if among.rank == 0:
                _print(lines)
        else:
            _remember(recipe, job.model, out, write=writes)
            _train(job, replace(recipe, train=config), config, among, options, before)
    among.close()


def _remember(recipe: Any, model: nn.Module, out: Path, *, write: bool) -> None:
    """Keep the recipe in OUT, and report the differences of a run that goes on. The loop reports
    changes in `train`: it knows which of them change the numbers.

    Raises CheckpointError if OUT holds the state of another model: its recipe then stays.
    """
    path, now, state = out / RECIPE, dump_recipe(recipe), out / "state.safetensors"
    if state.exists():
        refuse_other(state, describe(model))
    if not write:
        return
    if state.exists() and path.exists():
        try:
            then = json.loads(path.read_text())
        except (ValueError, RecursionError):  # no reason not to go on: the state is whole
            then = {}
            print_line(f"{path}: damaged; written anew", sys.stderr)
        if unlike := difference(*({**all_of, "train": None} for all_of in (then, now))):
            print_line(f"resumed with other settings: {unlike}", sys.stderr)
    write_json(path, now)


def _train(
    job: Job[Any],
    recipe: Any,
    config: TrainConfig,
    among: Processes,
    options: Options,
    before: Card | None,
) -> None:
    out = options.out
    weights, log = out / f"{options.name}.safetensors", out / "log.jsonl"
    watched = Watched(job.validate, job.watch, config) if job.watch else None
    kept: list[int] = []

    def keep(average: Any, step: int) -> None:
        """A run that is cut short leaves weights that can be used."""
        model = copy.deepcopy(average).cpu()
        if job.dtype is not None:  # as it is saved, so that the scores are those of the file
            model = model.to(job.dtype).float()
        hours = hours_trained(log)
        card = job.card(model, step, hours)
        if watched:
            card = replace(card, scores={**card.scores, **watched.told(model, step)})
        card = replace(card, steps=step, hours=hours, recipe=dump_recipe(recipe))
        save(weights, model, _descended(card, before), dtype=job.dtype)
        kept.append(step)
        _draw(log, out / "curves.png")

    average = train(
        job.model,
        job.objective,
        job.samples,
        config,
        directory=out,
        validate=watched or job.validate,
        keep=keep,
        collate=job.collate,
        board=(job.show or True) if options.board else False,
        among=among,
        score_start=before is not None,
        until=options.until,
    )
    if among.rank:
        return
    if not weights.exists() or (not config.best and not kept):  # resumed after its last step
        keep(average, read_progress(out / "state.safetensors").step)
    _draw(log, out / "curves.png")
    if not options.quiet:
        print_line(str(weights))


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        print_line(line)


def _draw(log: Path, picture: Path) -> None:
    """Draw the log; a picture that cannot be drawn is reported and stops nothing."""
    try:
        draw_curves(log, picture)
    except Exception as error:
        print_line(f"{picture}: not drawn ({' '.join(str(error).split())})", sys.stderr)


def start_from(path: Path, model: nn.Module, *, grow: bool = False) -> Card:
    """Give a model the weights of a checkpoint, and return the checkpoint's card.

    grow: the model may have parameters that the checkpoint lacks, and further rows (of the first
          axis) of those it has, and keeps them as they are: blocks of a kind that begins as the
          identity, and outputs that begin as zero, make a trained model larger

    Raises CheckpointError if the file is none, or of another model; with `grow`, if it holds a
    tensor for which the model has no place.
    """
    card, description, tensors = open_checkpoint(path)
    state = model.state_dict()
    if grow:
        unlike = _unfit(tensors, state)
    else:
        unlike = difference(description, describe(model))
    if unlike:
        raise CheckpointError(f"{path}: holds another model: {unlike}")
    for name, value in tensors.items():
        held = state[name]
        state[name] = torch.cat([value.to(held), held[len(value) :]]) if held.ndim else value
    model.load_state_dict(state)
    return card


def _unfit(tensors: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """The first tensor for which a larger model has no place, "" if there is none."""
    for name, value in tensors.items():
        if name not in state:
            return f"{name} has no place here"
        shape, room = tuple(value.shape), tuple(state[name].shape)
        if shape != room and (shape[1:] != room[1:] or shape > room):
            return f"{name} is {shape}, here {room}"
    return ""


def _past(model: nn.Module, options: Options, *, write: bool) -> Card | None:
    """The card of the model that the run began with, if any; OUT remembers it for --resume."""
    memory = options.out / "start.json"
    if options.start_from:
        card = start_from(options.start_from, model, grow=options.grow)
        if write:
            write_json(memory, asdict(card))
        return card
    # without a state, it is the memory of a run that came to nothing
    resumed = memory.exists() and (options.out / "state.safetensors").exists()
    return parse_card(memory, memory.read_text(errors="replace")) if resumed else None


def _descended(card: Card, before: Card | None) -> Card:
    """Return the card of a fine-tuned model: data and licences of earlier trainings stay in it.

    Every line of theirs begins with one "start: ", and stands once, however long the chain is.
    """
    if before is None:
        return card
    lines = (f"start: {line.removeprefix('start: ')}" for line in before.data)
    earlier = dict.fromkeys(zip_longest(lines, before.licences, fillvalue=""))
    return replace(
        card,
        data=tuple(line for line, _ in earlier if line) + card.data,
        licences=tuple(licence for _, licence in earlier if licence) + card.licences,
        steps=before.steps + card.steps,
        hours=round(before.hours + card.hours, 2),
        recipe={**card.recipe, "start": before.recipe},
    )


def _plan(job: Job[Any], config: TrainConfig, among: Processes) -> list[str]:
    batches = Batches.of(config, among)
    narrow = narrow_dtype(config.precision, among.device) is not None
    count = sum(parameter.numel() for parameter in job.model.parameters()) / 1e6
    each = len(batches.mine)
    return [
        f"{count:.2f} M parameters, {'bfloat16' if narrow else 'float32'} on {among.device.type}",
        f"{config.steps} steps of {config.batch_size} items: {among.count} "
        f"process{'es' * (among.count > 1)} with {each} part{'s' * (each > 1)} each",
    ]


def _rehearse(job: Job[Any], config: TrainConfig, among: Processes) -> list[str]:
    """Ten steps, for their time and memory; nothing of them is kept."""
    batches = Batches.of(config, among)
    dtype = narrow_dtype(config.precision, among.device)
    model = job.model.to(among.device).train()
    times = [time.monotonic()]
    with forward_in(model, dtype, among.device, compiled=config.compile):
        stepper = Stepper(model, job.objective, config, batches, among)
        steps = load(
            job.samples,
            batches,
            range(_REHEARSAL),
            workers=config.workers,
            collate=job.collate,
        )
        for step, parts in enumerate(steps):
            stepper.take(step, parts)
            times.append(time.monotonic())
    each = sorted(after - now for now, after in zip(times, times[1:], strict=False))
    seconds = each[len(each) // 2]
    memory = _most_memory(among.device)
    used = "not measured on this system" if memory is None else f"{memory / 2**30:.2f} GiB at most"
    return [
        f"memory: {used}" + ", a process" * (memory is not None),
        f"time: {seconds:.3g} s a step, {seconds * config.steps / 3600:.2g} h for "
        f"{config.steps} steps, without validation",
    ]


def _most_memory(device: torch.device) -> int | None:
    """Bytes of the device that this process has used at once; on a CPU, of the whole process.

    None where the system does not count them (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ModuleNotFoundError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
