"""Small generative models of every family, on vectors of levels, for `families.py`.

All have the same body, a perceptron of three layers, the same optimiser and the same CPU time.
Data are levels (N, D), whole numbers from 0 to K - 1. A continuous family sees them spread evenly
over their level and scaled to [-1, 1]; what it draws is of that kind.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import zuko
from torch import Tensor, nn
from torch.nn import functional

from diff_core import Cosine, Edm, Keyed, Preconditioned, UniPC, karras, uniform
from diff_core.denoiser import Denoiser
from diff_core.discrete import Absorbing, Ancestral, EvidenceBound, FromLogits, evidence_bound
from diff_core.discrete.sample import sample as sample_categories
from diff_core.distil import ConsistencyDistillation
from diff_core.evaluate import log_likelihood
from diff_core.sample import Consistency, sample
from diff_core.train import Denoising, edm_weight, times

__all__ = ["FAMILIES", "Data", "Family", "Model"]

WIDTH, BATCH, RATE, KEEP = 256, 128, 1e-3, 0.999


@dataclass(frozen=True)
class Data:
    """Levels (N, D) from 0 to `levels` - 1."""

    rows: Tensor
    levels: int

    def spread(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows, each level a random place in its part of [-1, 1]."""
        inside = torch.rand(rows.shape, generator=generator)
        return (rows + inside) / self.levels * 2 - 1

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield random rows (BATCH, D) without end."""
        while True:
            yield self.rows[torch.randint(len(self.rows), (BATCH,), generator=generator)]


class Model(Protocol):
    """A trained model."""

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples (count, D) in [-1, 1]."""
        ...

    def bits(self, rows: Tensor) -> float | None:
        """Return bits an entry of levels (N, D), or a bound from above; None for neither."""
        ...


@dataclass(frozen=True)
class Family:
    """How to train a model on data for so many CPU seconds, and how it is drawn from."""

    train: Callable[[Data, float, int], Model]
    bound: str = ""


class Body(nn.Module):
    """A perceptron of three layers; `time` (B,), if there is one, is added as waves."""

    def __init__(self, inputs: int, outputs: int, *, timed: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, WIDTH)
        self.when = nn.Linear(32, WIDTH) if timed else None
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU()
        )
        self.last = nn.Linear(WIDTH, outputs)
        self.register_buffer("speeds", 2 ** torch.linspace(0, 8, 16), persistent=False)

    def forward(self, x: Tensor, time: Tensor | None = None, cond: object = None) -> Tensor:
        hidden = self.first(x)
        if self.when is not None and time is not None:
            angles = time.reshape(-1, 1).to(x) * self.speeds
            hidden = hidden + self.when(torch.cat([angles.sin(), angles.cos()], 1))
        return self.last(self.rest(hidden))


