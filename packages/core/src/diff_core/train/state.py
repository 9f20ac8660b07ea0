"""The state of a training run on disk: model, averages, optimiser and progress in one file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diff_core.checkpoint.description import Json, parse_description
from diff_core.checkpoint.tensors import CheckpointError, read_tensors, write_tensors
from diff_core.files import replacing
from diff_core.train.batches import Batches
from diff_core.train.config import TrainConfig
from diff_core.train.distributed import Processes, like, whole
from diff_core.train.ema import Ema
from diff_core.train.stop import TrainingError

__all__ = ["Progress", "State", "difference", "read_progress", "refuse_other"]

_FORMAT = "diff_core_state/1"
_NAME = "state.safetensors"


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    step:     steps done
    loss:     moving average over the last fifty or so; None before the first step
    best:     the best value of the score by which models are chosen, and its step (0: none yet)
    waited:   validations since
    validated: step of the last validation, -1 before the first; None where it was not recorded
    settings: what decides about the numbers of the run that wrote this
    """

    step: int = 0
    loss: float | None = None
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    validated: int | None = None
    settings: dict[str, Json] = field(default_factory=dict[str, Json])

    @classmethod
    def of(
        cls, config: TrainConfig, batches: Batches, among: Processes, dtype: torch.dtype | None
    ) -> Progress:
        """Return the progress of a run that begins."""
        settings: dict[str, Json] = asdict(config)
        for name in _NO_MATTER:
            del settings[name]
        settings["precision"] = "float32" if dtype is None else "bfloat16"
        settings["accumulate"] = batches.parts
        return cls(validated=-1, settings=settings | {"processes": among.count})

    def after(self, before: Progress) -> tuple[Progress, tuple[str, ...]]:
        """Return the progress of this run, which goes on from `before`, and what then differs."""
        now, then = self.settings, before.settings
        changes = [
            f"{name} is {json.dumps(now[name])}, was {json.dumps(then[name])}"
            for name in now
            if name in then and now[name] != then[name]
        ]
        same = all(now[name] == then.get(name) for name in ("accumulate", "batch_size", "seed"))
        if then and now["processes"] != then["processes"]:
            changes.append(
                "the same batches in the same parts: equal up to rounding"
                if same
                else "the batch is cut into other parts: its noise is drawn anew"
            )
        # a state that does not say so is of a run that had its validations
        validated = before.step if before.validated is None else before.validated
        return replace(before, settings=now, validated=validated), tuple(changes)

    def stepped(self, loss: float | None) -> Progress:
        """After one more step, of that loss; None for a step that was skipped."""
        if loss is None:
            mean = self.loss
        else:
            mean = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        return replace(self, step=self.step + 1, loss=mean)

    def judged(self, scores: Mapping[str, float], config: TrainConfig) -> Progress:
        """After a validation: the best score so far, and how long ago that was.

        Raises TrainingError if there is no score of the name `config.best`.
        """
        if not config.best:
            return self
        if config.best not in scores:
            raise TrainingError(
                f"best is {config.best!r}; expected a score of the validation: {', '.join(scores)}"
            )
        value = scores[config.best]
        sign = 1 if config.better == "higher" else -1
        if value == value and (self.best is None or sign * value > sign * self.best):
            return replace(self, best=value, best_step=self.step, waited=0)
        return replace(self, waited=self.waited + 1)

    def lacks_validation(self, config: TrainConfig, *, score_start: bool = False) -> bool:
        """Return whether a validation is due after this step and missing: a run may end in it."""
        if self.validated is None or self.validated >= self.step:
            return False
        if self.step == 0:
            return score_start
        return self.step % config.validate_every == 0 or self.step == config.steps

    def is_over(self, config: TrainConfig) -> bool:
        """Return whether the score has not improved for as long as the settings allow."""
        return 0 < config.stop_after <= self.waited


_NO_MATTER = (
    *("workers", "log_every", "validate_every", "checkpoint_every", "keep", "device", "patience"),
    *("compile", "best", "better", "stop_after", "snapshot_every"),
)


