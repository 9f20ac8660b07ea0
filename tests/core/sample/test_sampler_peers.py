"""Samplers that diffusers has too give the same as there."""

from __future__ import annotations

from typing import Any, Literal

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    FromEps,
    Keyed,
    Tabulated,
    uniform,
)
from diff_core.sample import (
    Ddim,
    Deis,
    DpmSolverPP2M,
    UniPC,
    sample,
)
from sampler_cases import (
    Function,
)

TABLE = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def ddpm_table() -> tuple[Tensor, Tabulated]:
    """DDPM's linear table as diffusers makes it (float32), in float64."""
    table = diffusers.DDIMScheduler(beta_schedule="linear").alphas_cumprod.double()
    return table, Tabulated(tuple(table.tolist()))


def eps_network(index: Tensor | float, x: Tensor) -> Tensor:
    return 0.8 * torch.sin(x) + 0.0003 * index


class Indexed(nn.Module):
    """The same noise prediction, told t where a table of 1000 steps would tell 1000 t - 1."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return eps_network(1000 * time.reshape(-1, 1, 1) - 1, x)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("steps", [5, 50])
def test_ddim_equals_diffusers(eta: float, steps: int) -> None:
    # "trailing" timesteps are the times k / steps where steps divides the table
    table, schedule = ddpm_table()
    theirs = diffusers.DDIMScheduler(
        beta_schedule="linear", clip_sample=False, timestep_spacing="trailing"
    )
    theirs.alphas_cumprod = table
    theirs.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    theirs.set_timesteps(steps)
    noise = Keyed([4, 5])
    x = start = noise(-1, torch.empty(2, 1, 8, dtype=torch.float64))
    for k, index in enumerate(theirs.timesteps):
        x = theirs.step(
            eps_network(float(index), x), index, x, eta=eta, variance_noise=noise(k, x)
        ).prev_sample
    ours = sample(FromEps(Indexed(), schedule), Ddim(eta), start, uniform(steps), noise=noise)
    torch.testing.assert_close(ours, x, rtol=1e-9, atol=1e-9)


def walked(theirs: Any, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The start of a scheduler of diffusers, and where its steps end."""
    theirs.set_timesteps(steps)
    x = start = Keyed([4, 5])(-1, torch.empty(2, 1, 8, dtype=torch.float64))
    for index in theirs.timesteps:
        x = theirs.step(eps_network(float(index), x), index, x).prev_sample
    return start, x


@pytest.mark.parametrize(("ours", "solver_type"), [("midpoint", "midpoint"), ("heun", "heun")])
@pytest.mark.parametrize("steps", [10, 40])
def test_dpm_solver_equals_diffusers(ours: str, solver_type: str, steps: int) -> None:
    # their noise levels are rounded to float32
    _, schedule = ddpm_table()
    theirs = diffusers.DPMSolverMultistepScheduler(
        beta_schedule="linear",
        timestep_spacing="trailing",
        solver_type=solver_type,
        final_sigmas_type="zero",
    )
    start, x = walked(theirs, steps)
    got = sample(
        FromEps(Indexed(), schedule), DpmSolverPP2M(correction=ours), start, uniform(steps)
    )
    torch.testing.assert_close(got, x.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("steps", [10, 40])
def test_unipc_equals_diffusers(steps: int, order: Literal[2, 3]) -> None:
    _, schedule = ddpm_table()
    theirs = diffusers.UniPCMultistepScheduler(
        beta_schedule="linear",
        timestep_spacing="trailing",
        solver_order=order,
        final_sigmas_type="zero",
    )
    start, x = walked(theirs, steps)
    ours = UniPC(order, correction="midpoint")
    got = sample(FromEps(Indexed(), schedule), ours, start, uniform(steps))
    torch.testing.assert_close(got, x.double(), rtol=1e-4, atol=1e-4)


def data_network(x: Tensor) -> Tensor:
    return torch.tanh(x) * 0.9


@pytest.mark.parametrize("steps", [10, 40])
def test_euler_ancestral_is_ddim_with_eta_one(steps: int) -> None:
    # theirs is in y = x / alpha, float32 levels, and draws from torch's generator
    theirs = diffusers.EulerAncestralDiscreteScheduler(
        beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing", prediction_type="sample"
    )
    theirs.config.prediction_type = "epsilon"
    theirs.set_timesteps(steps)
    path = Tabulated(tuple(TABLE))
    times = uniform(steps)
    x = torch.randn(2, 1, 8)
    drawn: list[Tensor] = []
    generator, again = (torch.Generator().manual_seed(3) for _ in range(2))
    y = x / path.alpha(times[0]).float()
    for k, index in enumerate(theirs.timesteps):
        alpha, sigma = path.alpha(times[k]).float(), path.sigma(times[k]).float()
        theirs.is_scale_input_called = True
        estimate = data_network(alpha * y)
        noise = (y - estimate) * alpha / sigma
        y = theirs.step(noise, index, y, generator=generator).prev_sample
        drawn.append(torch.randn(x.shape, generator=again))
    got = sample(
        Function(path, lambda x, t: data_network(x)),
        Ddim(eta=1.0),
        x,
        times,
        noise=lambda k, like: drawn[k],
    )
    torch.testing.assert_close(got, y, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("correction", ["midpoint", "heun"])
@pytest.mark.parametrize("steps", [10, 40])
def test_two_m_sde_equals_diffusers(correction: str, steps: int) -> None:
    theirs = diffusers.DPMSolverMultistepScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        timestep_spacing="trailing",
        prediction_type="sample",
        algorithm_type="sde-dpmsolver++",
        solver_type=correction,
        final_sigmas_type="zero",
    )
    theirs.set_timesteps(steps)
    path, noise = Tabulated(tuple(TABLE)), Keyed([4, 5])
    x = start = noise(-1, torch.empty(2, 1, 8, dtype=torch.float64))
    for k, index in enumerate(theirs.timesteps):
        x = theirs.step(data_network(x), index, x, variance_noise=noise(k, x)).prev_sample
    got = sample(
        Function(path, lambda x, t: data_network(x)),
        DpmSolverPP2M(correction=correction, eta=1.0),
        start,
        uniform(steps),
        noise=noise,
    )
    torch.testing.assert_close(got, x.double(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [10, 40])
def test_deis_equals_diffusers(steps: int) -> None:
    theirs = diffusers.DEISMultistepScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        timestep_spacing="trailing",
        prediction_type="sample",
        solver_order=2,
    )
    theirs.set_timesteps(steps)
    path = Tabulated(tuple(TABLE))
    x = start = torch.randn(2, 1, 8, dtype=torch.float64)
    # their last step, to the table's first entry or to zero, is of another kind: stop before it
    for index in theirs.timesteps[:-1]:
        x = theirs.step(data_network(x), index, x).prev_sample
    denoiser = Function(path, lambda x, t: data_network(x))
    got = sample(denoiser, Deis(order=2), start, uniform(steps)[:-1])
    torch.testing.assert_close(got, x.double(), rtol=1e-3, atol=1e-3)
