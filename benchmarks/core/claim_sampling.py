"""Claims about samples: each function measures one, for one split and seed."""

from __future__ import annotations

import gc
import statistics

import torch
from claim_parts import Digits, draw, learn, times
from claim_training import copies as share_of_copies
from torch import Tensor

from diff_core import Ancestral, Ddim, Denoiser, Heun, Keyed, karras, uniform
from diff_core.sample import DpmSolverPP2M, UniPC, sample

_learned: dict[int, Denoiser] = {}


def plain(digits: Digits, seed: int) -> Denoiser:
    """Return the denoiser of all defaults, trained once for each seed."""
    if seed not in _learned:
        _learned[seed] = learn(digits.known, seed)
    return _learned[seed]


def grids(digits: Digits, seed: int) -> dict[str, float]:
    """One denoiser, ten steps: three grids, or three samplers."""
    denoiser = plain(digits, seed)
    path = denoiser.schedule
    places = {
        "equal steps of log-SNR": times(path, 10),
        "Karras": karras(path, 10),
        "equal steps of t": uniform(10),
    }
    by_grid = {n: digits.score(draw(denoiser, seed, grid=g)) for n, g in places.items()}
    by_sampler = {
        name: digits.score(draw(denoiser, seed, grid=times(path, 10), sampler=sampler))
        for name, sampler in (("Ddim", Ddim()), ("2M", DpmSolverPP2M()), ("UniPC", UniPC()))
    }
    return {
        **by_grid,
        **by_sampler,
        "spread between grids": statistics.stdev(by_grid.values()),
        "spread between samplers": statistics.stdev(by_sampler.values()),
    }


def modes(digits: Digits, seed: int) -> dict[str, float]:
    """Groups of digits with less than a quarter of their share."""
    made = draw(plain(digits, seed), seed)
    return {
        "samples": digits.missed(made),
        "other real digits": digits.missed(digits.unseen[: len(made)]),
    }


def rare(digits: Digits, seed: int) -> dict[str, float]:
    """One digit in fifty inverted, on a bright ground: their share among the samples."""
    rows = digits.known.clone()
    rows[::50] *= -1
    made = draw(learn(rows, seed), seed, count=1000)
    return {
        "share in the data": 100 * float((rows.mean(1) > 0).float().mean()),
        "share in the samples": 100 * float((made.mean(1) > 0).float().mean()),
    }


def steps(digits: Digits, seed: int) -> dict[str, float]:
    """One denoiser, `Ancestral` with more and more steps."""
    return {
        f"{count} steps": digits.score(
            draw(plain(digits, seed), seed, steps=count, sampler=Ancestral())
        )
        for count in (5, 20, 80, 320)
    }


def copies(digits: Digits, seed: int) -> dict[str, float]:
    """Copies of learned digits among the samples of `Ancestral`."""
    return {
        f"{count} steps": share_of_copies(
            draw(plain(digits, seed), seed, steps=count, sampler=Ancestral()), digits.known
        )
        for count in (20, 320)
    }


def _tempered(digits: Digits, seed: int) -> dict[str, Tensor]:
    return {
        f"temperature {value:g}": draw(
            plain(digits, seed), seed, steps=50, sampler=Ancestral(temperature=value)
        )
        for value in (0.7, 1.0, 1.2)
    }


def temperature(digits: Digits, seed: int) -> dict[str, float]:
    """Mean distance of two samples."""
    made = {**_tempered(digits, seed), "real digits": digits.unseen}
    return {name: float(torch.pdist(rows).mean()) for name, rows in made.items()}


def qualities(digits: Digits, seed: int) -> dict[str, float]:
    """Mean distance to the nearest digit that was not learned from."""
    return {
        name: float(torch.cdist(rows, digits.unseen).amin(1).mean())
        for name, rows in _tempered(digits, seed).items()
    }


def memory(digits: Digits, seed: int) -> dict[str, float]:
    """The most that tensors take between two steps, in kB, beyond those that were there."""
    found: dict[str, float] = {}
    denoiser = plain(digits, seed)
    for count in (10, 50, 200):
        before, most = _alive(), 0

        def note(k: int, x: Tensor, x_0: Tensor) -> None:
            nonlocal most
            if k in (8, 48, 198):
                most = max(most, _alive() - before)  # noqa: B023

        noise = Keyed(range(100))
        grid = times(denoiser.schedule, count)
        sample(denoiser, Heun(), noise(-1, torch.empty(100, 64)), grid, on_step=note)
        found[f"{count} steps"] = most / 1000
    return found


def _alive() -> int:
    """Bytes of all tensors alive."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in gc.get_objects()
        if isinstance(tensor, Tensor)
    }
    return sum(storages.values())