@dataclass(frozen=True)
class State:
    """All that a run needs to go on, live; `directory` holds it as `state.safetensors`.

    description: of the model, before a launcher wrapped its parts (FSDP puts classes of its own)
    """

    directory: Path
    description: Json
    model: nn.Module
    averages: Mapping[str, Ema[Any]]
    optimizer: torch.optim.Optimizer

    @property
    def path(self) -> Path:
        """The path of the last checkpoint."""
        return self.directory / _NAME

    def save(self, progress: Progress, *, keep: int = 1, write: bool = True) -> None:
        """Write a checkpoint, whole or not at all; all processes must call it, one writes.

        The last `keep` stay, those before the last as `state-STEP.safetensors`. Raises OSError.
        """
        tensors = self._collect()
        if not write:
            return
        metadata = {
            "format": _FORMAT,
            "step": str(progress.step),
            "model": json.dumps(self.description),
            "progress": json.dumps(asdict(progress)),
        }
        if keep > 1 and self.path.is_file():
            done = read_progress(self.path).step
            if done != progress.step:
                _copy(self.path, self.directory / f"state-{done:08d}.safetensors")
        write_tensors(self.path, tensors, metadata)
        for old in sorted(self.directory.glob("state-*.safetensors"))[: -(keep - 1) or None]:
            old.unlink()

    def load(self) -> Progress:
        """Restores the last checkpoint, in place.

        Raises CheckpointError if the file is damaged or belongs to another model.
        """
        metadata, tensors = read_tensors(self.path)
        _refuse_other(self.path, metadata, self.description)
        progress = _progress(self.path, metadata)
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        for part in ("model", *(name for name in self.averages if name in parts)):
            self._check_shapes(parts.get(part, {}))
        with torch.no_grad():
            for name, live in self.model.state_dict().items():
                live.copy_(like(parts["model"][name], live))
        for name, average in self.averages.items():
            # an average that is new in this run begins with the weights as they are
            average.restore(parts.get(name, parts["model"]))
        self._restore_optimizer(parts.get("optimizer", {}))
        return progress

    def _check_shapes(self, found: Mapping[str, Tensor]) -> None:
        """Raise CheckpointError unless these are the tensors of the model."""
        expected = {name: tuple(value.shape) for name, value in self.model.state_dict().items()}
        shapes = {name: tuple(value.shape) for name, value in found.items()}
        if wrong := sorted(n for n in expected | shapes if expected.get(n) != shapes.get(n)):
            raise CheckpointError(
                f"{self.path}: damaged: {len(wrong)} tensors do not fit the model, the first is "
                f"{wrong[0]}"
            )

    def _collect(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for part, average in self.averages.items():
            state = average.gather().state_dict()
            tensors |= {f"{part}.{name}": value for name, value in state.items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value)
        # safetensors refuses tensors that share memory; a state may hold such (tied weights).
        return {
            name: whole(value).detach().cpu().clone().contiguous()
            for name, value in tensors.items()
        }

    def _restore_optimizer(self, saved: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            prefix = f"{name}."
            state: dict[str, Any] = {
                key.removeprefix(prefix): like(value, parameter) if value.ndim else value
                for key, value in saved.items()
                if key.startswith(prefix) and "." not in key.removeprefix(prefix)
            }
            for key, value in state.items():
                if value.ndim and value.shape != parameter.shape:
                    raise CheckpointError(f"{self.path}: damaged: {key} of {name} does not fit")
            if state:
                self.optimizer.state[parameter] = state


def _copy(path: Path, to: Path) -> None:
    """Another name for a file that will be replaced; a copy where the disk knows no such thing."""
    to.unlink(missing_ok=True)
    try:
        os.link(path, to)
    except OSError:
        with replacing(to) as temporary:
            shutil.copyfile(path, temporary)


def refuse_other(path: Path, description: Json) -> None:
    """Raise CheckpointError for a checkpoint that is damaged, or not of the model described."""
    _refuse_other(path, read_tensors(path, only_metadata=True)[0], description)


def _refuse_other(path: Path, metadata: Mapping[str, str], description: Json) -> None:
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: not a training state of diff_core")
    try:
        found = parse_description(metadata.get("model", ""))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if unlike := difference(found, description):
        raise CheckpointError(f"{path}: is the state of another model: {unlike}")


def read_progress(path: Path) -> Progress:
    """Return the progress of the run that a checkpoint belongs to. Raises CheckpointError."""
    metadata, _ = read_tensors(path, only_metadata=True)
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: not a training state of diff_core")
    return _progress(path, metadata)


def _progress(path: Path, metadata: Mapping[str, str]) -> Progress:
    try:
        if "progress" not in metadata:  # written before there was more to it than the step
            return Progress(step=int(metadata["step"]))
        return Progress(**json.loads(metadata["progress"]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged: its progress cannot be read ({error})") from error


def difference(found: Json, expected: Json, *, most: int = 3) -> str:
    """Return the differences of two models: "network.channels is [8, 16], here [8, 8]"."""
    one, two = _flat(found), _flat(expected)
    names = [n for n in one | two if one.get(n) != two.get(n)]
    lines = [f"{n} is {one.get(n, 'absent')}, here {two.get(n, 'absent')}" for n in names[:most]]
    return "; ".join(lines + [f"and {len(names) - most} more"] * (len(names) > most))


def _flat(description: Json, above: str = "") -> dict[str, str]:
    if not isinstance(description, dict):
        return {above or "model": json.dumps(description)}
    flat: dict[str, str] = {}
    for key, value in description.items():
        flat |= _flat(value, f"{above}.{key}" if above else key)
    return flat
