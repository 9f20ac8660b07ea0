"""Measures of a denoiser and of what it makes."""

from __future__ import annotations

from diff_core.evaluate.energy import energy_distance
from diff_core.evaluate.snr_loss import SnrLoss, snr_loss

__all__ = ["SnrLoss", "energy_distance", "snr_loss"]
