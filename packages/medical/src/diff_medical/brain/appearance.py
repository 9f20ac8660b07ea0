"""The last stage: the T1 scan that belongs to a label map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.nn import UNet
from diff_core.noise import Keyed
from diff_core.schedule import Edm
from diff_medical.brain.fractions import head_box, one_hot
from diff_medical.brain.grid import CLASSES, TISSUES, Grid
from diff_medical.brain.places import START, WAVES, Shape, waves
from diff_medical.brain.stage import MEAN, SPREAD, Near, Progress, Put, Stage
from diff_medical.generator.packing import haar, inverse_haar

__all__ = ["Appearance"]

START_NOISE, WORDS = -41, -42  # streams of a seed
TOP = 20.0  # noise level at which the residual is hidden
TYPICAL = (0.0, 0.33, 0.66, 0.98, 0.80, 0.72)
"""A typical grey level of each class; the peak of white matter is 1."""

FARTHEST = 3.0


class Appearance(Stage):
    """Diffuses the Haar subbands of a scan less the typical grey level of each voxel's class.

    Its words are five numbers: the median grey level of each class but air over that of white
    matter, in deviations from the mean of the training people.

    Buffers: `scale` (8,) of the subbands; `words_mean`, `words_scale` (5,), `words_covariance`
    (5, 5).
    """

    count, given, words = 8, 8 * TISSUES + WAVES, TISSUES

    def __init__(self, network: UNet, grid: Grid, schedule: Edm) -> None:
        super().__init__(network, grid, schedule)
        self.whole = grid.cells(2)
        self.register_buffer("scale", torch.ones(self.count))
        self.register_buffer("words_mean", torch.zeros(self.words))
        self.register_buffer("words_scale", torch.ones(self.words))
        self.register_buffer("words_covariance", torch.eye(self.words))

    def encode(self, image: Tensor, labels: Tensor) -> Tensor:
        """Return what is diffused, (B, 8, *S / 2), of scans and labels (B, *S)."""
        return residual(image, labels) / self._beside(image)

    def decode(self, x: Tensor, labels: Tensor) -> Tensor:
        """The inverse of `encode`: scans (B, *S)."""
        return (inverse_haar(x * self._beside(x), 3, 1) + typical(labels).to(x))[:, 0]

    def measured(self, contrast: Tensor) -> Tensor:
        """Return the words (B, 5) of medians over that of white matter (B, 5)."""
        deviations = contrast - self.get_buffer("words_mean")
        return (deviations / self.get_buffer("words_scale")).clamp(-FARTHEST, FARTHEST)

    def asked(self, seeds: Sequence[int]) -> Tensor:
        """Draw words (B, 5) as they are distributed over the training people, as a Gaussian."""
        covariance = self.get_buffer("words_covariance").double()
        z = Keyed(seeds)(WORDS, covariance.new_empty(len(seeds), self.words))
        # white matter is 1 for all, so that its row is 0
        factor = torch.linalg.cholesky(covariance + 1e-3 * torch.eye(5).to(covariance))
        return (z @ factor.T).clamp(-2, 2).float()

    def channels(self, labels: Tensor, start: Shape = START) -> Tensor:
        """`Condition.channels` (B, 52, *S / 2) for labels (B, *S) of a crop from cell `start`."""
        bands = haar(one_hot(labels), 3, 1)
        coarse = (bands[:, :TISSUES] / 8**0.5 - MEAN) / SPREAD
        x, y, z = bands.shape[2:]
        place = waves((x, y, z), start, self.whole).to(bands)
        return torch.cat(
            [coarse, bands[:, TISSUES:] * 1.5, place.expand(len(bands), -1, -1, -1, -1)], 1
        )

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """E[x_0 | x_t] (B, 8, *S), 0 in cells of air."""
        assert cond is not None and cond.channels is not None
        shares = cond.channels[:, :TISSUES] * SPREAD + MEAN
        head = shares.sum(1, keepdim=True) > 0.01
        return super().forward(x_t, t, cond) * head.to(x_t)

    def sample(
        self,
        labels: Tensor,
        seeds: Sequence[int],
        steps: int,
        words: Tensor | None = None,
        *,
        near: Tensor | None = None,
        strength: float = 1.0,
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw scans (B, *S) of label maps (B, *S), within the head's box, one head at a time.

        White matter is about 1, and air 0. Words default to all 0, of which nothing is said.
        near: scans (B, *S) whose relatives are drawn, and `strength` as for `Near`
        """
        words = torch.zeros(len(seeds), self.words) if words is None else words
        image = torch.zeros(labels.shape)
        device = self.get_buffer("scale").device
        for row, seed in enumerate(seeds):
            box = head_box(labels[row] > 0, 8)
            part = labels[(slice(row, row + 1), *box)].to(device)
            x, y, z = (side.start // 2 for side in box)
            cond = Condition(
                vector=words[row : row + 1].to(device), channels=self.channels(part, (x, y, z))
            )

            def share(done: float, row: int = row) -> None:
                if progress:
                    progress((row + done) / len(seeds))

            here = None
            if near is not None:
                scan = near[(slice(row, row + 1), *box)].to(device)
                here = Near(self.encode(scan, part), strength)
            drawn = self.drawn(
                [n // 2 for n in part.shape[1:]], [seed], steps, cond,
                stream=START_NOISE, top=TOP, near=here, progress=share,
            )  # fmt: skip
            made = self.decode(drawn, part).clamp_min(0) * (part > 0)
            image[(row, *box)] = made[0].cpu()
        return image

    def fill(self, labels: Tensor, cond: Condition, put: Put, seed: int, steps: int) -> Tensor:
        """Draw scans (1, *S) of labels of a crop, of which a part is known: `put` puts it into an
        estimate of what is diffused.
        """
        cells = [n // 2 for n in labels.shape[1:]]
        drawn = self.drawn(cells, [seed], steps, cond, stream=START_NOISE, top=TOP, put=put)
        return self.decode(drawn, labels).clamp_min(0) * (labels > 0)

    def _beside(self, like: Tensor) -> Tensor:
        return self.get_buffer("scale").to(like)[:, None, None, None]


def contrast(image: Tensor, labels: Tensor) -> Tensor:
    """Return the median (5,) of each class but air over that of white matter; 0 for none.

    image, labels: (*S)
    """
    medians = [
        float(image[labels == k].float().median()) if (labels == k).any() else 0.0
        for k in range(1, len(CLASSES))
    ]
    return torch.tensor([median / max(medians[2], 1e-3) for median in medians])


def typical(labels: Tensor) -> Tensor:
    """Return the typical grey level (B, 1, *S) of labels (B, *S)."""
    return torch.tensor(TYPICAL, device=labels.device)[labels.long()][:, None]


def residual(image: Tensor, labels: Tensor) -> Tensor:
    """Return the subbands (B, 8, *S / 2) of scans (B, *S) less their typical grey levels."""
    return haar(image[:, None] - typical(labels).to(image), 3, 1)
