"""VAE, GAN, autoregressive model and normalising flow, for `families.py`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import zuko
from family_parts import BATCH, WIDTH, Body, Data, fit, in_bits, seeded
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Autoregressive", "Flow", "Gan", "Vae"]

GAN_RATE, GAN_BETAS = 1e-3, (0.5, 0.99)


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
        draw, size = seeded(seed), data.rows.shape[1]
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
        return self.decoder(torch.randn(count, 16, generator=seeded(seed))).clamp(-1, 1)

    @torch.no_grad()
    def bits(self, rows: Tensor) -> float:
        """Return the evidence bound, the mean of 16 draws."""
        draw = seeded(0)
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
        draw, size = seeded(seed), data.rows.shape[1]
        generator, judge = Body(32, size), Body(size, 1)
        judging = torch.optim.Adam(judge.parameters(), lr=GAN_RATE, betas=GAN_BETAS, fused=True)
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

        fit(generator, seconds, loss, GAN_RATE, betas=GAN_BETAS, rival=judging)
        return cls(generator)

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples: one call."""
        return self.generator(torch.randn(count, 32, generator=seeded(seed))).tanh()

    def bits(self, rows: Tensor) -> None:
        """Return None: a GAN has no likelihood."""


class Masked(nn.Module):
    """Logits (B, K, D) of every entry given those before it: MADE (Germain et al., 2015)."""

    def __init__(self, size: int, levels: int) -> None:
        super().__init__()
        self.size, self.levels = size, levels
        units = torch.arange(WIDTH) % (size - 1)
        before = torch.arange(size)
        self.layers = nn.ModuleList([nn.Linear(size, WIDTH), nn.Linear(WIDTH, WIDTH)])
        self.last = nn.Linear(WIDTH, size * levels)
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
        draw = seeded(seed)
        network, batches = Masked(data.rows.shape[1], data.levels), data.batches(draw)
        network.last.bias.data.copy_(data.frequencies().flatten())

        def loss() -> Tensor:
            rows = next(batches)
            return functional.cross_entropy(network(rows), rows)

        fit(network, seconds, loss)
        return cls(data, network)

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples: a call for every entry."""
        draw, size = seeded(seed), self.network.size
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
        draw, size = seeded(seed), data.rows.shape[1]
        hidden = (WIDTH // 2, WIDTH // 2)  # of each of the four transforms
        flow = zuko.flows.NSF(size, transforms=4, passes=2, hidden_features=hidden)
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
            self.data, self.flow().log_prob(self.data.spread(rows, seeded(0))), rows.shape[1]
        )
