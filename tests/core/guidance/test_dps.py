"""DPS with the scales that its page advises, on a blurred signal whose posterior is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diff_core import Ancestral, Keyed, VariancePreserving, uniform
from diff_core.evaluate import ExactDenoiser, Gaussian
from diff_core.guidance import Dps
from diff_core.operator import Blur, Measurement, gaussian_kernel
from diff_core.sample import sample

SIZE, ROWS, SIGMA = 16, 128, 0.05
PLACE = torch.arange(SIZE, dtype=torch.float64)
COVARIANCE = 0.25 * torch.exp(-(PLACE[:, None] - PLACE).abs() / 4)
PRIOR = Gaussian.from_covariance(torch.zeros(1, SIZE, dtype=torch.float64), COVARIANCE)
BLUR = Blur(gaussian_kernel((3.0,), (7,)), boundary="periodic")


def measured() -> tuple[Measurement, Tensor]:
    """A measurement of one draw, the same for every row, and the exact posterior mean."""
    generator = torch.Generator().manual_seed(0)
    truth = PRIOR.sample(1, generator)
    y = BLUR(truth) + SIGMA * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    a = BLUR(torch.eye(SIZE, dtype=torch.float64)[:, None])[:, 0].T
    gram = a @ COVARIANCE @ a.T + SIGMA**2 * torch.eye(SIZE, dtype=torch.float64)
    mean = COVARIANCE @ a.T @ torch.linalg.solve(gram, y[0, 0])
    return Measurement(BLUR, y.expand(ROWS, 1, SIZE).clone(), sigma=SIGMA), mean


def drawn(scale: float | None, measurement: Measurement) -> Tensor:
    noise = Keyed(range(ROWS))
    guided = Dps(ExactDenoiser(PRIOR, VariancePreserving()), measurement, scale=scale)
    start = noise(-1, torch.empty(ROWS, 1, SIZE, dtype=torch.float64))
    return sample(guided, Ancestral(), start, uniform(100), noise=noise)


@pytest.mark.parametrize("scale", [10.0, 30.0])
def test_the_advised_scales_agree_with_the_measurement(scale: float) -> None:
    measurement, mean = measured()
    found = drawn(scale, measurement)
    assert measurement.residual(found).square().mean().sqrt() < 1.5 * SIGMA
    assert (found.mean(0)[0] - mean).square().mean().sqrt() < 0.1


def test_the_papers_scales_hardly_heed_it_and_theorem_1_diverges() -> None:
    measurement, _ = measured()
    assert measurement.residual(drawn(0.3, measurement)).square().mean().sqrt() > 5 * SIGMA
    assert drawn(None, measurement).abs().max() > 1e6
    # in float32 that is not even a number
    single = Measurement(BLUR, measurement.y.float(), sigma=SIGMA)
    prior = Gaussian(PRIOR.mean.float(), PRIOR.variances.float(), PRIOR.basis.float())
    guided = Dps(ExactDenoiser(prior, VariancePreserving()), single, scale=None)
    noise = Keyed(range(ROWS))
    with pytest.raises(ValueError, match=r"NaN or infinite.*pulls too hard"):
        sample(guided, Ancestral(), noise(-1, single.y), uniform(100), noise=noise)


def test_there_is_no_default() -> None:
    with pytest.raises(TypeError, match="scale"):
        Dps(ExactDenoiser(PRIOR, VariancePreserving()), measured()[0])
