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

PATHS: dict[str, Schedule] = {
    "variance-preserving": VariancePreserving(),
    "cosine": Cosine(),
    "variance-exploding": VarianceExploding(),
    "edm": Edm(),
    "rectified-flow": RectifiedFlow(),
    "ddpm-table": Tabulated(tuple(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)).tolist())),
    "zero-terminal-table": Tabulated((0.9, 0.4, 0.1, 0.0)),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Torch's own generator starts every test in the same state."""
    torch.manual_seed(0)


@pytest.fixture(params=list(PATHS), scope="session")
def path(request: pytest.FixtureRequest) -> Schedule:
    """Every ordinary schedule: noise at t = 1."""
    return PATHS[request.param]


@pytest.fixture(params=[*PATHS, "bridge"], scope="session")
def schedule(request: pytest.FixtureRequest) -> Schedule:
    """Every schedule, the bridge's shifted path (no noise at t = 1) among them."""
    return PATHS.get(request.param, SchroedingerBridge())
