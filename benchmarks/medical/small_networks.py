"""Two small networks that `generate.py` trains: a variational autoencoder, which is a
rival of the generator, and a classifier of modality, which shows what samples are good for.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SIDE", "Vae", "classify", "shrunk", "train_vae"]

SIDE = 64  # pixels that both see
SPREAD = 0.1  # standard deviation of the autoencoder's likelihood, tones

Array = NDArray[np.float32]


def shrunk(images: Array) -> Tensor:
    """(N, 1, SIDE, SIDE) of images (N, H, W), by area."""
    x = torch.from_numpy(np.ascontiguousarray(images))[:, None]
    return functional.interpolate(x, (SIDE, SIDE), mode="area")


class Vae(nn.Module):
    """D. Kingma and M. Welling, "Auto-encoding variational Bayes", 2014; told the kind of scan."""

    def __init__(self, kinds: int, latent: int = 48) -> None:
        super().__init__()
        self.latent = latent
        self.encode = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 64, 2 * latent),
        )  # fmt: skip
        self.spread = nn.Sequential(nn.Linear(latent + kinds, 64 * 64), nn.ReLU())
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1),
        )  # fmt: skip

    def images(self, z: Tensor, kind: Tensor) -> Tensor:
        """(N, 1, SIDE, SIDE) of codes (N, latent) and kinds, one of each row of (N, kinds)."""
        return self.decode(self.spread(torch.cat([z, kind], 1)).unflatten(1, (64, 8, 8)))

    def loss(self, x: Tensor, kind: Tensor) -> Tensor:
        """The negative evidence bound, nats an image."""
        mean, log_var = self.encode(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_var / 2).exp()
        error = (self.images(z, kind) - x).square().flatten(1).sum(1) / (2 * SPREAD**2)
        divergence = (mean.square() + log_var.exp() - 1 - log_var).sum(1) / 2
        return (error + divergence).mean()

    @torch.no_grad()
    def draw(self, kind: Tensor, size: int, seed: int) -> Array:
        """(N, size, size): the mean image of codes from the prior."""
        z = torch.randn(len(kind), self.latent, generator=torch.Generator().manual_seed(seed))
        made = functional.interpolate(self.images(z, kind), (size, size), mode="bilinear")
        return made[:, 0].clamp(0, 1.25).numpy()


def train_vae(images: Array, kinds: NDArray[np.int64], seconds: float, seed: int = 0) -> Vae:
    """Trained on images (N, H, W) and their kinds (N,) for so many seconds of CPU time."""
    torch.manual_seed(seed)
    x = shrunk(images)
    told = functional.one_hot(torch.from_numpy(kinds)).float()
    model = Vae(told.shape[1])
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    end = time.process_time() + seconds
    while time.process_time() < end:
        rows = torch.randint(len(x), (32,))
        loss = model.loss(x[rows], told[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def classify(
    images: Array, labels: NDArray[np.int64], tested: Array, steps: int = 250, seed: int = 0
) -> NDArray[np.int64]:
    """What a small classifier, trained on images (N, H, W), says of others (M, H, W).

    Classes weigh alike; images are mirrored, moved and of another brightness at random.
    """
    torch.manual_seed(seed)
    x, y = shrunk(images), torch.from_numpy(labels)
    count = int(y.max()) + 1
    share = torch.bincount(y, minlength=count).float()
    model = nn.Sequential(
        nn.Conv2d(1, 12, 5, 2, 2), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(),
        nn.Conv2d(24, 48, 3, 2, 1), nn.BatchNorm2d(48), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(192, count),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), 2e-3, weight_decay=1e-4)
    drawn = (1 / share)[y]
    for _ in range(steps):
        rows = torch.multinomial(drawn, 32, replacement=True)
        batch = x[rows] * (0.8 + 0.4 * torch.rand(32, 1, 1, 1))
        batch = torch.roll(batch, (*torch.randint(-4, 5, (2,)).tolist(),), (2, 3))
        if torch.rand(()) < 0.5:
            batch = batch.flip(2)
        loss = functional.cross_entropy(model(batch), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return model.eval()(shrunk(tested)).argmax(1).numpy()
