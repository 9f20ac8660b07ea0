"""What the tests of the core share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diff_core import (
    Cosine,
    Edm,
    RectifiedFlow,
    Schedule,
    SchroedingerBridge,
    Tabulated,
    VarianceExploding,
    VariancePreserving,
)
from diff_core.bridge import I2sb, OrnsteinUhlenbeck, SchroedingerBridgeVP
from diff_core.schedule import ShiftedSnr, Sigmoid

PATHS: dict[str, Schedule] = {
    "variance-preserving": VariancePreserving(),
    "cosine": Cosine(),
    "variance-exploding": VarianceExploding(),
    "edm": Edm(),
    "rectified-flow": RectifiedFlow(),
    "ddpm-table": Tabulated(tuple(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)).tolist())),
    "sigmoid": Sigmoid(),
    "shifted-flow": ShiftedSnr(RectifiedFlow(), 3.0),
    "zero-terminal-table": Tabulated((0.9, 0.4, 0.1, 0.0)),
}

BRIDGES: dict[str, Schedule] = {
    "bridge": SchroedingerBridge(),
    "bridge-vp": SchroedingerBridgeVP(),
    "ouve": OrnsteinUhlenbeck(),
    "i2sb": I2sb(),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Torch's own generator starts every test in the same state."""
    torch.manual_seed(0)


@pytest.fixture(params=list(PATHS), scope="session")
def path(request: pytest.FixtureRequest) -> Schedule:
    """Every ordinary schedule: noise at t = 1."""
    return PATHS[request.param]


@pytest.fixture(params=[*PATHS, *BRIDGES], scope="session")
def schedule(request: pytest.FixtureRequest) -> Schedule:
    """Every schedule, the bridges' shifted paths (most without noise at t = 1) among them."""
    return (PATHS | BRIDGES)[request.param]