def fit(module: nn.Module, seconds: float, loss: Callable[[], Tensor], rate: float = RATE) -> None:
    """Train for CPU seconds by Adam, the rate falling to 0, and leave the averaged weights."""
    average, optimiser = copy.deepcopy(module), torch.optim.Adam(module.parameters(), lr=rate)
    begin, update = time.process_time(), 0
    while (share := (time.process_time() - begin) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * share))
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        keep, update = min(KEEP, (1 + update) / (10 + update)), update + 1
        with torch.no_grad():
            for mean, value in zip(average.parameters(), module.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
    module.load_state_dict(average.state_dict())


def in_bits(data: Data, log_density: Tensor, entries: int) -> float:
    """Return bits an entry from log-densities of spread rows: a bound on those of the levels."""
    nats = -log_density.double().mean().item() / entries
    return nats / math.log(2) - math.log2(2 / data.levels)


@dataclass
class Vae:
    """A variational autoencoder (Kingma and Welling, 2014) with 16 latents, drawn as its mean."""

    data: Data
    encoder: Body
    decoder: Body
    log_deviation: nn.Parameter

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int) -> Vae:
        """Train on the evidence bound; the decoder's deviation is learned."""
        draw, size = _seeded(seed), data.rows.shape[1]
        model = cls(data, Body(size, 32), Body(16, size), nn.Parameter(torch.tensor(-1.0)))
        module = nn.ModuleList([model.encoder, model.decoder])
        module.register_parameter("deviation", model.log_deviation)
        batches = data.batches(draw)
        fit(module, seconds, lambda: -model._bound(data.spread(next(batches), draw), draw).mean())
        return model

    def _bound(self, x: Tensor, draw: torch.Generator) -> Tensor:
        mean, log_scale = self.encoder(x).chunk(2, 1)
        latent = mean + log_scale.exp() * torch.randn(mean.shape, generator=draw)
        gap = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(1)
        error = (x - self.decoder(latent)) / self.log_deviation.exp()
        constant = self.log_deviation + 0.5 * math.log(2 * math.pi)
        return -(0.5 * error.square() + constant).sum(1) - gap

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        """Return the decoder's means, as is usual."""
        return self.decoder(torch.randn(count, 16, generator=_seeded(seed))).clamp(-1, 1)

    @torch.no_grad()
    def bits(self, rows: Tensor) -> float:
        """Return the evidence bound, the mean of 16 draws."""
        draw = _seeded(0)
        found = [self._bound(self.data.spread(rows, draw), draw) for _ in range(16)]
        return in_bits(self.data, torch.stack(found), rows.shape[1])


@dataclass
class Gan:
    """A generative adversarial network (Goodfellow et al., 2014), non-saturating, with the R1
    penalty (Mescheder et al., 2018).
    """

    generator: Body

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int) -> Gan:
        """Train both by turns, each with its Adam; half of the time is the discriminator's."""
        draw, size = _seeded(seed), data.rows.shape[1]
        generator, judge = Body(32, size), Body(size, 1)
        judging = torch.optim.Adam(judge.parameters(), lr=3e-4, betas=(0.5, 0.99))
        batches = data.batches(draw)

        def loss() -> Tensor:
            real = data.spread(next(batches), draw).requires_grad_()
            made = generator(torch.randn(BATCH, 32, generator=draw)).tanh()
            score = judge(real)
            (slope,) = torch.autograd.grad(score.sum(), real, create_graph=True)
            wrong = functional.softplus(-score).mean()
            wrong = wrong + functional.softplus(judge(made.detach())).mean()
            judging.zero_grad()
            (wrong + 0.05 * slope.square().sum(1).mean()).backward()
            judging.step()
            return functional.softplus(-judge(made)).mean()

        fit(generator, seconds, loss, 3e-4)
        return cls(generator)

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples: one call."""
        return self.generator(torch.randn(count, 32, generator=_seeded(seed))).tanh()

    def bits(self, rows: Tensor) -> None:
        """Return None: a GAN has no likelihood."""


class Masked(nn.Module):
    """Logits (B, K, D) of every entry given those before it: MADE (Germain et al., 2015)."""

    def __init__(self, size: int, levels: int) -> None:
        super().__init__()
        self.size, self.levels = size, levels
        units = torch.arange(2 * WIDTH) % (size - 1)
        before = torch.arange(size)
        self.layers = nn.ModuleList([nn.Linear(size, 2 * WIDTH), nn.Linear(2 * WIDTH, 2 * WIDTH)])
        self.last = nn.Linear(2 * WIDTH, size * levels)
        self.register_buffer("first_mask", (units[:, None] >= before).float(), persistent=False)
        self.register_buffer("mask", (units[:, None] >= units).float(), persistent=False)
        last = (before[:, None] > units).float().repeat_interleave(levels, 0)
        self.register_buffer("last_mask", last, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Levels (B, D), whole numbers, to logits."""
        hidden = x.float() / self.levels * 2 - 1
        for layer, mask in zip(self.layers, (self.first_mask, self.mask), strict=True):
            hidden = functional.silu(functional.linear(hidden, layer.weight * mask, layer.bias))
        logits = functional.linear(hidden, self.last.weight * self.last_mask, self.last.bias)
        return logits.reshape(len(x), self.size, self.levels).mT


