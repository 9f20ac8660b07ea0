"""Bridges: paths from a degraded signal y to the clean one, through the ordinary samplers."""

from __future__ import annotations

from diff_core.bridge.estimate import bridge_estimate, check_bridge_times
from diff_core.bridge.i2sb import I2sb
from diff_core.bridge.ouve import OrnsteinUhlenbeck
from diff_core.bridge.path import Bridge, bridge_marginal
from diff_core.bridge.schroedinger import SchroedingerBridge, SchroedingerBridgeVP
from diff_core.bridge.walk import Shifted, sample_bridge

__all__ = [
    "Bridge",
    "I2sb",
    "OrnsteinUhlenbeck",
    "SchroedingerBridge",
    "SchroedingerBridgeVP",
    "Shifted",
    "bridge_estimate",
    "bridge_marginal",
    "check_bridge_times",
    "sample_bridge",
]
