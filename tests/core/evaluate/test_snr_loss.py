"""Loss per log-SNR bin: the right value, an honest error bar; and the weights that rest on it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Denoiser,
    Edm,
    FromEps,
    FromX0,
    RectifiedFlow,
    Schedule,
    VariancePreserving,
    log_snr,
)
from diff_core.bridge import SchroedingerBridge
from diff_core.coefficients import broadcast
from diff_core.evaluate import SnrLoss, snr_loss
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.train import Denoising, eps_weight
from diff_core.train.objective import p2_weight
from diff_core.train.uncertainty import Uncertain, UncertaintyWeighted

EDGES = (-4.0, -2.0, 0.0, 1.0, 3.0)
VARIANCES = torch.tensor([[0.5, 2.0, 0.1]], dtype=torch.float64)
DATA = Gaussian(torch.tensor([[0.3, 0.0, -0.5]], dtype=torch.float64), VARIANCES)


def batches(count: int, rows: int, seed: int) -> Iterator[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield {"x_0": DATA.sample(rows, generator)}


def exact_loss(level: Tensor) -> Tensor:
    """Mean over entries of Var[x_0 | x_t] = c / (1 + c s), whatever the schedule."""
    return (VARIANCES / (1 + VARIANCES * torch.exp(2 * level)[:, None])).mean(1)


def exact_bins() -> list[float]:
    grids = [
        torch.linspace(low, high, 2001, dtype=torch.float64)
        for low, high in zip(EDGES, EDGES[1:], strict=False)
    ]
    return [exact_loss(grid).mean().item() for grid in grids]


class OnBridge(ExactDenoiser):
    """The best denoiser of a bridge's state, given y: that of the shifted variable."""

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        bridge = self.schedule
        assert isinstance(bridge, SchroedingerBridge) and cond and cond.channels is not None
        return super().forward(x_t - broadcast(bridge.shift(t), x_t) * cond.channels, t)


def test_loss_on_a_bridge_is_that_of_its_shifted_variable() -> None:
    denoiser = OnBridge(DATA, SchroedingerBridge())
    rows = [
        {"x_0": x, "channels": 3 * torch.randn_like(x) + 1}
        for x in (b["x_0"] for b in batches(10, 400, 1))
    ]
    found = snr_loss(denoiser, rows, EDGES, torch.Generator().manual_seed(5))
    for loss, error, expected in zip(found.loss, found.error, exact_bins(), strict=True):
        assert loss == pytest.approx(expected, abs=4 * error)
    with pytest.raises(ValueError, match="`channels`"):
        snr_loss(denoiser, batches(1, 4, 1), EDGES, torch.Generator())


@pytest.mark.parametrize("schedule", [VariancePreserving(), Edm(), RectifiedFlow()], ids=repr)
def test_loss_of_the_best_denoiser_is_the_posterior_variance(schedule: Schedule) -> None:
    generator = torch.Generator().manual_seed(5)
    found = snr_loss(ExactDenoiser(DATA, schedule), batches(10, 400, 1), EDGES, generator)
    assert found.rows == 4000 and found.edges == EDGES
    for loss, error, expected in zip(found.loss, found.error, exact_bins(), strict=True):
        assert error < 0.03 * expected
        assert abs(loss - expected) < 3.5 * error


@pytest.mark.slow
def test_error_is_the_deviation_between_runs() -> None:
    denoiser = ExactDenoiser(DATA, Cosine())
    runs: list[SnrLoss] = []
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        runs.append(snr_loss(denoiser, batches(2, 16, 1000 + seed), EDGES, generator))
    losses = torch.tensor([run.loss for run in runs], dtype=torch.float64)
    errors = torch.tensor([run.error for run in runs], dtype=torch.float64)
    # the deviation over 300 runs is itself known to 1 / sqrt(600) = 4 per cent
    claimed = errors.square().mean(0).sqrt()
    torch.testing.assert_close(losses.std(0), claimed, rtol=0.15, atol=0)
    torch.testing.assert_close(
        losses.mean(0), torch.tensor(exact_bins(), dtype=torch.float64), rtol=0.03, atol=0
    )


class Steep(Denoiser):
    """x_0 wrong by exp(-lambda) / 10 everywhere: all of the loss is in the level."""

    def __init__(self, schedule: Schedule, x_0: Tensor) -> None:
        super().__init__(schedule)
        self.x_0 = x_0

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.x_0 + 0.1 * torch.exp(-log_snr(self.schedule, t))[:, None, None]


