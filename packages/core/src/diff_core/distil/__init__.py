"""Few-step models: a slow model is the teacher of one that needs one to four calls.

Each method is an objective for `diff_core.train.train`; what is trained is an ordinary denoiser,
or one that is told the end of the step (`diff_core.flow_map`). Several need no teacher.
Unlike the rest of the package this sees both training and samplers.
"""

from __future__ import annotations

from diff_core.distil.adversarial import AdversarialDistillation, WithDiscriminator
from diff_core.distil.consistency import (
    ConsistencyDistillation,
    WithTarget,
    pseudo_huber,
    squared,
)
from diff_core.distil.continuous import ContinuousConsistency
from diff_core.distil.mean_flow import MeanFlow
from diff_core.distil.progressive import ProgressiveDistillation, truncated_snr_weight
from diff_core.distil.reflow import Pairs, Reflow, couple, flow_weight, straightness
from diff_core.distil.shortcut import Shortcut

__all__ = [
    "AdversarialDistillation",
    "ConsistencyDistillation",
    "ContinuousConsistency",
    "MeanFlow",
    "Pairs",
    "ProgressiveDistillation",
    "Reflow",
    "Shortcut",
    "WithDiscriminator",
    "WithTarget",
    "couple",
    "flow_weight",
    "pseudo_huber",
    "squared",
    "straightness",
    "truncated_snr_weight",
]
