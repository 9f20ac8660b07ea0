"""Exact distributions by their short name; see `diff_core.evaluate.exact`."""

from __future__ import annotations

from diff_core.evaluate.exact import ExactDenoiser, Gaussian, Mixture
from diff_core.evaluate.joint import JointMixture

__all__ = ["ExactDenoiser", "Gaussian", "JointMixture", "Mixture"]
