"""Diffusion mathematics for signals of any dimension.

The nouns are here; sampling is `from diff_core.sample import sample, Ddim`, and networks, training
and checkpoints are in `diff_core.nn`, `diff_core.train` and `diff_core.io`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_core.bridge import (
        Bridge,
        I2sb,
        OrnsteinUhlenbeck,
        SchroedingerBridge,
        SchroedingerBridgeVP,
        Shifted,
        bridge_marginal,
        sample_bridge,
    )
    from diff_core.coefficients import broadcast
    from diff_core.condition import Condition
    from diff_core.denoiser import (
        Denoiser,
        FromEps,
        FromFlow,
        FromScore,
        FromV,
        FromX0,
        Preconditioned,
    )
    from diff_core.forward import marginal, transition
    from diff_core.grid import (
        karras,
        quadratic,
        trailing,
        uniform,
        uniform_flow,
        uniform_log_snr,
    )
    from diff_core.noise import Keyed, Noise
    from diff_core.sample import (
        Ancestral,
        Consistency,
        Ddim,
        Deis,
        Dpm2,
        DpmSolverPP2M,
        DpmSolverPP2S,
        DpmSolverPP3M,
        DpmSolverPP3S,
        Euler,
        Heun,
        HeunChurn,
        Lms,
        Plan,
        PredictorCorrector,
        Sampler,
        TrigAdams,
        UniPC,
        sample_adaptive,
    )
    from diff_core.schedule import (
        Cosine,
        Edm,
        RectifiedFlow,
        Schedule,
        ShiftedSnr,
        Sigmoid,
        Tabulated,
        VarianceExploding,
        VariancePreserving,
        log_snr,
    )

__all__ = [
    "Ancestral",
    "Bridge",
    "Condition",
    "Consistency",
    "Cosine",
    "Ddim",
    "Deis",
    "Denoiser",
    "Dpm2",
    "DpmSolverPP2M",
    "DpmSolverPP2S",
    "DpmSolverPP3M",
    "DpmSolverPP3S",
    "Edm",
    "Euler",
    "FromEps",
    "FromFlow",
    "FromScore",
    "FromV",
    "FromX0",
    "Heun",
    "HeunChurn",
    "I2sb",
    "Keyed",
    "Lms",
    "Noise",
    "OrnsteinUhlenbeck",
    "Plan",
    "Preconditioned",
    "PredictorCorrector",
    "RectifiedFlow",
    "Sampler",
    "Schedule",
    "SchroedingerBridge",
    "SchroedingerBridgeVP",
    "Shifted",
    "ShiftedSnr",
    "Sigmoid",
    "Tabulated",
    "TrigAdams",
    "UniPC",
    "VarianceExploding",
    "VariancePreserving",
    "bridge_marginal",
    "broadcast",
    "karras",
    "log_snr",
    "marginal",
    "quadratic",
    "sample_adaptive",
    "sample_bridge",
    "trailing",
    "transition",
    "uniform",
    "uniform_flow",
    "uniform_log_snr",
]

# Names are looked up when first used: the commands answer --help without waiting for torch.
_HOMES = (
    "schedule",
    "coefficients",
    "condition",
    "denoiser",
    "forward",
    "grid",
    "noise",
    "sample",
    "bridge",
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"diff_core.{home}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module 'diff_core' has no attribute {name!r}")
