"""Diffusion of categories: text, labels, label maps.

A chain takes the place of the schedule, the probability of every category that of E[x_0 | x_t];
times, grids and noise are those of the Gaussian core.

    chain = Absorbing(categories=65)
    denoiser = FromLogits(network, chain)        # trained with `EvidenceBound`
    noise = Keyed(range(4))
    x = chain.start(noise(-1, torch.empty(4, 256)))
    text = sample(denoiser, Ancestral(), x, uniform(128), noise=noise)

with `sample` from `diff_core.discrete.sample`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_core.discrete.chain import Chain
    from diff_core.discrete.denoiser import CategoricalDenoiser, CategoricalNetwork, FromLogits
    from diff_core.discrete.draw import categorical, one_hot, sharpen
    from diff_core.discrete.exact import ExactCategorical, Law
    from diff_core.discrete.guidance import CategoricalCfg
    from diff_core.discrete.jumps import Absorbing, Uniform
    from diff_core.discrete.likelihood import bits_per_token, evidence_bound
    from diff_core.discrete.objective import EvidenceBound, Hybrid
    from diff_core.discrete.rates import RateMatrix, neighbours
    from diff_core.discrete.sample import (
        Ancestral,
        ConfidenceOrdered,
        FirstHitting,
        PredictorCorrector,
        Remasking,
        Sampler,
        TauLeaping,
    )

__all__ = [
    "Absorbing",
    "Ancestral",
    "CategoricalCfg",
    "CategoricalDenoiser",
    "CategoricalNetwork",
    "Chain",
    "ConfidenceOrdered",
    "EvidenceBound",
    "ExactCategorical",
    "FirstHitting",
    "FromLogits",
    "Hybrid",
    "Law",
    "PredictorCorrector",
    "RateMatrix",
    "Remasking",
    "Sampler",
    "TauLeaping",
    "Uniform",
    "bits_per_token",
    "categorical",
    "evidence_bound",
    "neighbours",
    "one_hot",
    "sharpen",
]

# Names are looked up when first used: samplers do without networks, losses without samplers.
_HOMES = (
    *("chain", "jumps", "rates", "denoiser", "draw", "guidance"),
    *("objective", "likelihood", "exact", "sample"),
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"diff_core.discrete.{home}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module 'diff_core.discrete' has no attribute {name!r}")
