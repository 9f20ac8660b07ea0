"""The singular values of operators, and the bases in which they are diagonal."""

from __future__ import annotations

import math

import pytest
import torch

from diff_core.operator import Blur, Dense, Fourier


@pytest.mark.parametrize("rows", [2, 5, 7])
def test_dense_has_its_singular_values(rows: int) -> None:
    # of rank 2 whatever its size
    matrix = torch.randn(rows, 2, dtype=torch.float64) @ torch.randn(2, 5, dtype=torch.float64)
    operator = Dense(matrix, (5,))
    x = torch.randn(3, 5, dtype=torch.float64)
    y = operator(x)
    s = operator.singular_values(x)
    assert int((s > 0).sum()) == 2
    torch.testing.assert_close(operator.synthesise(operator.analyse(x)), x)
    torch.testing.assert_close(y.norm(dim=1), (s * operator.analyse(x)).norm(dim=1))
    inverse = operator.synthesise(operator.invert(y))
    torch.testing.assert_close(inverse, y @ torch.linalg.pinv(matrix).mT)


SIDED = torch.tensor([[0.1, 0.3, 0.0], [0.2, 0.5, -0.1], [0.0, 0.4, 0.2]], dtype=torch.float64)
HALF = (torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
SPECTRAL = {
    "blur": (Blur(SIDED, "periodic"), (2, 3, 6, 5)),
    "blur of a line": (Blur(torch.tensor([0.5, 0.5, 0.0]), "periodic"), (2, 1, 8)),
    "volume blur": (Blur(torch.rand(3, 1, 3).double(), "periodic"), (1, 1, 4, 3, 5)),
    "complex image": (Fourier(HALF), (2, 2, 6, 5)),
    "complex image, centred": (Fourier(HALF, centred=True), (2, 2, 6, 5)),
    "real image": (Fourier(HALF, channels=1), (2, 1, 6, 5)),
    "real image, centred": (Fourier(HALF, channels=1, centred=True), (2, 1, 6, 5)),
}


@pytest.mark.parametrize(("operator", "shape"), SPECTRAL.values(), ids=SPECTRAL)
def test_a_spectrum_is_that_of_the_operator(operator: Blur | Fourier, shape: tuple) -> None:
    """V is orthogonal, A^T A = V diag(s^2) V^T, and what A sees is recovered from y."""
    x, other = torch.randn(2, *shape, dtype=torch.float64).unbind()
    s = operator.singular_values(x)
    spectrum = operator.analyse(x)
    assert spectrum.shape == x.shape
    torch.testing.assert_close(operator.synthesise(spectrum), x)
    products = (operator.analyse(x) * operator.analyse(other)).sum(), (x * other).sum()
    torch.testing.assert_close(*products)
    twice = operator.adjoint(operator(x))
    torch.testing.assert_close(operator.analyse(twice), s.square() * spectrum)
    expected = torch.where(s > 0, spectrum, 0.0).expand(x.shape)
    torch.testing.assert_close(operator.invert(operator(x)), expected)


def test_a_blur_that_cancels_a_frequency_does_not_see_it() -> None:
    """(1/2, 1/2) on 8 entries: cos(pi k / 8), exactly 0 at k = 4."""
    operator = Blur(torch.tensor([0.5, 0.5, 0.0]), "periodic")
    for dtype in (torch.float32, torch.float64):
        s = operator.singular_values(torch.zeros(1, 1, 8, dtype=dtype))
        expected = torch.cos(math.pi / 8 * torch.arange(8, dtype=dtype)).abs()
        expected[4] = 0
        torch.testing.assert_close(s, expected)
        assert s[4] == 0


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (Blur(SIDED), "boundary is 'zeros'; expected 'periodic'"),
        (Fourier(HALF, torch.ones(2, 6, 5) + 0j), "coils is given; expected None"),
    ],
    ids=["blur", "coils"],
)
def test_operators_without_a_spectrum_say_so(operator: Blur | Fourier, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator.singular_values(torch.zeros(1, 2, 6, 5))
