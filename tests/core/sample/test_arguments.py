"""What `sample` and the denoisers refuse at the door, and what they refuse to return."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor, nn

from diff_core import Condition, Cosine, Edm, FromV, FromX0, Keyed, Preconditioned, karras, uniform
from diff_core.evaluate import ExactDenoiser, Gaussian
from diff_core.forward import marginal
from diff_core.nn import DiT, UNet
from diff_core.sample import Ancestral, Ddim, sample, sample_adaptive
from sampler_cases import Function, Wave, tensor

X = torch.ones(2, 1, 4)
DENOISER = FromV(Wave(), Cosine())
UNET = UNet(1, 1, 1, (4,), blocks=1, embedding=4)

WRONG = {
    "network": (lambda: sample(UNET, Ddim(), X, uniform(2)), "denoiser is of type UNet; .* FromV"),
    "denoiser class": (
        lambda: sample(FromV, Ddim(), X, uniform(2)),
        "denoiser is the class FromV",
    ),
    "sampler class": (
        lambda: sample(DENOISER, Ddim, X, uniform(2)),
        r"sampler is the class Ddim; .* Ddim\(\)",
    ),
    "sampler name": (lambda: sample(DENOISER, "ddim", X, uniform(2)), "sampler is of type str"),
    "array": (lambda: sample(DENOISER, Ddim(), X.numpy(), uniform(2)), "x is of type ndarray"),
    "number of steps": (
        lambda: sample(DENOISER, Ddim(), X, 10),
        r"times is of type int; .*tensor",
    ),
    "list of times": (lambda: sample(DENOISER, Ddim(), X, [1.0, 0.0]), "times is of type list"),
    "tensor as condition": (
        lambda: sample(DENOISER, Ddim(), X, uniform(2), cond=torch.zeros(2, 3)),
        r"cond is of type Tensor; expected a Condition",
    ),
    "dictionary as condition": (
        lambda: sample(DENOISER, Ddim(), X, uniform(2), cond={"vector": X}),
        "cond is of type dict",
    ),
    "condition of a network": (
        lambda: UNET(X, torch.zeros(2), torch.zeros(2, 3)),
        "cond is of type Tensor",
    ),
    "condition of a transformer": (
        lambda: DiT(1, 1, 1, width=8, depth=1, heads=1, patch=1)(X, torch.zeros(2), {}),
        "cond is of type dict",
    ),
    "adaptive condition": (
        lambda: sample_adaptive(DENOISER, X, 0.9, 0.1, cond={}),
        "cond is of type dict",
    ),
    "generator": (
        lambda: sample(DENOISER, Ancestral(), X, uniform(2), noise=torch.Generator()),
        r"noise is of type Generator; .* Keyed",
    ),
    "seed": (
        lambda: sample(DENOISER, Ancestral(), X, uniform(2), noise=0),
        "noise is of type int",
    ),
    "class of noise": (
        lambda: sample(DENOISER, Ancestral(), X, uniform(2), noise=Keyed),
        "noise is the class Keyed",
    ),
    "time as a number": (lambda: DENOISER(X, 0.5), r"t is of type float; .*torch.tensor\(0.5\)"),
    "time of the forward process": (
        lambda: marginal(Cosine(), X, 0.5, X),
        "t is of type float",
    ),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_an_argument_of_another_kind_is_named(call, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_signals_are_refused_with_the_way_on(dtype: torch.dtype) -> None:
    x, t = torch.ones(2, 1, 4, dtype=dtype), tensor(0.5)
    for denoiser in (FromX0(Wave(), Cosine()), FromV(Wave(), Cosine())):
        for call in (
            lambda d=denoiser: sample(d, Ddim(), x, uniform(2)),
            lambda d=denoiser: d(x, t),
        ):
            with pytest.raises(ValueError, match=r"complex.*; .* as two channels"):
                call()
    with pytest.raises(ValueError, match="complex"):
        marginal(Cosine(), x, t, x)
    with pytest.raises(ValueError, match="complex"):
        sample_adaptive(DENOISER, x, 0.9, 0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_result_that_is_not_finite_is_refused(bad: float) -> None:
    """A network that diverges in one row; and one whose bad value does not reach the end."""

    def spoil(x: Tensor, t: Tensor) -> Tensor:
        estimate = torch.zeros_like(x)
        estimate[1, 0, 2] = bad
        return estimate

    with pytest.raises(ValueError, match=r"result has 1 of 8 entries .* 1 of 2 rows, the first 1"):
        sample(Function(Cosine(), spoil), Ddim(), X, uniform(3))


def test_a_start_without_its_noise_is_noticed() -> None:
    denoiser = Preconditioned(Wave(), Edm())
    z = torch.randn(2, 1, 16, generator=torch.Generator().manual_seed(0))
    times = karras(denoiser.schedule, 4)
    with pytest.warns(UserWarning, match=r"x has a root mean square of .* where .* is 80"):
        sample(denoiser, Ddim(), z, times)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sample(denoiser, Ddim(), 80 * z, times)
        sample(DENOISER, Ddim(), z, uniform(4))
        gaussian = ExactDenoiser(Gaussian(tensor([5.0]), tensor([0.01])), Cosine())
        sample(gaussian, Ddim(), 5 + 0.1 * z.reshape(-1, 1).double(), uniform(4, start=0.1))


def test_conditions_are_taken() -> None:
    denoiser = FromX0(UNet(1, 1, 1, (4,), blocks=1, embedding=4, vector_dim=3), Cosine())
    cond = Condition(vector=torch.zeros(2, 3))
    assert sample(denoiser, Ddim(), X, uniform(2), cond=cond).shape == X.shape


class Doubled(nn.Module):
    """Not a Denoiser by birth, but one in all that is used of it."""

    def __init__(self, inner: FromV) -> None:
        super().__init__()
        self.schedule, self.check, self.on_grid = inner.schedule, inner.check, inner.on_grid


def test_what_behaves_as_a_denoiser_is_one() -> None:
    assert torch.equal(
        sample(Doubled(DENOISER), Ddim(), X, uniform(2)), sample(DENOISER, Ddim(), X, uniform(2))
    )
