"""Training: an objective, a data set, a loop."""

from __future__ import annotations

from diff_core.train.config import TrainConfig, learning_rate
from diff_core.train.ema import Ema
from diff_core.train.log import hours_trained
from diff_core.train.loop import Samples, TrainingError, train
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
from diff_core.train.state import load_state, save_state
from diff_core.train.uncertainty import Uncertain, UncertaintyWeighted

__all__ = [
    "Denoising",
    "Ema",
    "Objective",
    "Samples",
    "TrainConfig",
    "TrainingError",
    "Uncertain",
    "UncertaintyWeighted",
    "edm_weight",
    "eps_weight",
    "hours_trained",
    "learning_rate",
    "load_state",
    "min_snr_weight",
    "p2_weight",
    "save_state",
    "train",
    "v_weight",
    "x0_weight",
]
