"""Training: an objective, a data set, a loop.

The parts are in modules of their own: `recipe` (YAML), `job` and `command` (a domain's command),
`loop`, `step`, `state`, `distributed` (many processes), `ema` and `posthoc` (averages).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_core.train.config import TrainConfig, learning_rate
    from diff_core.train.distributed import processes
    from diff_core.train.ema import Ema
    from diff_core.train.job import Job, Samples
    from diff_core.train.log import hours_trained
    from diff_core.train.loop import train
    from diff_core.train.objective import (
        Denoising,
        Objective,
        edm_weight,
        eps_weight,
        min_snr_weight,
        p2_weight,
        v_weight,
        x0_weight,
    )
    from diff_core.train.posthoc import reconstruct
    from diff_core.train.recipe import dump_recipe, make_recipe, read_recipe
    from diff_core.train.stop import Stopped, TrainingError
    from diff_core.train.times import log_normal, logit_normal
    from diff_core.train.uncertainty import Uncertain, UncertaintyWeighted

__all__ = [
    "Denoising",
    "Ema",
    "Job",
    "Objective",
    "Samples",
    "Stopped",
    "TrainConfig",
    "TrainingError",
    "Uncertain",
    "UncertaintyWeighted",
    "dump_recipe",
    "edm_weight",
    "eps_weight",
    "hours_trained",
    "learning_rate",
    "log_normal",
    "logit_normal",
    "make_recipe",
    "min_snr_weight",
    "p2_weight",
    "processes",
    "read_recipe",
    "reconstruct",
    "train",
    "v_weight",
    "x0_weight",
]

# Names are looked up when first used: the commands answer --help without waiting for torch.
_HOMES = (
    *("config", "recipe", "stop", "log", "job", "objective", "ema", "loop"),
    *("posthoc", "uncertainty", "distributed", "times"),
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"diff_core.train.{home}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module 'diff_core.train' has no attribute {name!r}")