@dataclass
class Autoregressive:
    """Entry after entry, as PixelCNN (van den Oord et al., 2016), with a masked perceptron."""

    data: Data
    network: Masked

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int) -> Autoregressive:
        """Train on the likelihood."""
        draw = _seeded(seed)
        network, batches = Masked(data.rows.shape[1], data.levels), data.batches(draw)

        def loss() -> Tensor:
            rows = next(batches)
            return functional.cross_entropy(network(rows), rows)

        fit(network, seconds, loss)
        return cls(data, network)

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples: a call for every entry."""
        draw, size = _seeded(seed), self.network.size
        rows = torch.zeros(count, size, dtype=torch.int64)
        for entry in range(size):
            chances = self.network(rows)[:, :, entry].softmax(1)
            rows[:, entry] = torch.multinomial(chances, 1, generator=draw)[:, 0]
        return self.data.spread(rows, draw)

    @torch.no_grad()
    def bits(self, rows: Tensor) -> float:
        """Return the likelihood itself."""
        return functional.cross_entropy(self.network(rows), rows).item() / math.log(2)


@dataclass
class Flow:
    """A normalising flow: neural spline couplings (Durkan et al., 2019), by zuko."""

    data: Data
    flow: zuko.flows.NSF

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int) -> Flow:
        """Train on the likelihood."""
        draw, size = _seeded(seed), data.rows.shape[1]
        flow = zuko.flows.NSF(size, transforms=4, passes=2, hidden_features=(WIDTH, WIDTH))
        batches = data.batches(draw)
        fit(flow, seconds, lambda: -flow().log_prob(data.spread(next(batches), draw)).mean())
        return cls(data, flow)

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples: one pass back."""
        torch.manual_seed(seed)
        return self.flow().sample((count,)).clamp(-1, 1)

    @torch.no_grad()
    def bits(self, rows: Tensor) -> float:
        """Return the likelihood of spread rows, a bound on that of levels."""
        return in_bits(
            self.data, self.flow().log_prob(self.data.spread(rows, _seeded(0))), rows.shape[1]
        )


class Vector(nn.Module):
    """A body for signals (B, 1, D)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.body = Body(size, size, timed=True)

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        return self.body(x[:, 0], 4 * time)[:, None]


@dataclass
class Diffusion:
    """Gaussian diffusion with EDM's scaling and weights (Karras et al., 2022)."""

    data: Data
    denoiser: Denoiser
    calls: int

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int, calls: int = 50) -> Diffusion:
        """Train on the squared error of the estimate."""
        draw = _seeded(seed)
        denoiser = Preconditioned(Vector(data.rows.shape[1]), Edm(sigma_max=20.0))
        objective = Denoising(edm_weight(), times=times.log_normal(-1.0, 1.4))
        batches = data.batches(draw)

        def loss() -> Tensor:
            x_0 = data.spread(next(batches), draw)[:, None]
            return objective(denoiser, {"x_0": x_0}, draw).mean()

        fit(denoiser, seconds, loss)
        return cls(data, denoiser, calls)

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples by UniPC; a single call is the estimate at t = 1."""
        schedule = self.denoiser.schedule
        noise = Keyed(range(seed * 10_000, seed * 10_000 + count))
        x = 20.0 * noise(-1, torch.empty(count, 1, self.data.rows.shape[1]))
        if self.calls == 1:
            grid = uniform(1)
        else:
            grid = karras(schedule, self.calls, sigma_min=0.02, sigma_max=20.0)
        return sample(self.denoiser, UniPC(), x, grid)[:, 0].clamp(-1, 1)

    def bits(self, rows: Tensor) -> float:
        """Return the likelihood of spread rows by the ODE, at a noise of 0.01."""
        draw, few = _seeded(0), rows[:64]
        x = self.data.spread(few, draw)[:, None]
        schedule = self.denoiser.schedule
        grid = karras(schedule, 24, sigma_min=0.01, sigma_max=20.0)[:-1]
        x = x + 0.01 * torch.randn(x.shape, generator=draw)
        found = log_likelihood(self.denoiser, x, grid, probe=Keyed(range(len(few))), probes=4)
        return in_bits(self.data, found, rows.shape[1])


@dataclass
class Jump:
    """A consistency model (Song et al., 2023), distilled in the second half of the time."""

    data: Data
    student: Denoiser
    calls: int

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int, calls: int = 1) -> Jump:
        """Train a diffusion model, then a copy of it that jumps."""
        teacher = Diffusion.train(data, seconds / 2, seed).denoiser
        draw, student = _seeded(seed + 1), copy.deepcopy(teacher)
        grid = karras(teacher.schedule, 24, sigma_min=0.02, sigma_max=20.0)
        objective = ConsistencyDistillation(grid, teacher)
        batches = data.batches(draw)

        def loss() -> Tensor:
            x_0 = data.spread(next(batches), draw)[:, None]
            return objective(student, {"x_0": x_0}, draw).mean()

        fit(student, seconds / 2, loss, 5e-4)
        return cls(data, student, calls)

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples by one or two jumps."""
        noise = Keyed(range(seed * 10_000, seed * 10_000 + count))
        x = 20.0 * noise(-1, torch.empty(count, 1, self.data.rows.shape[1]))
        grid = torch.tensor([1.0, 0.0] if self.calls == 1 else [1.0, 0.04, 0.0])
        return sample(self.student, Consistency(), x, grid.double(), noise=noise)[:, 0].clamp(
            -1, 1
        )

    def bits(self, rows: Tensor) -> None:
        """Return None: a jump has no likelihood."""


