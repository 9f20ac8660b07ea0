"""Post-hoc averages: profiles in closed form, and reconstruction against direct averaging."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from diff_core.io import CheckpointError
from diff_core.train.posthoc import LENGTHS, Snapshots, exponent, power_decay, reconstruct, solve


@pytest.mark.parametrize("length", [0.01, 0.05, 0.1, 0.2, 0.28])
def test_the_length_is_the_standard_deviation_of_the_profile(length: float) -> None:
    """Of the density (gamma + 1) s^gamma on [0, 1], by its moments."""
    gamma = exponent(length)
    mean = (gamma + 1) / (gamma + 2)
    assert (gamma + 1) / (gamma + 3) - mean**2 == pytest.approx(length**2, rel=1e-9)


def test_the_paper_s_exponents() -> None:
    assert exponent(0.05) == pytest.approx(16.97, abs=0.01)
    assert exponent(0.10) == pytest.approx(6.94, abs=0.01)


@pytest.mark.parametrize("length", [0.0, -0.1, 0.29, float("nan")])
def test_lengths_out_of_range_are_refused(length: float) -> None:
    with pytest.raises(ValueError, match="length is"):
        exponent(length)


def test_a_decay_gives_each_step_its_weight() -> None:
    """Step i weighs (i^(g + 1) - (i - 1)^(g + 1)) / t^(g + 1): the integral of the profile."""
    gamma, steps = 6.94, 50
    weights = np.zeros(steps)
    for step in range(steps):
        decay = power_decay(gamma, step)
        weights *= decay
        weights[step] += 1 - decay
    edges = (np.arange(steps + 1) / steps) ** (gamma + 1)
    np.testing.assert_allclose(weights, np.diff(edges), rtol=1e-9)


def test_a_profile_that_was_kept_is_itself() -> None:
    profiles = [(50.0, 16.97), (50.0, 6.94), (100.0, 16.97), (100.0, 6.94)]
    np.testing.assert_allclose(solve(profiles, (100.0, 6.94)), [0, 0, 0, 1], atol=1e-6)


class Walk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(64, dtype=torch.float64))
        self.register_buffer("count", torch.tensor(0))


def test_reconstruction_equals_direct_averaging(tmp_path: Path) -> None:
    model = Walk()
    snapshots = Snapshots(model, 25, tmp_path)
    torch.manual_seed(0)
    path = []
    steps = 600
    for step in range(steps):
        with torch.no_grad():
            model.weight.add_(torch.randn(64).double() + 0.3)
            model.count.fill_(step)
        path.append(model.weight.detach().clone())
        for average in snapshots.averages.values():
            average.update(model, step)
        snapshots.take(step + 1, last=step + 1 == steps, write=True)
    walked = torch.stack(path)
    spread = float((walked[-1] - walked[0]).norm())

    def direct(length: float, upto: int) -> torch.Tensor:
        edges = (torch.arange(upto + 1).double() / upto) ** (exponent(length) + 1)
        return (edges.diff()[:, None] * walked[:upto]).sum(0)

    for length, upto in [(0.05, 600), (0.1, 600), (0.07, 600), (0.15, 600), (0.08, 450)]:
        found = reconstruct(tmp_path, length, upto)
        assert found["weight"].dtype == torch.float32
        assert int(found["count"]) == upto - 1
        error = float((found["weight"].double() - direct(length, upto)).norm())
        assert error < (1e-6 if length in LENGTHS else 5e-3) * spread, (length, upto)
    # far from what one of the two kept averages would give
    assert float((direct(0.15, 600) - direct(0.1, 600)).norm()) > 0.03 * spread


def test_what_cannot_be_reconstructed_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="snapshot_every"):
        reconstruct(tmp_path, 0.1)
    Snapshots(Walk(), 5, tmp_path).take(5, last=False, write=True)
    with pytest.raises(ValueError, match="step is 3"):
        reconstruct(tmp_path, 0.1, 3)