def test_strata_leave_the_spread_within_a_part_only() -> None:
    x_0 = torch.zeros(200, 1, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    found = snr_loss(Steep(Cosine(), x_0), [{"x_0": x_0}], (-2.0, 2.0), generator)
    level = torch.linspace(-2, 2, 200_001, dtype=torch.float64)
    values = 0.01 * torch.exp(-2 * level)
    independent = values.std().item() / math.sqrt(200)
    assert found.error[0] < 0.03 * independent
    assert found.loss[0] == pytest.approx(values.mean().item(), rel=0.01)


def test_the_loss_of_each_row_is_its_own() -> None:
    class Counting(Denoiser):
        def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
            return torch.arange(len(x_t), dtype=x_t.dtype)[:, None, None].expand_as(x_t).clone()

    rows = [{"x_0": torch.zeros(4, 1, 3, dtype=torch.float64)}] * 2
    found = snr_loss(Counting(Cosine()), rows, EDGES, torch.Generator().manual_seed(0))
    # row i of a batch is wrong by i at every level
    assert found.each == ((0.0, 1.0, 4.0, 9.0) * 2,) * 4
    assert found.loss == (3.5,) * 4 and found.rows == 8


def test_weight_and_conditions_are_those_of_training() -> None:
    class Echo(nn.Module):
        def forward(self, x: Tensor, time: Tensor, cond: Condition) -> Tensor:
            assert cond.channels is not None and cond.vector is not None
            return cond.channels + cond.vector[:, :, None]

    x_0 = torch.randn(8, 1, 4, dtype=torch.float64)
    batch = {"x_0": x_0, "channels": x_0, "vector": torch.full((8, 1), 0.2).double()}
    generator = torch.Generator().manual_seed(0)
    plain = snr_loss(FromX0(Echo(), Cosine()), [batch], EDGES, generator)
    assert plain.loss == pytest.approx((0.04,) * 4) and plain.error == pytest.approx((0.0,) * 4)
    weighted = snr_loss(
        FromX0(Echo(), Cosine()), [batch], (0.0, 1e-9), generator, weight=p2_weight(2.0, 3.0)
    )
    assert weighted.loss[0] == pytest.approx(0.04 / 16)
    assert plain.scores() == {
        f"loss at {name}": pytest.approx(0.04) for name in ("-4..-2", "-2..0", "0..1", "1..3")
    }


def test_same_seed_gives_the_same_levels_and_noise_for_another_denoiser() -> None:
    runs = [
        snr_loss(
            ExactDenoiser(DATA, schedule),
            batches(1, 8, 0),
            EDGES,
            torch.Generator().manual_seed(9),
        )
        for schedule in (VariancePreserving(), RectifiedFlow())
    ]
    # one and the same problem on two schedules: the log-SNR is all that counts
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-9)


def test_bad_input_is_named() -> None:
    denoiser, generator = ExactDenoiser(DATA, VariancePreserving()), torch.Generator()
    for edges in ((0.0,), (0.0, 0.0), (1.0, 0.0), (0.0, math.inf)):
        with pytest.raises(ValueError, match="edges is"):
            snr_loss(denoiser, batches(1, 4, 0), edges, generator)
    with pytest.raises(ValueError, match="lowest log-SNR, -5.0"):
        snr_loss(denoiser, batches(1, 4, 0), (-6.0, 0.0), generator)
    with pytest.raises(ValueError, match="a batch has 3 rows"):
        snr_loss(denoiser, batches(1, 3, 0), EDGES, generator)
    with pytest.raises(ValueError, match="batches is empty"):
        snr_loss(denoiser, [], EDGES, generator)
    table_end = FromEps(nn.Identity(), Cosine())
    with pytest.raises(ValueError, match="alpha = 0"):
        snr_loss(table_end, batches(1, 4, 0), (-50.0, 0.0), generator)


def test_p2_weight_is_the_papers_on_the_error_of_eps() -> None:
    level = torch.linspace(-6, 6, 13, dtype=torch.float64)
    s = torch.exp(2 * level)
    for gamma, k in ((1.0, 1.0), (0.5, 1.0), (2.0, 0.1)):
        torch.testing.assert_close(
            p2_weight(gamma, k)(level) / eps_weight(level), (k + s) ** -gamma
        )
    torch.testing.assert_close(p2_weight(0.0)(level), eps_weight(level))
    assert p2_weight()(torch.tensor([200.0])).item() == pytest.approx(1.0)


@pytest.mark.slow
def test_uncertainty_learns_the_log_of_the_loss() -> None:
    schedule = Cosine()
    denoiser = Uncertain(ExactDenoiser(DATA, schedule)).double()
    objective = UncertaintyWeighted(Denoising(eps_weight, t_min=0.05))
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(denoiser.parameters(), 0.02)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 400)
        (batch,) = batches(1, 512, step)
        optimizer.zero_grad()
        objective(denoiser, batch, generator).mean().backward()
        optimizer.step()
    level = log_snr(schedule, torch.linspace(0.1, 0.9, 9, dtype=torch.float64))
    expected = (eps_weight(level) * exact_loss(level)).log()
    assert expected.max() - expected.min() > 2
    torch.testing.assert_close(denoiser.log_loss(level).detach(), expected, rtol=0, atol=0.1)


def test_uncertain_is_the_denoiser_with_a_plain_objective_at_the_start() -> None:
    plain = ExactDenoiser(DATA, Cosine())
    denoiser = Uncertain(plain).double()
    (batch,) = batches(1, 6, 0)
    x, t = batch["x_0"], torch.tensor(0.4, dtype=torch.float64)
    assert torch.equal(denoiser(x, t), plain(x, t))
    assert torch.equal(denoiser.on_grid(t[None], x)(x, 0), plain(x, t))
    inner = Denoising(eps_weight)
    losses = [
        objective(network, batch, torch.Generator().manual_seed(2))
        for objective, network in ((UncertaintyWeighted(inner), denoiser), (inner, plain))
    ]
    assert torch.equal(losses[0], losses[1])
    with pytest.raises(ValueError, match="expected Uncertain"):
        UncertaintyWeighted(inner)(plain, batch, torch.Generator())
    with pytest.raises(ValueError, match="t = 1 has alpha = 0"):
        Uncertain(FromEps(nn.Identity(), Cosine())).check(torch.ones(1))
