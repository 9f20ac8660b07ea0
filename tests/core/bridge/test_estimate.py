"""The estimate of a loss: where on the bridge it is taken, and what it is told."""

import pytest
import torch

from diff_core import Edm
from diff_core.bridge import SchroedingerBridge, bridge_estimate, check_bridge_times
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.schedule import Schedule


class Told(Denoiser):
    """Returns x_t, and keeps what it was given."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.config = {}

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, cond: Condition | None = None
    ) -> torch.Tensor:
        self.t, self.cond = t, cond
        return x_t


def test_the_end_of_the_bridge_is_y_and_y_is_told() -> None:
    denoiser = Told(SchroedingerBridge())
    x_0, y = torch.randn(64, 2, 3), torch.randn(64, 2, 3)
    generator = torch.Generator().manual_seed(0)
    found = bridge_estimate(denoiser, x_0, y, generator, one_step=1.0, t_min=0.1)
    torch.testing.assert_close(found, y, atol=1e-4, rtol=0)
    assert (denoiser.t == 1).all() and denoiser.cond is not None
    assert denoiser.cond.channels is y


def test_times_are_in_their_range() -> None:
    denoiser = Told(SchroedingerBridge())
    x = torch.zeros(4000, 1, 1)
    generator = torch.Generator().manual_seed(0)
    bridge_estimate(denoiser, x, x, generator, one_step=0.3, t_min=0.2)
    ends = denoiser.t == 1
    assert ends.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert denoiser.t.min() >= 0.2
    assert denoiser.t[~ends].mean().item() == pytest.approx(0.6, abs=0.02)


def test_what_is_no_bridge_or_no_time_is_refused() -> None:
    x = torch.zeros(1, 1, 1)
    with pytest.raises(ValueError, match="the schedule is Edm, expected SchroedingerBridge"):
        bridge_estimate(Told(Edm()), x, x, torch.Generator(), one_step=0.5, t_min=0.1)
    for one_step, t_min in ((-0.1, 0.1), (1.1, 0.1), (0.5, 1.0), (0.5, -0.1)):
        with pytest.raises(ValueError, match="one_step must be in"):
            check_bridge_times(one_step, t_min)
