"""Losses and bounds, against entropies by enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from categorical_cases import CHAINS, ENTRIES, K, dependent_law, generator_matrix, tensor
from diff_core import Cosine, RectifiedFlow
from diff_core.discrete import (
    Absorbing,
    CategoricalDenoiser,
    Chain,
    EvidenceBound,
    ExactCategorical,
    Hybrid,
    Law,
    Uniform,
    bits_per_token,
    evidence_bound,
    one_hot,
)

LAW = dependent_law()
CLEAN = Law.configurations(K, ENTRIES)


class Tilted(CategoricalDenoiser):
    """A denoiser that is wrong: the exact one with categories weighed up and down.

    Its wrong categories become as rare at small t as the right ones: the bound stays finite.
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.exact = ExactCategorical(LAW, chain)

    def forward(self, x_t: Tensor, t: Tensor, cond=None) -> Tensor:
        tilted = self.exact(x_t, t) * tensor([3.0, 1.0, 0.5])[:, None]
        return self.chain.known(tilted / tilted.sum(1, keepdim=True), x_t)


@pytest.fixture(params=list(CHAINS))
def chain(request: pytest.FixtureRequest) -> Chain:
    return CHAINS[request.param]


def pairs(chain: Chain, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All x_0 and x_t that go together, and the probability of each pair: (N, n) twice, (N,)."""
    seen = Law.configurations(chain.states, ENTRIES)
    chance = (LAW.probabilities[:, None] * LAW.chances(chain, seen, t)).flatten()
    likely = chance > 0
    x_0, x_t = CLEAN.repeat_interleave(len(seen), 0), seen.repeat(len(CLEAN), 1)
    return x_0[likely], x_t[likely], chance[likely]


def expected_rate(denoiser: CategoricalDenoiser, t: Tensor) -> float:
    """E[sum over entries of loss_rate] over x_0 and x_t, by enumeration."""
    x_0, x_t, chance = pairs(denoiser.chain, t)
    rate = denoiser.chain.loss_rate(x_0, x_t, denoiser(x_t, t), t)
    return (chance * rate.sum(1)).sum().item()


def integral(denoiser: CategoricalDenoiser, nodes: int = 24) -> float:
    """The integral of expected_rate over (0, 1), in t = u^2 (3 - 2 u), flat at both ends."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    total = 0.0
    for u, weight in zip((points + 1) / 2, weights / 2, strict=True):
        total += weight * 6 * u * (1 - u) * expected_rate(denoiser, tensor(u * u * (3 - 2 * u)))
    return total


def gap_of_the_prior(chain: Chain) -> float:
    return (LAW.probabilities * chain.prior_gap(CLEAN).sum(1)).sum().item()


def test_bound_is_tight_for_the_exact_denoiser(chain: Chain) -> None:
    # what is lost beside the entropy is the prior's: KL(q(x_1) || stationary), of the whole x_1
    bound = integral(ExactCategorical(LAW, chain)) + gap_of_the_prior(chain)
    end = LAW.at(chain, tensor(1.0))
    each = chain.stationary()[Law.configurations(chain.states, ENTRIES)].prod(1)
    lost = (torch.xlogy(end, end) - torch.xlogy(end, each)).sum().item()
    assert bound == pytest.approx(LAW.entropy() + lost, rel=2e-4)


def test_bound_is_larger_for_any_other(chain: Chain) -> None:
    assert integral(Tilted(chain)) > integral(ExactCategorical(LAW, chain)) + 0.01


@pytest.mark.parametrize("name", [n for n, c in CHAINS.items() if not isinstance(c, Absorbing)])
def test_score_entropy_is_written_out_as_in_the_paper(name: str) -> None:
    # sum over y of Q(y, x) (s - r ln s + r ln r - r) with ratios of marginals, from a matrix;
    # shown entries of an absorbing chain have no score, and its closed form is tested below
    chain = CHAINS[name]
    t = tensor(0.6)
    clock = -math.log(chain.alpha(t))
    p = torch.linalg.matrix_exp(clock * generator_matrix(chain))
    q, pace = generator_matrix(chain), chain.speed(t) / chain.alpha(t)
    p_0 = torch.rand(1, K, 1).double().softmax(1)
    for x_t in range(K):
        for x_0 in range(K):
            s = (p_0[0, :, 0] / p[:, x_t]) @ p
            r = p[x_0] / p[x_0, x_t]
            terms = q[:, x_t] * (s - r * s.log() + r * r.log() - r)
            wanted = pace * (terms.sum() - terms[x_t])
            got = chain.loss_rate(torch.tensor([[x_0]]), torch.tensor([[x_t]]), p_0, t)
            torch.testing.assert_close(got[0, 0], wanted)


def test_absorbing_loss_is_that_of_mdlm() -> None:
    p_0 = torch.rand(4, K, 5).softmax(1)
    x_0 = torch.randint(K, (4, 5))
    x_t = torch.where(torch.rand(4, 5) < 0.5, K, x_0)
    t = torch.tensor([0.1, 0.4, 0.7, 1.0], dtype=torch.float64)
    surprise = -p_0.gather(1, x_0[:, None])[:, 0].log() * (x_t == K)
    linear = Absorbing(K).loss_rate(x_0, x_t, p_0, t)
    torch.testing.assert_close(linear, surprise / t.float()[:, None])
    cosine = Absorbing(K, Cosine()).loss_rate(x_0, x_t, p_0, t)
    angle = t * math.pi / 2
    weight = (math.pi / 2 * angle.sin() / (1 - angle.cos())).float()
    torch.testing.assert_close(cosine, weight[:, None] * surprise)


def test_the_absorbing_bound_is_the_same_for_every_schedule() -> None:
    both = [integral(Tilted(Absorbing(K, path))) for path in (RectifiedFlow(), Cosine())]
    assert both[0] == pytest.approx(both[1], rel=1e-4)


def test_loss_rate_is_never_negative_and_zero_for_the_truth(chain: Chain) -> None:
    x_0 = torch.randint(K, (200, 4))
    t = torch.linspace(0.001, 0.999, 200, dtype=torch.float64)
    x_t = chain.corrupt(x_0, t, torch.randn(200, 4))
    p_0 = chain.known(torch.randn(200, K, 4).softmax(1), x_t)
    assert bool((chain.loss_rate(x_0, x_t, p_0, t) >= 0).all())
    truth = chain.loss_rate(x_0, x_t, one_hot(x_0, K), t)
    assert truth.abs().max() < 1e-4


@pytest.mark.parametrize("name", ["absorbing", "uniform", "lopsided"])
def test_estimated_bound_is_unbiased(name: str) -> None:
    denoiser = Tilted(CHAINS[name])
    x_0 = LAW.sample(4000, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    nats = evidence_bound(denoiser, x_0, draws=8, generator=generator)
    wanted = (integral(denoiser) + gap_of_the_prior(denoiser.chain)) / ENTRIES
    error = nats.std().item() / math.sqrt(len(nats))
    assert nats.mean().item() == pytest.approx(wanted, abs=4 * error)
    assert error < 0.02 * wanted
    assert bits_per_token(nats) == pytest.approx(nats.mean().item() / math.log(2))


@pytest.mark.parametrize("objective", [EvidenceBound(0.0), Hybrid(1000, 0.0)], ids=repr)
@pytest.mark.parametrize("name", ["absorbing", "uniform", "neighbours"])
def test_objectives_estimate_the_bound(name: str, objective) -> None:
    denoiser = Tilted(CHAINS[name])
    x_0 = LAW.sample(20_000, torch.Generator().manual_seed(3))
    losses = torch.cat(
        [
            objective(denoiser, {"x_0": rows}, torch.Generator().manual_seed(i))
            for i, rows in enumerate(x_0.split(1000))
        ]
    )
    wanted = integral(denoiser) / ENTRIES
    error = losses.std().item() / math.sqrt(len(losses))
    # a walk of 1000 steps is longer than the limit by one part in a hundred at most
    assert losses.mean().item() == pytest.approx(wanted, abs=4 * error + 0.01 * wanted)


def hybrid_bound(denoiser: CategoricalDenoiser, steps: int) -> float:
    """D3PM's bound of a walk by enumeration: the mean of the loss without cross-entropy."""
    from diff_core.discrete.objective import step_gap

    total = 0.0
    for i in range(steps):
        s, t = tensor(i / steps), tensor((i + 1) / steps)
        x_0, x_t, chance = pairs(denoiser.chain, t)
        gap = step_gap(denoiser, x_0, x_t, denoiser(x_t, t), s, t)
        total += (chance * gap.sum(1)).sum().item()
    return total


@pytest.mark.parametrize("name", ["absorbing", "uniform"])
def test_the_bound_of_a_walk_falls_to_the_continuous_one(name: str) -> None:
    denoiser = ExactCategorical(LAW, CHAINS[name])
    limit = integral(denoiser)
    gaps = [hybrid_bound(denoiser, steps) - limit for steps in (4, 8, 16)]
    assert all(gap > 0 for gap in gaps)
    assert all(1.6 < a / b < 2.4 for a, b in zip(gaps, gaps[1:], strict=False)), gaps


def test_cross_entropy_of_the_hybrid() -> None:
    denoiser = Tilted(CHAINS["uniform"])
    batch = {"x_0": LAW.sample(50, torch.Generator().manual_seed(4))}
    with_it, without = (
        Hybrid(10, share)(denoiser, batch, torch.Generator().manual_seed(5))
        for share in (0.5, 0.0)
    )
    assert bool((with_it > without).all())


@pytest.mark.parametrize("objective", [EvidenceBound(), Hybrid(20)], ids=repr)
def test_padding_has_no_effect(objective) -> None:
    class Own(CategoricalDenoiser):
        """Entry by entry, so that padding cannot matter but in the mean."""

        def forward(self, x_t: Tensor, t: Tensor, cond=None) -> Tensor:
            p = torch.tensor([0.5, 0.3, 0.2])[:, None].expand(len(x_t), -1, x_t.shape[1])
            return self.chain.known(p, x_t)

    x_0 = torch.randint(K, (2, 6))
    losses: list[Tensor] = []
    for filler in (0, 2):
        x_0[1, 4:] = filler
        batch = {"x_0": x_0, "lengths": torch.tensor([6, 4])}
        losses.append(objective(Own(Absorbing(K)), batch, torch.Generator().manual_seed(6)))
    assert torch.equal(losses[0], losses[1])


def test_times_are_spread_evenly() -> None:
    from diff_core.discrete.objective import even_times

    times = even_times(50, torch.Generator().manual_seed(0))
    assert torch.equal((times * 50).floor().long(), torch.arange(50))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EvidenceBound(0.5), "margin is 0.5"),
        (lambda: Hybrid(0), "steps >= 1"),
        (lambda: evidence_bound(Tilted(Uniform(K)), CLEAN, draws=0), "draws is 0"),
    ],
)
def test_bad_settings_are_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
