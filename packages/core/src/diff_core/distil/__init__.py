"""Few-step models: a slow model is the teacher of one that needs one to four calls.

Each method is an objective for `diff_core.train.train`; what is trained is an ordinary denoiser.
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
from diff_core.distil.progressive import ProgressiveDistillation, truncated_snr_weight
from diff_core.distil.reflow import Pairs, Reflow, couple, flow_weight, straightness

__all__ = [
    "AdversarialDistillation",
    "ConsistencyDistillation",
    "Pairs",
    "ProgressiveDistillation",
    "Reflow",
    "WithDiscriminator",
    "WithTarget",
    "couple",
    "flow_weight",
    "pseudo_huber",
    "squared",
    "straightness",
    "truncated_snr_weight",
]
