"""The sampling loop of categories, and what a sampler is.

A sampler is a frozen dataclass without hidden state. Most of them are *factorised*: in each move
every entry is drawn on its own from a law that depends on the whole state. The law is a method of
its own, `kernel`, so that a walk can also be followed exactly, configuration by configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diff_core.coefficients import floats
from diff_core.condition import Condition
from diff_core.discrete.chain import Chain
from diff_core.discrete.denoiser import CategoricalDenoiser
from diff_core.discrete.draw import categorical
from diff_core.discrete.jumps import Absorbing
from diff_core.grid import check_times
from diff_core.noise import Noise

__all__ = ["Denoise", "Factorised", "OnStep", "Plan", "Sampler", "check_masks", "levels", "sample"]

Denoise = Callable[[Tensor, int], Tensor]
"""denoise(x, k): the probabilities (B, K, *S) of x_0, for a state x (B, *S) at times[k]."""

OnStep = Callable[[int, Tensor, Tensor], None]
"""on_step(k, x, p_0): after step k, x is the state at times[k + 1], p_0 the last probabilities."""


@dataclass(frozen=True)
class Plan:
    """A walk of `chain` down `times`; `alpha` is its alpha there. Step k goes to times[k + 1]."""

    chain: Chain
    times: tuple[float, ...]
    alpha: tuple[float, ...]

    @property
    def steps(self) -> int:
        return len(self.times) - 1

    def time(self, k: int) -> Tensor:
        """times[k] as a tensor () in float64, on the CPU."""
        return torch.tensor(self.times[k], dtype=torch.float64)


class Sampler(Protocol):
    """A frozen dataclass.

    `order` is the order in which the law of the samples converges to that of the denoiser, in the
    length of the steps; 0 for a method that need not converge to it, and infinity for one that has
    it at any number of steps.
    """

    @property
    def order(self) -> float: ...

    def plan(self, chain: Chain, times: Tensor) -> Plan:
        """The walk down `times`; ValueError if it is no grid or the chain is not one for it."""
        ...

    def step(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, noise: Noise) -> Tensor:
        """The state at times[k + 1] from the state x at times[k]."""
        ...


@dataclass(frozen=True)
class Factorised:
    """The base of samplers whose moves draw every entry on its own from `kernel`.

    Move j of step k draws the noise of index k + j 2^32.
    """

    def plan(self, chain: Chain, times: Tensor) -> Plan:
        """The walk down `times`; see `Sampler`."""
        return levels(chain, times)

    def moves(self, k: int, plan: Plan) -> int:
        """The number of moves of step k."""
        return 1

    def kernel(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, move: int = 0) -> Tensor:
        """The law (B, states, *S) that a move of step k draws the next state from."""
        raise NotImplementedError

    def step(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, noise: Noise) -> Tensor:
        """The state at times[k + 1] from the state x at times[k]."""
        for move in range(self.moves(k, plan)):
            law = self.kernel(denoise, x, k, plan, move)
            x = categorical(law, noise(k + move * 2**32, law[:, 0]))
        return x


def sample(
    denoiser: CategoricalDenoiser,
    sampler: Sampler,
    x: Tensor,
    times: Tensor,
    *,
    noise: Noise,
    cond: Condition | None = None,
    fixed: Tensor | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Walk the states x (B, *S) from times[0] to times[-1] and return them there.

    times: (K + 1,), strictly decreasing in [0, 1] (see `diff_core.grid`). At t = 0 no mask is
        left. x is a state at times[0], such as `chain.start(noise(-1, torch.empty(B, *S)))`.
    noise: a source of noise, such as `Keyed`: a row depends on its seed, not on its batch
    fixed: bool (B, *S), true for the entries of x that are given and stay: infilling. Absorbing
        chains only, where it is conditioning: the denoiser always sees what is given
    on_step: called as on_step(k, x, p_0) after each of the K steps; it may raise to stop

    Gradients are off. Raises ValueError for a bad grid, a sampler that is not for the chain, an x
    that is not of its states, and for probabilities of a wrong shape or not a number.
    """
    chain = denoiser.chain
    _check_states(x, chain)
    _check_fixed(fixed, x, chain)
    plan = sampler.plan(chain, times)
    given = x
    last = sound = torch.ones((), device=x.device)

    def kept(x: Tensor) -> Tensor:
        return x if fixed is None else torch.where(fixed, given, x)

    def denoise(x: Tensor, k: int) -> Tensor:
        nonlocal last, sound
        last = denoiser(kept(x), plan.time(k), cond)
        if last.shape != (len(x), chain.categories, *x.shape[1:]):
            raise ValueError(
                f"the denoiser returned shape {tuple(last.shape)}; expected "
                f"{(len(x), chain.categories, *x.shape[1:])}"
            )
        sound = sound * last.isfinite().all()
        return last

    with torch.no_grad():
        for k in range(plan.steps):
            x = kept(sampler.step(denoise, x, k, plan, noise))
            if on_step is not None:
                on_step(k, x, last)
        # a draw from NaN would be a category like any other; read once, so that no step waits
        if not bool(sound):
            raise ValueError("the denoiser returned probabilities that are not finite numbers")
    return x


def levels(chain: Chain, times: Tensor) -> Plan:
    """The plan of a checked grid. Raises ValueError for a bad one."""
    times = check_times(times)
    return Plan(chain, floats(times), floats(chain.alpha(times)))


def check_masks(owner: object, chain: Chain) -> Absorbing:
    """The chain, which has to be absorbing for the sampler `owner`; ValueError if it is not."""
    if not isinstance(chain, Absorbing):
        raise ValueError(f"{owner} unmasks entries; expected an Absorbing chain, not {chain}")
    return chain


def _check_states(x: Tensor, chain: Chain) -> None:
    if x.dtype != torch.int64 or x.ndim == 0:
        raise ValueError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; expected states (B, ...) of dtype int64"
        )
    if x.numel() and not (0 <= int(x.min()) and int(x.max()) < chain.states):
        raise ValueError(
            f"x goes from {int(x.min())} to {int(x.max())}; expected states from 0 to "
            f"{chain.states - 1}"
        )


def _check_fixed(fixed: Tensor | None, x: Tensor, chain: Chain) -> None:
    if fixed is None:
        return
    if not isinstance(chain, Absorbing):
        raise ValueError(
            f"fixed is given with {chain}; expected an Absorbing chain, where a given entry is "
            "one that is not masked"
        )
    if fixed.dtype != torch.bool or fixed.shape != x.shape:
        raise ValueError(
            f"fixed is {fixed.dtype} {tuple(fixed.shape)}; expected bool {tuple(x.shape)}"
        )
    if bool((x[fixed] == chain.mask).any()):
        raise ValueError("fixed is true where x is masked; expected categories there")
