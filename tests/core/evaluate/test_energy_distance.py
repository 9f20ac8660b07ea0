"""The distance between two sets of samples, in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from diff_core.evaluate import energy_distance


def test_energy_distance() -> None:
    # across: 0, 3, 1, 2; within: 1 and 3
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [3.0]])
    assert energy_distance(x, y) == pytest.approx(2 * 1.5 - 1 - 3)
    # N(0, 1) and N(m, 1): E|N(m, 2)| is that of a folded normal
    m, draws = 1.5, torch.randn(2, 4000, 1, dtype=torch.float64)
    across = 2 / math.sqrt(math.pi) * math.exp(-(m**2) / 4) + m * math.erf(m / 2)
    expected = 2 * across - 4 / math.sqrt(math.pi)
    assert energy_distance(draws[0], draws[1] + m) == pytest.approx(expected, rel=0.1)
    with pytest.raises(ValueError, match="1 rows of 1 entries"):
        energy_distance(x[:1], y)
