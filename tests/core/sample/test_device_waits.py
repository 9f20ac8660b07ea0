"""No sampler and no guidance makes the program wait for an accelerator on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diff_core import Condition, Cosine, FromEps, FromV, Keyed, Preconditioned, uniform
from diff_core.bridge import OrnsteinUhlenbeck, sample_bridge
from diff_core.denoiser import Denoiser
from diff_core.guidance import (
    Autoguidance,
    Cfg,
    CfgPP,
    Ddrm,
    DiffPir,
    Dps,
    Interval,
    Mmps,
    PiGdm,
    Renoise,
    RePaint,
)
from diff_core.operator import Mask, Measurement
from diff_core.sample import Ancestral, Ddim, Sampler, sample
from sampler_cases import Wave, each
from stub_device import StubDevice

TIMES = uniform(5, start=0.9)


class Counted:
    """Keyed noise that counts its draws."""

    def __init__(self) -> None:
        self.keyed = Keyed([1, 2])
        self.draws = 0

    def __call__(self, k: int, like: Tensor) -> Tensor:
        self.draws += 1
        return self.keyed(k, like)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: float(x.sum()),
        lambda x: bool((x > 0).all()),
        lambda x: x.cpu(),
        lambda x: x.to("cpu", torch.float64),
        lambda x: x[x > 0],
        lambda x: torch.nonzero(x),
        lambda x: torch.equal(x, x),
        lambda x: x.max() if x.max() > 0 else x,
    ],
)
def test_the_stub_notices(read: Callable[[Tensor], object]) -> None:
    values = torch.randn(2, 3)
    with StubDevice() as device:
        x = device.put(values)
        moved = torch.add(x * 2, torch.ones(3).to(x.device)).sum(1)
        assert device.reads == [] and len(device.uploads) == 1
        read(x)
        assert device.reads != []
        torch.testing.assert_close(moved.cpu(), (values * 2 + 1).sum(1))


@each
@pytest.mark.parametrize("make", [FromV, FromEps, Preconditioned])
def test_samplers_read_nothing_back(sampler: Sampler, make: type[Denoiser]) -> None:
    x, noise = torch.randn(2, 1, 6), Counted()
    with StubDevice() as device:
        waits: list[int] = []
        got = sample(
            make(Wave(), Cosine()),
            sampler,
            device.put(x),
            TIMES,
            noise=noise,
            on_step=lambda k, x, x_0: waits.append(len(device.reads)),
        )
        assert waits == [0] * 5
        # whether the result is finite
        assert len(device.reads) == 1
        # the times of the grid, once, and the noise, which is keyed on the CPU
        assert len(device.uploads) == 1 + noise.draws
        assert got.device == device.name
        got = got.cpu()
    assert torch.equal(got, sample(make(Wave(), Cosine()), sampler, x, TIMES, noise=noise))


def test_bridges_read_nothing_back() -> None:
    y = torch.randn(2, 1, 6)
    with StubDevice() as device:
        denoiser = FromV(Wave(), OrnsteinUhlenbeck())
        sample_bridge(denoiser, Ancestral(), device.put(y), uniform(4), noise=Counted())
        # whether the result is finite
        assert len(device.reads) == 1


def cfg(measurement: Measurement) -> Denoiser:
    return Cfg(FromV(Wave(), Cosine()), null=None, weight=2.0, rescale=0.5)


GUIDED: dict[str, Callable[[Measurement], tuple[Denoiser, Sampler]]] = {
    "cfg": lambda m: (cfg(m), Ddim()),
    "cfg++": lambda m: (
        CfgPP(FromV(Wave(), Cosine()), null=None, weight=0.5, times=TIMES),
        Ddim(),
    ),
    "autoguidance": lambda m: (
        Autoguidance(FromV(Wave(), Cosine()), weak=FromEps(Wave(), Cosine()), weight=2.0),
        Ddim(),
    ),
    "interval": lambda m: (Interval(cfg(m), FromV(Wave(), Cosine()), low=0.3, high=1.0), Ddim()),
    "dps": lambda m: (Dps(FromV(Wave(), Cosine()), m, scale=0.5), Ddim()),
    "pigdm": lambda m: (PiGdm(FromV(Wave(), Cosine()), m, sigma_data=0.5), Ddim()),
    "mmps": lambda m: (Mmps(FromV(Wave(), Cosine()), m), Ddim()),
    "diffpir": lambda m: (DiffPir(FromV(Wave(), Cosine()), m), Renoise()),
    "ddrm": lambda m: (FromV(Wave(), Cosine()), Ddrm(m)),
    "repaint": lambda m: (
        FromV(Wave(), Cosine()),
        RePaint(m.operator.mask, m.y, resamplings=2),
    ),
}


@pytest.mark.parametrize("name", GUIDED)
def test_guidance_reads_nothing_back(name: str) -> None:
    # but for a linear system of unknown difficulty, where one look serves ten of its steps
    looks = 1 if name in ("pigdm", "diffpir") else 0
    x, y, mask = torch.randn(2, 1, 6), torch.randn(2, 1, 6), torch.rand(2, 1, 6) > 0.5
    with StubDevice() as device:
        # a measurement is looked at once, when it is made
        measurement = Measurement(Mask(device.put(mask)), device.put(y), sigma=0.1)
        denoiser, sampler = GUIDED[name](measurement)
        start, cond = device.put(x), Condition(vector=device.put(torch.ones(2, 1)))
        device.reads.clear()
        got = sample(denoiser, sampler, start, TIMES, noise=Counted(), cond=cond)
        # and one look at the result: whether it is finite
        assert len(device.reads) == looks * (len(TIMES) - 1) + 1
        assert bool(got.isfinite().all())
