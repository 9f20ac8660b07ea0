"""The rows of docs/core/conversions.md, against the libraries themselves."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDPMScheduler as MonaiDdpm
from monai.networks.schedulers import RFlowScheduler
from torch import Tensor

from diff_core import (
    Cosine,
    Edm,
    FromFlow,
    RectifiedFlow,
    Tabulated,
    VarianceExploding,
    karras,
    log_snr,
    marginal,
    uniform,
)
from diff_core.grid import trailing
from diff_core.schedule import ShiftedSnr, Sigmoid
from diff_core.tables import (
    from_betas,
    from_noise_levels,
    linear,
    scaled_linear,
    zero_terminal_snr,
)

ENTRIES = torch.arange(1, 1001, dtype=torch.float64) / 1000


def squares(schedule: Tabulated) -> Tensor:
    return torch.tensor(schedule.alphas_cumprod, dtype=torch.float64)


def close(ours: Tensor, theirs: Tensor, rtol: float = 2e-5) -> None:
    # theirs are float32, multiplied up over 1000 entries
    torch.testing.assert_close(ours, theirs.double(), rtol=rtol, atol=1e-7)


def test_diffusers_betas() -> None:
    close(squares(linear()), diffusers.DDPMScheduler(beta_schedule="linear").alphas_cumprod)
    theirs = diffusers.DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )
    close(squares(scaled_linear()), theirs.alphas_cumprod)
    theirs = diffusers.DDPMScheduler(beta_schedule="sigmoid")
    close(squares(from_betas(theirs.betas.double().tolist())), theirs.alphas_cumprod)


def test_diffusers_cosine_is_ours_with_an_offset() -> None:
    # their alpha^2 at t is cos^2((t + 0.008) / 1.008 pi / 2), over that at 0, with beta <= 0.999
    theirs = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
    moved = Cosine().alpha((ENTRIES + 0.008) / 1.008) ** 2
    moved = moved / Cosine().alpha(torch.tensor(0.008 / 1.008, dtype=torch.float64)) ** 2
    close(moved[:-1], theirs[:-1], rtol=1e-3)
    assert (Cosine().alpha(ENTRIES) ** 2 - theirs).abs().max() < 0.013


def test_diffusers_zero_terminal_snr() -> None:
    theirs = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        rescale_betas_zero_snr=True,
    )
    close(squares(zero_terminal_snr(scaled_linear())), theirs.alphas_cumprod, rtol=1e-3)


@pytest.mark.parametrize("steps", [4, 7, 30, 1000])
def test_diffusers_trailing_timesteps(steps: int) -> None:
    theirs = diffusers.DDIMScheduler(timestep_spacing="trailing")
    theirs.set_timesteps(steps)
    ours = trailing(1000, steps)[:-1] * 1000 - 1
    assert ours.round().long().tolist() == theirs.timesteps.tolist()


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_diffusers_flow_match_shift(shift: float) -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    close(ShiftedSnr(RectifiedFlow(), shift).sigma(ENTRIES).flip(0), theirs.sigmas)


def test_diffusers_edm_levels() -> None:
    theirs = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)
    theirs.set_timesteps(12)
    close(Edm(80.0).sigma(karras(Edm(80.0), 12)), theirs.sigmas)
    # their c_noise, the network's time, is Preconditioned's
    level = -log_snr(Edm(80.0), karras(Edm(80.0), 12)[:-1])
    close(level / 4, theirs.timesteps)


def test_diffusers_karras_on_a_table() -> None:
    theirs = diffusers.EulerDiscreteScheduler(beta_schedule="linear", use_karras_sigmas=True)
    theirs.set_timesteps(9)
    path = linear()
    levels = (-log_snr(path, ENTRIES)).exp()
    times = karras(path, 9, sigma_min=levels[0].item(), sigma_max=levels[-1].item())
    close((-log_snr(path, times[:-1])).exp(), theirs.sigmas[:-1], rtol=1e-4)


def test_noise_levels_of_any_table() -> None:
    edges = np.geomspace(0.01, 50, 200)
    path = from_noise_levels(edges.tolist())
    t = torch.arange(1, 201, dtype=torch.float64) / 200
    torch.testing.assert_close((-log_snr(path, t)).exp(), torch.as_tensor(edges))
    # the same state, scaled to unit variance
    exploding = VarianceExploding()
    t = torch.tensor([0.2, 0.7, 1.0], dtype=torch.float64)
    path = from_noise_levels(exploding.sigma(t).tolist())
    torch.testing.assert_close(
        path.sigma(torch.arange(1, 4, dtype=torch.float64) / 3),
        exploding.sigma(t) / (1 + exploding.sigma(t) ** 2).sqrt(),
    )
    assert from_noise_levels([0.1, 1.0, float("inf")]).alphas_cumprod[-1] == 0


@pytest.mark.parametrize(
    ("name", "keywords", "ours"),
    [
        ("linear_beta", {"beta_start": 1e-4, "beta_end": 0.02}, linear()),
        (
            "scaled_linear_beta",
            {"beta_start": 0.0015, "beta_end": 0.0195},
            scaled_linear(0.0015, 0.0195),
        ),
    ],
)
def test_monai_betas(name: str, keywords: dict[str, float], ours: Tabulated) -> None:
    theirs = MonaiDdpm(num_train_timesteps=1000, schedule=name, **keywords)
    close(squares(ours), theirs.alphas_cumprod)


def test_monai_cosine_is_ours_with_an_offset() -> None:
    # no cap: their entry i is at t = i / N, the entry of t = 0 among them; ours begin after it
    theirs = MonaiDdpm(num_train_timesteps=1000, schedule="cosine").alphas_cumprod.double()
    assert (Cosine().alpha(ENTRIES) ** 2 - theirs).abs().max() < 0.015


def test_monai_rectified_flow() -> None:
    # its velocity is x_0 - z: FromFlow of the negated network
    theirs = RFlowScheduler(num_train_timesteps=1000)
    theirs.set_timesteps(10)
    x_0, z = torch.randn(2, 3, 1, 8, 8).unbind()
    steps = torch.tensor([10, 500, 990])
    t = steps / 1000
    x_t = marginal(RectifiedFlow(), x_0, t, z)
    torch.testing.assert_close(theirs.add_noise(x_0, z, steps), x_t)

    class Negated(torch.nn.Module):
        def forward(self, x: Tensor, time: Tensor, cond: None) -> Tensor:
            return -(x_0 - z)

    estimate = FromFlow(Negated(), RectifiedFlow())(x_t, t)
    torch.testing.assert_close(estimate, x_0, rtol=1e-4, atol=1e-5)
    _, theirs_0 = theirs.step((x_0 - z)[1], 500, x_t[1], 400)
    torch.testing.assert_close(theirs_0, estimate[1], rtol=1e-4, atol=1e-5)


def test_entries_are_at_whole_steps() -> None:
    # step i of a table (0 the cleanest) is t = (i + 1) / N
    path = linear()
    torch.testing.assert_close(path.alpha(ENTRIES) ** 2, squares(path), rtol=1e-11, atol=0)
    assert trailing(1000, 1000).tolist() == pytest.approx(uniform(1000).tolist())


def test_sigmoid_is_not_the_sigmoid_of_betas() -> None:
    # "sigmoid" of diffusers and MONAI is a curve of beta, that of Jabri et al. one of alpha^2
    theirs = diffusers.DDPMScheduler(beta_schedule="sigmoid").alphas_cumprod
    assert (Sigmoid().alpha(ENTRIES) ** 2 - theirs).abs().max() > 0.1


@pytest.mark.parametrize(
    ("first", "last", "steps"), [(0.0, 0.02, 1000), (0.02, 0.01, 1000), (1e-4, 0.02, 1)]
)
def test_bad_betas(first: float, last: float, steps: int) -> None:
    with pytest.raises(ValueError, match="expected 0 < beta_start"):
        linear(first, last, steps)
