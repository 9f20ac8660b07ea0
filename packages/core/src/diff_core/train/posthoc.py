r"""Post-hoc averages: the length of an EMA chosen after training.

Analyzing and Improving the Training Dynamics of Diffusion Models (Karras et al., EDM2, 2024),
section 3 and appendix C. The power-function average after step t,

    w(t) = (gamma + 1) / t^(gamma + 1)  integral_0^t s^gamma w_model(s) ds ,

keeps the same shape as a run goes on: its length is a share of the run, sigma_rel = the standard
deviation of its profile, in units of t (eq. 2, 3 and 12). It is updated with the decay
(1 - 1/t)^(gamma + 1). While training, two lengths are averaged and written now and then; a
combination of those snapshots, by least squares between the profiles, is the average of any other
length (eq. 17, 20).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from diff_core.checkpoint.tensors import CheckpointError, read_tensors, write_tensors
from diff_core.train.ema import Ema

__all__ = ["LENGTHS", "Snapshots", "exponent", "power_decay", "reconstruct"]

LENGTHS = (0.05, 0.10)
"""sigma_rel of the averages that are kept while training (EDM2, section 3.2)."""

_FORMAT = "diff_core_averages/1"


def exponent(length: float) -> float:
    """gamma of a profile of relative length sigma_rel; raises ValueError outside (0, 0.2886).

    sigma_rel^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)), eq. 3 (at gamma = 0, all steps weigh
    the same).
    """
    if not 0 < length < 12**-0.5:
        raise ValueError(f"length is {length}; expected more than 0 and less than {12**-0.5:.4f}")
    roots = np.roots([1, 7, 16 - length**-2, 12 - length**-2])
    return float(roots[np.isreal(roots)].real.max())


def power_decay(gamma: float, step: int) -> float:
    """Return the average's decay at step `step` (from 0): (1 - 1/t)^(gamma + 1), t = step + 1."""
    return (1 - 1 / (step + 1)) ** (gamma + 1)


class Snapshots:
    """The averages of `LENGTHS` of a model, written to `directory`/averages every `every` steps.

    Does nothing if `every` is 0.
    """

    def __init__(self, model: nn.Module, every: int, directory: Path) -> None:
        self.every = every
        self.folder = directory / "averages"
        self.averages: dict[str, Ema[Any]] = {}
        for length in LENGTHS if every else ():
            gamma = exponent(length)
            self.averages[f"average_{length:g}".replace(".", "_")] = Ema(
                model, lambda step, gamma=gamma: power_decay(gamma, step)
            )

    def take(self, step: int, *, last: bool, write: bool) -> None:
        """After `step` steps, if one is due; all processes must call it, one writes."""
        if not self.every or (step % self.every and not last):
            return
        tensors: dict[str, Tensor] = {}
        for length, average in zip(LENGTHS, self.averages.values(), strict=True):
            for name, value in average.gather().state_dict().items():
                tensors[f"{length:g}/{name}"] = value.detach().cpu().clone().contiguous()
        if write:
            self.folder.mkdir(exist_ok=True)
            metadata = {"format": _FORMAT, "step": str(step)}
            write_tensors(self.folder / f"{step:08d}.safetensors", tensors, metadata)


def reconstruct(directory: Path, length: float, step: int | None = None) -> dict[str, Tensor]:
    """The average of relative length `length` after `step` steps (default: of the last snapshot).

    directory: of the run, or its `averages`. Returns a state dictionary, float32; integer tensors
    are those of the last snapshot.
    Raises ValueError for a length out of range, or a step before the first snapshot, and
    CheckpointError for snapshots that are damaged or missing.
    """
    folder = directory / "averages" if (directory / "averages").is_dir() else directory
    steps = sorted(int(path.stem) for path in folder.glob("[0-9]*.safetensors"))
    if not steps:
        raise CheckpointError(f"{folder}: no snapshots; train with train.snapshot_every")
    last = steps[-1] if step is None else step
    used = [s for s in steps if s <= last]
    if not used:
        raise ValueError(f"step is {last}; expected at least that of a snapshot, {steps[0]}")
    profiles = [(s, exponent(kept)) for s in used for kept in LENGTHS]
    weights = solve(profiles, (last, exponent(length)))
    total: dict[str, Tensor] = {}
    for index, at in enumerate(used):
        metadata, tensors = read_tensors(folder / f"{at:08d}.safetensors")
        if metadata.get("format") != _FORMAT:
            raise CheckpointError(f"{folder}/{at:08d}.safetensors: no snapshot of averages")
        for which, kept in enumerate(LENGTHS):
            weight = float(weights[index * len(LENGTHS) + which])
            for name, value in tensors.items():
                prefix, _, rest = name.partition("/")
                if float(prefix) != kept:
                    continue
                if value.is_floating_point():
                    part = value.double() * weight
                    total[rest] = total[rest] + part if rest in total else part
                else:
                    total[rest] = value
    return {n: v.float() if v.is_floating_point() else v for n, v in total.items()}


def solve(
    profiles: Sequence[tuple[float, float]], wanted: tuple[float, float]
) -> NDArray[np.float64]:
    """Weights with which profiles (t, gamma) come closest to the one that is wanted, eq. 20."""
    gram = np.array([[_product(a, b) for b in profiles] for a in profiles])
    target = np.array([_product(a, wanted) for a in profiles])
    return np.linalg.lstsq(gram, target, rcond=None)[0]


def _product(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Integral of the product of two profiles, eq. 17 and the paper's listing 3."""
    (time, gamma), (other, delta) = a, b
    shorter = min(time, other)
    # in logarithms: t^gamma overflows
    logarithm = (
        math.log(gamma + 1)
        + math.log(delta + 1)
        + (gamma + delta + 1) * math.log(shorter)
        - (gamma + 1) * math.log(time)
        - (delta + 1) * math.log(other)
    )
    return math.exp(logarithm) / (gamma + delta + 1)
