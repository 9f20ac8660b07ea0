"""The training of the stages of brains, whose samples are measured by `brain_features`.

`diff_medical.train` runs it: a model and its training know no judge.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.train import Job
from diff_medical.brain.training import job
from diff_medical.brain.training.job import Recipe
from diff_medical.image_sets.brain_features import brain_features

if TYPE_CHECKING:
    from diff_medical.data.inputs import Prepared

__all__ = ["Recipe", "build"]


def build(recipe: Recipe, inputs: Prepared, out: Path) -> Job[Any]:
    """Return the job of a stage as `diff_medical.brain.training.job.build` does, its watch with
    features of whole brains.
    """
    return job.build(recipe, inputs, out, brain_features)
