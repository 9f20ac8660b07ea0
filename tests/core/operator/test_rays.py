"""Scanners: the sums of images along parallel rays and along fans of rays."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diff_core.operator import FanBeam, Radon


def test_radon_sums_rows_and_columns() -> None:
    x = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    angles = torch.tensor([0.0, math.pi / 2, math.pi], dtype=torch.float64)
    y = Radon(angles, 7, 7)(x)
    torch.testing.assert_close(y[:, :, 0], x.sum(2))
    torch.testing.assert_close(y[:, :, 1], x.sum(3))
    torch.testing.assert_close(y[:, :, 2], x.sum(2).flip(-1))


def test_radon_of_a_gaussian_is_its_projection() -> None:
    n, width, centre = 65, 4.0, (7.0, -11.0)
    grid = torch.arange(n, dtype=torch.float64) - n // 2
    distance = (grid - centre[0]) ** 2 + (grid[:, None] - centre[1]) ** 2
    image = torch.exp(-distance / (2 * width**2))
    angles = torch.linspace(0, math.pi, 12, dtype=torch.float64)
    y = Radon(angles, n, 91)(image[None, None])[0, 0]
    s = torch.arange(91, dtype=torch.float64) - 45
    shift = centre[0] * angles.cos() + centre[1] * angles.sin()
    expected = (
        math.sqrt(2 * math.pi) * width * torch.exp(-((s - shift[:, None]) ** 2) / (2 * width**2))
    )
    # bilinear interpolation widens it by about 1/6 of a pixel^2 at most: 1 % of the peak here
    assert (y - expected).abs().max() < 0.012 * expected.max()


def test_radon_loses_nothing_in_the_corners() -> None:
    x = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    x[..., 1, 8] = x[..., 1, 1] = 1
    y = Radon(torch.linspace(0, 3, 40, dtype=torch.float64), 10)(x)
    torch.testing.assert_close(y.sum(-1), torch.full_like(y.sum(-1), 2), rtol=0.2, atol=0)


def gaussian(n: int, width: float, centre: tuple[float, float]) -> Tensor:
    """An image (1, 1, n, n) of a Gaussian at (column, row) from the centre."""
    grid = torch.arange(n, dtype=torch.float64) - n // 2
    distance = (grid - centre[0]) ** 2 + (grid[:, None] - centre[1]) ** 2
    return torch.exp(-distance / (2 * width**2))[None, None]


def test_a_fan_of_a_gaussian_is_its_line_integrals() -> None:
    """Through the ray's distance from the centre of the Gaussian, from source and bin alone."""
    n, width, centre, source, pitch = 65, 4.0, (7.0, -11.0), 60.0, 1.25
    angles = torch.linspace(0, 2 * math.pi, 14, dtype=torch.float64)
    y = FanBeam(angles, n, 101, source=source, pitch=pitch)(gaussian(n, width, centre))[0, 0]
    s = pitch * (torch.arange(101, dtype=torch.float64) - 50)
    for a, found in zip(angles, y, strict=True):
        start = source * torch.stack([a.sin(), -a.cos()])
        ray = s[:, None] * torch.stack([a.cos(), a.sin()]) - start
        to = torch.tensor(centre, dtype=torch.float64) - start
        distance = (ray[:, 0] * to[1] - ray[:, 1] * to[0]) / ray.norm(dim=1)
        expected = math.sqrt(2 * math.pi) * width * torch.exp(-(distance**2) / (2 * width**2))
        # bilinear interpolation widens it by about 1/6 of a pixel^2 at most: 1 % of the peak here
        assert (found - expected).abs().max() < 0.012 * math.sqrt(2 * math.pi) * width


def test_a_fan_from_far_away_is_parallel() -> None:
    angles = torch.linspace(0, 3, 9, dtype=torch.float64)
    x = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    far = FanBeam(angles, 12, 19, source=1e9)(x)
    torch.testing.assert_close(far, Radon(angles, 12, 19)(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n", [9, 10])
def test_a_fan_loses_nothing_in_the_corners(n: int) -> None:
    """The default number of bins holds the image at every angle, though the source is near."""
    corners = torch.zeros(1, 1, n, n, dtype=torch.float64)
    corners[..., 0, 0] = corners[..., 0, -1] = corners[..., -1, 0] = corners[..., -1, -1] = 1
    angles = torch.linspace(0, 2 * math.pi, 48, dtype=torch.float64)
    fan = FanBeam(angles, n, source=1.2 * n)
    wider = FanBeam(angles, n, fan.bins + 40, source=1.2 * n)
    torch.testing.assert_close(fan(corners).sum(-1), wider(corners).sum(-1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": 5.0}, "source is 5.0; expected a finite distance above 7.77817"),
        ({"source": math.inf}, "source is inf"),
        ({"source": 20.0, "pitch": 0.0}, "pitch is 0.0"),
        ({"source": 20.0, "detectors": 0}, "detectors is 0"),
    ],
)
def test_errors_of_a_fan(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FanBeam(torch.zeros(1), 10, **settings)
