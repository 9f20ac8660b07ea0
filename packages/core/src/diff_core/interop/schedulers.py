"""The sampler that makes the steps of a scheduler of diffusers, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import Tensor

from diff_core.interop.diffusers import settings_of
from diff_core.noise import Noise
from diff_core.sample import (
    Ancestral,
    Ddim,
    Deis,
    Denoise,
    Dpm2,
    DpmSolverPP2M,
    Euler,
    Heun,
    Memory,
    Plan,
    Sampler,
    UniPC,
)
from diff_core.schedule import Schedule

__all__ = ["ClippedDdim", "limit_of", "name_of", "refuse", "sampler"]

Settings = dict[str, Any]


@dataclass(frozen=True)
class ClippedDdim:
    """DDIM as diffusers clips it: x_0 is clipped to [-limit, limit], the noise is not made anew.

    In `Ddim` with `guidance.Threshold` the noise is that of the clipped x_0, which diffusers does
    with use_clipped_model_output.
    """

    order = 1

    eta: float = 0.0
    limit: float = 1.0

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows as in `Ddim`."""
        return Ddim(self.eta).plan(schedule, times)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        estimate = denoise(x, k)

        def known(x: Tensor, k: int) -> Tensor:
            return estimate

        x, memory = Ddim(self.eta).step(known, x, k, plan, memory, noise)
        excess = estimate.clamp(-self.limit, self.limit) - estimate
        return x.add_(excess, alpha=plan.alpha[k + 1]), memory


def sampler(scheduler: Any, *, steps: int | None = None, eta: float = 0.0) -> Sampler:
    """Return the sampler whose steps are those of the scheduler.

    steps: of the walk, where known: some schedulers change their method by it
    eta: of DDIM

    Raises ValueError for a scheduler, or settings of one, that no sampler here equals.
    """
    name, settings = name_of(scheduler), settings_of(scheduler)
    if name not in _SAMPLERS:
        why = _REFUSED.get(name, "no sampler of this package makes its steps")
        refuse(name, why)
    if eta != 0 and not name.startswith("DDIM"):
        refuse(name, f"eta is {eta}, which only DDIM has")
    if name.startswith("DDIM"):
        limit = limit_of(name, settings)
        return Ddim(eta) if limit is None else ClippedDdim(eta, limit)
    return _SAMPLERS[name](name, settings, steps)


def _ddpm(name: str, settings: Settings, steps: int | None) -> Sampler:
    kind = settings["variance_type"]
    if kind in ("fixed_small", "fixed_small_log"):
        return Ancestral()
    if kind != "fixed_large":
        refuse(name, f"variance_type is {kind!r}; expected 'fixed_small' or 'fixed_large'")
    if settings["steps_offset"]:
        refuse(name, "with steps_offset its last step adds the large variance to x_0")
    return Ancestral(variance="large")


def _euler(name: str, settings: Settings, steps: int | None) -> Sampler:
    if settings.get("timestep_type", "discrete") != "discrete":
        refuse(name, "timestep_type is 'continuous': its network is told log(sigma) / 4")
    return Euler()


def _flow(name: str, settings: Settings, steps: int | None) -> Sampler:
    if settings["stochastic_sampling"]:
        refuse(name, "stochastic_sampling draws x_0 anew at every step")
    if settings["use_dynamic_shifting"]:
        refuse(name, "use_dynamic_shifting needs the size of the image; expected a fixed `shift`")
    return Euler()


def _dpm(name: str, settings: Settings, steps: int | None) -> Sampler:
    kind, order = settings["algorithm_type"], settings["solver_order"]
    if kind not in ("dpmsolver++", "sde-dpmsolver++"):
        refuse(name, f"algorithm_type is {kind!r}; expected 'dpmsolver++' or 'sde-dpmsolver++'")
    if settings["final_sigmas_type"] != "zero":
        refuse(name, f"final_sigmas_type is {settings['final_sigmas_type']!r}; expected 'zero'")
    eta = 1.0 if kind.startswith("sde") else 0.0
    if order == 1:
        return Ddim(eta)
    if order != 2:
        refuse(
            name,
            f"solver_order is {order}: its formula lacks a factor 2, unlike DpmSolverPP3M; "
            "expected 1 or 2",
        )
    return DpmSolverPP2M(correction=settings["solver_type"], eta=eta)


def _unipc(name: str, settings: Settings, steps: int | None) -> Sampler:
    expected = {
        "solver_type": "bh2",
        "predict_x0": True,
        "final_sigmas_type": "zero",
        "disable_corrector": [],
    }
    for key, value in expected.items():
        if settings[key] != value:
            refuse(name, f"{key} is {settings[key]!r}; expected {value!r}")
    order = settings["solver_order"]
    if order not in (2, 3):
        refuse(name, f"solver_order is {order}; expected 2 or 3")
    return UniPC(p=order, correction="midpoint")


def _deis(name: str, settings: Settings, steps: int | None) -> Sampler:
    if settings["solver_order"] != 2:
        refuse(
            name,
            f"solver_order is {settings['solver_order']}; expected 2, as its first "
            "steps are of lower order",
        )
    if settings["lower_order_final"] and steps is not None and steps < 15:
        refuse(name, f"steps is {steps}; expected at least 15, or lower_order_final=False")
    return Deis(order=2)


def _fixed(method: Sampler) -> Callable[[str, Settings, int | None], Sampler]:
    return lambda name, settings, steps: method


_SAMPLERS: dict[str, Callable[[str, Settings, int | None], Sampler]] = {
    "DDPM": _ddpm,
    "DDPMParallel": _ddpm,
    "DDIM": _fixed(Ddim()),
    "DDIMParallel": _fixed(Ddim()),
    "EulerDiscrete": _euler,
    "EulerAncestralDiscrete": _fixed(Ddim(eta=1.0)),
    "HeunDiscrete": _fixed(Heun()),
    "KDPM2Discrete": _fixed(Dpm2()),
    "DPMSolverMultistep": _dpm,
    "DEISMultistep": _deis,
    "UniPCMultistep": _unipc,
    "EDMEuler": _fixed(Euler()),
    "EDMDPMSolverMultistep": _dpm,
    "FlowMatchEulerDiscrete": _flow,
}
_REFUSED = {
    "LMSDiscrete": "its first steps are of lower order than those of Lms",
    "PNDM": "its first steps are of a Runge-Kutta method in the noise",
    "FlowMatchHeunDiscrete": "it is Heun's method in flow time; Heun here is in sigma / alpha",
    "DPMSolverSinglestep": "it takes two or three times of its grid for one step",
    "LCM": "it scales x_0 near t = 0; Consistency does not",
    "KDPM2AncestralDiscrete": "no sampler of this package adds noise to Dpm2",
}


def name_of(scheduler: Any) -> str:
    """The name of a scheduler's class, without its last word."""
    return type(scheduler).__name__.removesuffix("Scheduler")


def refuse(name: str, why: str) -> NoReturn:
    """Raise ValueError for a scheduler that nothing here equals."""
    raise ValueError(f"{name}Scheduler cannot be ported: {why}")


def limit_of(name: str, settings: Settings) -> float | None:
    """The bound of the estimates of x_0, None without one."""
    if settings.get("thresholding"):
        if settings["sample_max_value"] > 1:
            refuse(
                name,
                f"thresholding goes up to sample_max_value = {settings['sample_max_value']}; "
                "expected 1, or none and guidance.Threshold(denoiser, quantile=...) by hand",
            )
        return 1.0
    return float(settings["clip_sample_range"]) if settings.get("clip_sample") else None