class Levels(nn.Module):
    """Logits (B, K, D) from states (B, D), K of which is the mask."""

    def __init__(self, size: int, levels: int) -> None:
        super().__init__()
        self.levels, self.body = levels, Body(2 * size, size * levels)

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        hidden = x == self.levels
        seen = torch.where(hidden, 0.0, x.float() / self.levels * 2 - 1)
        logits = self.body(torch.cat([seen, hidden.float()], 1))
        return logits.reshape(len(x), x.shape[1], self.levels).mT


@dataclass
class Categories:
    """Masked diffusion of the levels (Sahoo et al., 2024)."""

    data: Data
    denoiser: FromLogits
    calls: int = 32

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int) -> Categories:
        """Train on the evidence bound."""
        draw = _seeded(seed)
        network = Levels(data.rows.shape[1], data.levels)
        denoiser = FromLogits(network, Absorbing(data.levels, Cosine()))
        objective, batches = EvidenceBound(), data.batches(draw)
        fit(denoiser, seconds, lambda: objective(denoiser, {"x_0": next(batches)}, draw).mean())
        return cls(data, denoiser)

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples by ancestral steps."""
        noise = Keyed(range(seed * 10_000, seed * 10_000 + count))
        x = self.denoiser.chain.start(noise(-1, torch.empty(count, self.data.rows.shape[1])))
        rows = sample_categories(self.denoiser, Ancestral(), x, uniform(self.calls), noise=noise)
        return self.data.spread(rows, _seeded(seed))

    def bits(self, rows: Tensor) -> float:
        """Return the evidence bound."""
        nats = evidence_bound(self.denoiser, rows, generator=_seeded(0))
        return nats.mean().item() / math.log(2)


def _seeded(seed: int) -> torch.Generator:
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


FAMILIES = {
    "VAE": Family(Vae.train, "bound"),
    "GAN": Family(Gan.train),
    "autoregressive": Family(Autoregressive.train, "exact"),
    "normalising flow": Family(Flow.train, "bound"),
    "masked diffusion, 32 calls": Family(Categories.train, "bound"),
    "diffusion, 50 calls": Family(Diffusion.train, "bound"),
    "consistency, 1 call": Family(Jump.train),
}
"""How to train each; of a diffusion and a consistency model others are made with other calls."""
