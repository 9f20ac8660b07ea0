"""Whole pipelines of diffusers: what their own loop computes, to rounding, or one line."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from diff_core import Ancestral, Ddim, Euler, Keyed
from diff_core.interop import port
from foreign_networks import noise, unet

D = diffusers
DPM, FLOW = D.DPMSolverMultistepScheduler, D.FlowMatchEulerDiscreteScheduler
V = {"prediction_type": "v_prediction"}


class Drawn:
    """The noise that diffusers draws from one generator, a tensor a step; k = -1 is the start."""

    def __init__(self, start: Tensor) -> None:
        generator = torch.Generator().manual_seed(5)
        self.steps = [torch.randn(start.shape, generator=generator) for _ in range(30)]
        self.start = start

    def __call__(self, k: int, like: Tensor) -> Tensor:
        return self.start if k < 0 else self.steps[k]


def theirs(network: Any, scheduler: Any, steps: int, z: Tensor, **given: float) -> Tensor:
    """The loop of their pipelines."""
    scheduler.set_timesteps(steps)
    x = z * getattr(scheduler, "init_noise_sigma", 1.0)
    generator = torch.Generator().manual_seed(5)
    takes = scheduler.step.__code__.co_varnames
    if "generator" in takes:
        given = {"generator": generator, **given}
    with torch.no_grad():
        for index in scheduler.timesteps:
            scaled = x
            if hasattr(scheduler, "scale_model_input"):
                scaled = scheduler.scale_model_input(x, index)
            x = scheduler.step(network(scaled, index).sample, index, x, **given).prev_sample
    return x


CASES = {
    "ddpm": (D.DDPMScheduler(clip_sample=False), 20, {}),
    "ddpm, clipped": (D.DDPMScheduler(clip_sample_range=0.8, **V), 20, {}),
    "ddpm, thresholding": (D.DDPMScheduler(thresholding=True, **V), 10, {}),
    "ddpm, large": (D.DDPMScheduler(variance_type="fixed_large"), 10, {}),
    "ddpm, linspace": (D.DDPMScheduler(timestep_spacing="linspace", **V), 13, {}),
    "ddim": (D.DDIMScheduler(clip_sample=False), 10, {}),
    "ddim, clipped": (D.DDIMScheduler(), 10, {}),
    "ddim, eta": (D.DDIMScheduler(clip_sample_range=0.7, **V), 10, {"eta": 0.6}),
    "ddim, stable diffusion": (
        D.DDIMScheduler(
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        20,
        {},
    ),
    "ddim, not to one": (D.DDIMScheduler(clip_sample=False, set_alpha_to_one=False), 10, {}),
    "ddim, trailing": (
        D.DDIMScheduler(timestep_spacing="trailing", rescale_betas_zero_snr=True, **V),
        10,
        {},
    ),
    "euler": (D.EulerDiscreteScheduler(), 12, {}),
    "euler, leading": (D.EulerDiscreteScheduler(timestep_spacing="leading", **V), 12, {}),
    "euler, karras": (D.EulerDiscreteScheduler(use_karras_sigmas=True), 12, {}),
    "euler, exponential": (D.EulerDiscreteScheduler(use_exponential_sigmas=True), 12, {}),
    "euler, sigma_min": (D.EulerDiscreteScheduler(final_sigmas_type="sigma_min"), 12, {}),
    "euler ancestral": (D.EulerAncestralDiscreteScheduler(**V), 12, {}),
    "heun": (D.HeunDiscreteScheduler(), 8, {}),
    "heun, clipped": (D.HeunDiscreteScheduler(clip_sample=True, **V), 8, {}),
    "heun, karras": (D.HeunDiscreteScheduler(use_karras_sigmas=True), 8, {}),
    "kdpm2": (D.KDPM2DiscreteScheduler(), 8, {}),
    "dpm++ 2m": (DPM(), 20, {}),
    "dpm++ 2m, few": (DPM(), 8, {}),
    "dpm++ 2m heun, trailing": (DPM(solver_type="heun", timestep_spacing="trailing"), 10, {}),
    "dpm++ 2m, karras": (DPM(use_karras_sigmas=True), 20, {}),
    "dpm++ 2m, thresholding": (DPM(thresholding=True, **V), 20, {}),
    "dpm++ 1": (DPM(solver_order=1), 12, {}),
    "dpm++ 2m sde": (DPM(algorithm_type="sde-dpmsolver++"), 20, {}),
    "deis": (D.DEISMultistepScheduler(), 20, {}),
    "unipc": (D.UniPCMultistepScheduler(), 20, {}),
    "unipc, few": (D.UniPCMultistepScheduler(timestep_spacing="trailing", **V), 5, {}),
    "unipc, karras": (D.UniPCMultistepScheduler(use_karras_sigmas=True), 10, {}),
    "unipc 3": (D.UniPCMultistepScheduler(solver_order=3), 12, {}),
    "edm": (D.EDMEulerScheduler(sigma_max=20.0), 8, {}),
    "edm, dpm++ 2m": (D.EDMDPMSolverMultistepScheduler(sigma_max=20.0), 12, {}),
    "flow": (FLOW(shift=3.0), 8, {}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_ported_pipeline_equals_their_loop(case: str) -> None:
    scheduler, steps, given = CASES[case]
    network = unet()
    z = noise(2, 1, 8, 8)[1]
    before = dict(scheduler.config)
    ported = port.pipeline(network, scheduler, steps, **given)
    ours = ported.sample(Drawn(z), z)
    expected = theirs(network, scheduler, steps, z, **given)
    if case == "euler, sigma_min":
        # their state there is x_t / alpha(t)
        expected = expected * ported.denoiser.schedule.alpha(ported.times[-1])
    size = expected.abs().max()
    torch.testing.assert_close(ours / size, expected / size, rtol=0, atol=2e-4)
    assert dict(scheduler.config) == before


def test_noise_of_a_row_is_its_own() -> None:
    ported = port.pipeline(unet(), D.DDPMScheduler(), 10)
    like = torch.empty(3, 1, 8, 8)
    whole = ported.sample(Keyed([3, 4, 5]), like)
    torch.testing.assert_close(ported.sample(Keyed([4]), like[:1]), whole[1:2])


def test_clipping_of_ddim_is_not_that_of_the_estimate_alone() -> None:
    """Their noise is that of the estimate before it is clipped."""
    network, z = unet(), noise(2, 1, 8, 8)[1]
    ported, other = (
        port.pipeline(network, kind(clip_sample_range=0.2), 10)
        for kind in (D.DDIMScheduler, D.DDPMScheduler)
    )
    ours = ported.sample(Drawn(z), z)
    assert ours.abs().max() <= 0.2 + 1e-6
    again = port.Ported(other.denoiser, Ddim(), ported.times, 1.0).sample(Drawn(z), z)
    assert (again - ours).abs().max() > 1e-3


def test_sampler_alone() -> None:
    assert port.sampler(D.DDPMScheduler(variance_type="fixed_large")) == Ancestral(
        variance="large"
    )
    assert port.sampler(D.DDIMScheduler(clip_sample=False), eta=0.5) == Ddim(0.5)
    assert port.sampler(FLOW()) == Euler()


@pytest.mark.parametrize(
    ("scheduler", "steps", "message"),
    [
        (D.UniPCMultistepScheduler(solver_order=1), 10, "solver_order is 1; expected 2 or 3"),
        (D.UniPCMultistepScheduler(solver_type="bh1"), 10, "UniPC.* solver_type is 'bh1'"),
        (D.LMSDiscreteScheduler(), 10, "its first steps are of lower order"),
        (D.PNDMScheduler(), 10, "Runge-Kutta"),
        (D.LCMScheduler(), 4, "it scales x_0"),
        (D.TCDScheduler(), 4, "no sampler of this package makes its steps"),
        (D.DDPMScheduler(variance_type="learned_range"), 10, "'learned_range'; expected"),
        (D.DDPMScheduler(variance_type="fixed_large", steps_offset=1), 10, "the large variance"),
        (D.DDPMScheduler(thresholding=True, sample_max_value=2.0), 10, "sample_max_value = 2.0"),
        (D.DDIMScheduler(timestep_spacing="linspace"), 10, "gaps between its timesteps"),
        (D.DDIMScheduler(timestep_spacing="trailing"), 7, "gaps between its timesteps"),
        (DPM(solver_order=3), 10, "lacks a factor 2"),
        (
            DPM(algorithm_type="dpmsolver", final_sigmas_type="sigma_min"),
            10,
            "'dpmsolver'; expected",
        ),
        (DPM(final_sigmas_type="sigma_min"), 10, "'sigma_min'; expected 'zero'"),
        (DPM(use_exponential_sigmas=True), 20, "told times that are"),
        (D.DEISMultistepScheduler(solver_order=3), 20, "solver_order is 3"),
        (D.DEISMultistepScheduler(), 10, "steps is 10; expected at least 15"),
        (D.EulerDiscreteScheduler(timestep_type="continuous", **V), 10, "log.sigma. / 4"),
        (FLOW(stochastic_sampling=True), 4, "anew at every step"),
        (FLOW(use_dynamic_shifting=True), 4, "needs the size of the image"),
    ],
    ids=str,
)
def test_what_cannot_be_ported_is_one_line(scheduler: Any, steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        port.pipeline(unet(), scheduler, steps)
    assert "\n" not in str(caught.value)


def test_eta_is_of_ddim_alone() -> None:
    with pytest.raises(ValueError, match="eta is 0.5, which only DDIM has"):
        port.pipeline(unet(), D.DDPMScheduler(), 10, eta=0.5)
