"""Operators: each is linear and has its own transpose, and does what its physics says."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diff_core.operator import (
    Blur,
    Compose,
    Dense,
    Downsample,
    FanBeam,
    Fourier,
    LinearOperator,
    Mask,
    Measurement,
    Radon,
    gaussian_kernel,
)

Case = tuple[LinearOperator, tuple[int, ...]]


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def mask(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
    return Mask(normal(g, *size) > 0), (b, 2, *size)


def blur(boundary: str) -> Callable[..., Case]:
    def build(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
        kernel = normal(g, *(2 * (n // 4) + 1 for n in size))
        return Blur(kernel, boundary=boundary), (b, 2, *size)  # type: ignore[arg-type]

    return build


def downsample(width: int) -> Callable[..., Case]:
    def build(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
        factor = size[0]
        n = max(factor + 2 * width, 2 - factor % 2)
        return (
            Downsample(-1, factor, normal(g, n).abs() + 0.1),
            (b, 2, *size[:-1], factor * size[-1]),
        )

    return build


def fourier(channels: int, coils: int) -> Callable[..., Case]:
    def build(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
        maps = torch.complex(normal(g, coils, *size), normal(g, coils, *size)) if coils else None
        operator = Fourier(normal(g, *size) > 0, maps, channels, centred=bool(b % 2))  # type: ignore[arg-type]
        return operator, (b, channels, *size)

    return build


def radon(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
    n = size[0] + 3
    detectors = None if b == 1 else size[-1]
    return Radon(normal(g, 20), n, detectors), (b, 2, n, n)


def fan_beam(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
    n = size[0] + 3
    detectors = None if b == 1 else size[-1]
    fan = FanBeam(normal(g, 20), n, detectors, source=1.5 * n, pitch=0.7 * b)
    return fan, (b, 2, n, n)


def dense(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
    return Dense(normal(g, 3, 2 * math.prod(size)), (2, *size)), (b, 2, *size)


def several(g: torch.Generator, size: tuple[int, ...], b: int) -> Case:
    operators = (blur("zeros")(g, size, b)[0], mask(g, size, b)[0], dense(g, size, b)[0])
    return Compose(operators), (b, 2, *size)


CASES: dict[str, Callable[..., Case]] = {
    "mask": mask,
    "blur": blur("zeros"),
    "periodic blur": blur("periodic"),
    "wide profile": downsample(2),
    "stride": downsample(0),
    "narrow profile": downsample(-1),
    "real image": fourier(1, 0),
    "complex image": fourier(2, 0),
    "coils": fourier(2, 3),
    "real image, coils": fourier(1, 3),
    "radon": radon,
    "fan beam": fan_beam,
    "dense": dense,
    "several": several,
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    size=st.lists(st.integers(2, 7), min_size=1, max_size=3).map(tuple),
    rows=st.integers(1, 3),
)
def test_linear_with_its_adjoint(name: str, seed: int, size: tuple[int, ...], rows: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    operator, shape = CASES[name](generator, size, rows)
    x, other = normal(generator, *shape), normal(generator, *shape)
    forward = operator(x)
    y = normal(generator, *forward.shape)
    back = operator.adjoint(y)
    assert back.shape == x.shape and forward.dtype == back.dtype == torch.float64
    left, right = (forward * y).flatten(1).sum(1), (x * back).flatten(1).sum(1)
    # the sums are of terms up to this size
    scale = (forward * y).abs().flatten(1).sum(1) + (x * back).abs().flatten(1).sum(1) + 1
    assert ((left - right).abs() <= 1e-12 * scale).all()
    torch.testing.assert_close(operator(2 * x - 3 * other), 2 * forward - 3 * operator(other))
    # each row by itself
    torch.testing.assert_close(operator(x.flip(0)).flip(0), forward)


@pytest.mark.parametrize("name", CASES)
def test_float32_in_float32_out(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    operator, shape = CASES[name](generator, (6, 4), 2)
    if name in ("dense", "several"):
        return  # the matrix has a type of its own
    x = normal(generator, *shape)
    exact = operator(x)
    torch.testing.assert_close(operator(x.float()), exact.float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        operator.adjoint(exact.float()), operator.adjoint(exact).float(), rtol=1e-4, atol=1e-3
    )


def test_mask_is_one_where_observed_and_blind_elsewhere() -> None:
    x = torch.tensor([[[1.0, math.nan, 3.0]]])
    torch.testing.assert_close(Mask(torch.tensor([1, 0, 1]))(x), torch.tensor([[[1.0, 0, 3.0]]]))


@pytest.mark.parametrize(("boundary", "mode"), [("zeros", "constant"), ("periodic", "wrap")])
@pytest.mark.parametrize("size", [(9,), (6, 7), (5, 6, 4)])
def test_blur_is_scipys_convolution(boundary: str, mode: str, size: tuple[int, ...]) -> None:
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    kernel = torch.randn(tuple(2 * (n // 4) + 1 for n in size), dtype=torch.float64)
    got = Blur(kernel, boundary=boundary)(x)  # type: ignore[arg-type]
    for b in range(2):
        for c in range(2):
            expected = scipy.ndimage.convolve(x[b, c].numpy(), kernel.numpy(), mode=mode)
            torch.testing.assert_close(got[b, c], torch.as_tensor(expected))


def test_gaussian_kernel_has_its_width() -> None:
    kernel = gaussian_kernel((6.0, 2.0), (13, 5))
    assert kernel.shape == (13, 5) and kernel.sum().item() == pytest.approx(1)
    middle = kernel[6, 2]
    # half the width from the middle, half the height
    assert (kernel[9, 2] / middle).item() == pytest.approx(0.5)
    assert (kernel[6, 3] / middle).item() == pytest.approx(0.5)


def test_downsample_averages_blocks_by_default() -> None:
    x = torch.arange(24.0).reshape(1, 1, 12, 2)
    torch.testing.assert_close(
        Downsample(-2, 3)(x)[0, 0, :, 0], torch.tensor([2.0, 8.0, 14.0, 20.0])
    )


@pytest.mark.parametrize(("factor", "size"), [(4, 12), (3, 9), (4, 2), (1, 5)])
def test_downsample_keeps_a_constant_and_the_place(factor: int, size: int) -> None:
    profile = gaussian_kernel((factor,), (size,))
    operator = Downsample(2, factor, profile)
    torch.testing.assert_close(
        operator(torch.full((1, 1, 4 * factor, 3), 5.0)), torch.full((1, 1, 4, 3), 5.0)
    )
    # symmetric weights: away from the ends a ramp goes to its value at the centres
    ramp = torch.arange(12.0 * factor)[None, None, :, None]
    centres = torch.arange(12.0) * factor + (factor - 1) / 2
    torch.testing.assert_close(operator(ramp)[0, 0, 3:-3, 0], centres[3:-3])


@pytest.mark.parametrize("centred", [False, True])
def test_fourier_is_a_plane_wave_at_its_frequency(centred: bool) -> None:
    n, frequency = 8, (2, 7)
    place = torch.arange(n, dtype=torch.float64)
    if centred:
        place = place - n // 2
        spot = tuple((f + n // 2) % n for f in frequency)
    else:
        spot = frequency
    phase = 2 * math.pi * (frequency[0] * place[:, None] + frequency[1] * place) / n
    x = torch.stack([phase.cos(), phase.sin()])[None]
    kspace = torch.view_as_complex(Fourier(torch.ones(n, n), centred=centred)(x))[0, 0]
    expected = torch.zeros(n, n, dtype=torch.complex128)
    expected[spot] = n
    torch.testing.assert_close(kspace, expected)


def test_full_sampling_with_coils_that_sum_to_one_is_undone_by_the_adjoint() -> None:
    maps = torch.randn(4, 6, 5, dtype=torch.complex128)
    maps = maps / (maps.abs() ** 2).sum(0).sqrt()
    operator = Fourier(torch.ones(6, 5), maps)
    x = torch.randn(2, 2, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(operator.adjoint(operator(x)), x)


def test_compose_applies_the_first_first() -> None:
    x = torch.ones(1, 1, 4)
    half = Mask(torch.tensor([1, 1, 1, 0]))
    torch.testing.assert_close(Compose((half, Downsample(-1, 2)))(x), torch.tensor([[[1.0, 0.5]]]))


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
    "blocks": (Downsample(-1, 3), (2, 2, 5, 6)),
    "thick slices": (Downsample(-2, 2, gaussian_kernel((2.0,), (6,))), (2, 1, 8, 3)),
    "narrow slices": (Downsample(2, 3, torch.ones(1)), (1, 2, 9)),
}


@pytest.mark.parametrize(("operator", "shape"), SPECTRAL.values(), ids=SPECTRAL)
def test_a_spectrum_is_that_of_the_operator(
    operator: Blur | Fourier | Downsample, shape: tuple
) -> None:
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


def test_unobserved_entries_of_a_measurement_play_no_part() -> None:
    observed = torch.tensor([1, 0, 1, 0])
    y = torch.tensor([[[1.0, math.nan, 2.0, 7.0]]])
    torch.testing.assert_close(
        Measurement(Mask(observed), y).y, torch.tensor([[[1.0, 0.0, 2.0, 0.0]]])
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), ratio=st.floats(1e-3, 10))
def test_correction_is_the_regularised_inverse(seed: int, ratio: float) -> None:
    g = torch.Generator().manual_seed(seed)
    matrix, y, x = normal(g, 4, 6), normal(g, 2, 4), normal(g, 2, 6)
    measurement = Measurement(Dense(matrix, (6,)), y, 0.1)
    gram = matrix @ matrix.mT + ratio * torch.eye(4, dtype=torch.float64)
    expected = torch.linalg.solve(gram, (y - x @ matrix.mT).mT).mT @ matrix
    got = measurement.correction(x, torch.tensor(ratio, dtype=torch.float64))
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-7)


ERRORS: dict[str, tuple[Callable[[], object], str]] = {
    "soft mask": (lambda: Mask(torch.tensor([0.5, 1])), "mask holds.*0.5.*only 0 and 1"),
    "mask shape": (lambda: Mask(torch.ones(3))(torch.ones(1, 1, 4)), r"mask has shape \(3,\)"),
    "even kernel": (lambda: Blur(torch.ones(4)), r"kernel has shape \(4,\).*odd"),
    "boundary": (lambda: Blur(torch.ones(3), "reflect"), "boundary is 'reflect'"),  # type: ignore[arg-type]
    "blur axes": (lambda: Blur(torch.ones(3))(torch.ones(1, 1, 4, 4)), "x has shape.*1 axes"),
    "kernel sizes": (lambda: gaussian_kernel((1.0,), (3, 3)), "fwhm=.*size="),
    "channel axis": (lambda: Downsample(1, 2), "axis is 1"),
    "batch axis": (lambda: Downsample(-3, 2)(torch.ones(1, 4, 4)), "axis -3"),
    "factor": (lambda: Downsample(-1, 0), "factor is 0"),
    "profile": (lambda: Downsample(-1, 2, torch.ones(3)), r"profile has shape \(3,\)"),
    "profile sign": (lambda: Downsample(-1, 1, -torch.ones(1)), "profile is"),
    "multiple": (lambda: Downsample(-1, 2)(torch.ones(1, 1, 5)), "5 entries.*multiple of"),
    "real coils": (lambda: Fourier(torch.ones(4), torch.ones(1, 4)), "coils is of type"),
    "channels": (lambda: Fourier(torch.ones(4))(torch.ones(1, 1, 4)), r"x has shape.*\(B, 2"),
    "sampling": (lambda: Fourier(torch.ones(3))(torch.ones(1, 2, 4)), "sampling has shape"),
    "complex": (lambda: Fourier(torch.ones(4)).adjoint(torch.ones(1, 1, 4)), "y has shape"),
    "coil count": (
        lambda: Fourier(torch.ones(4), torch.ones(3, 4) + 0j).adjoint(torch.ones(1, 2, 4, 2)),
        "coils has shape",
    ),
    "angles": (lambda: Radon(torch.ones(2, 2), 4), "angles has shape"),
    "image": (lambda: Radon(torch.ones(2), 4)(torch.ones(1, 1, 4, 5)), "x has shape"),
    "sinogram": (lambda: Radon(torch.ones(2), 4, 4).adjoint(torch.ones(1, 1, 3, 4)), "y has"),
    "nothing": (lambda: Compose(()), "operators is empty"),
    "matrix": (lambda: Dense(torch.ones(2, 3), (4,)), "matrix has shape"),
    "sigma": (lambda: Measurement(Mask(torch.ones(3)), torch.ones(1, 1, 3), -1.0), "sigma is -1"),
    "complex y": (
        lambda: Measurement(Mask(torch.ones(3)), torch.ones(1, 1, 3) + 0j),
        "y is of type torch.complex64",
    ),
    "nan": (
        lambda: Measurement(Mask(torch.ones(3)), torch.tensor([[[1.0, math.nan, 1.0]]])),
        "y has 1 observed entries",
    ),
    "measured shape": (
        lambda: Measurement(Mask(torch.ones(3)), torch.ones(1, 1, 3)).check(torch.ones(1, 1, 4)),
        r"x_t has shape \(1, 1, 4\).*\(1, 1, 3\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_argument(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()


class Squared:
    """Not linear, whatever its adjoint."""

    def __call__(self, x: Tensor) -> Tensor:
        return x**2

    def adjoint(self, y: Tensor) -> Tensor:
        return y


class Shifted(Squared):
    """Affine: linear but for what it adds."""

    def __call__(self, x: Tensor) -> Tensor:
        return x + 1


@pytest.mark.parametrize("operator", [Squared(), Shifted()], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_operator_that_is_not_linear_is_refused(operator: Squared, dtype: torch.dtype) -> None:
    name = type(operator).__name__
    with pytest.raises(ValueError, match=f"operator is {name}, which is not linear"):
        Measurement(operator, torch.ones(2, 1, 4, dtype=dtype), sigma=0.1)
