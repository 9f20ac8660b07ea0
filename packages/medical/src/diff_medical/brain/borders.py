"""The fourth stage: the label of each voxel, given the fractions in cells of two voxels.

A masked diffusion: Sahoo et al., Simple and Effective Masked Diffusion Language Models (2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.discrete import Absorbing, Ancestral, CategoricalDenoiser, FromLogits
from diff_core.discrete.draw import one_hot
from diff_core.discrete.sample import sample
from diff_core.nn import UNet
from diff_core.noise import Keyed
from diff_medical.brain.fractions import from_cells, head_box, to_cells
from diff_medical.brain.grid import CLASSES, TISSUES, Grid
from diff_medical.brain.places import START, WAVES, Shape
from diff_medical.brain.stage import Progress, check_channels, fast, shares_given

__all__ = ["Borders", "LabelNetwork", "draw_labels"]

BLUR = 0.06
BLURRING = -21  # stream of a seed; the sampler has those from 0 on
TEMPERATURE = 0.5  # few steps draw many voxels at once, which must not disagree
HEAD = 0.05  # share of tissue from which a cell is of the head
COUNT = len(CLASSES)


class LabelNetwork(nn.Module):
    """A U-Net over cells of two voxels: states (B, *S) of labels and a mask -> logits (B, 6, *S).

    The eight voxels of a cell are channels, one-hot. `Condition.channels` is on the grid of cells.
    """

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        check_channels(unet, 8 * (COUNT + 1), 8 * COUNT, TISSUES + WAVES, 0)
        self.unet = unet
        self.config: dict[str, object] = {"unet": unet}

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """States x (B, *S) of even sides, time (B,) -> logits (B, 6, *S)."""
        states = to_cells(one_hot(x, COUNT + 1))
        return from_cells(self.unet((states - 0.2) / 0.4, time, cond)) * 4


class Borders(FromLogits):
    """The probabilities of each voxel's label, given the labels that are shown and the fractions.

    grid: of the label maps

    Raises ValueError for a network of other channels.
    """

    def __init__(self, network: LabelNetwork, grid: Grid) -> None:
        super().__init__(network, Absorbing(COUNT))
        self.grid = grid
        self.config = {"network": network, "grid": grid}

    def channels(self, shares: Tensor, noise: Tensor, start: Shape = START) -> Tensor:
        """`Condition.channels` for fractions of a crop from cell `start`."""
        return shares_given(shares, noise, BLUR, start, self.grid.cells(2))

    def sample(
        self, shares: Tensor, seeds: Sequence[int], steps: int, progress: Progress | None = None
    ) -> Tensor:
        """Draw label maps (B, *S) uint8 given fractions (B, 5, *S / 2), within the head's box.

        Each head is drawn alone: its box, and so its noise, do not depend on the others.
        """
        labels = torch.zeros(len(shares), *(2 * n for n in shares.shape[2:]), dtype=torch.uint8)
        for row, seed in enumerate(seeds):
            one = shares[row : row + 1]
            a, b, c = head_box(one[0].sum(0) > HEAD, 4)
            part = one[:, :, a, b, c]
            channels = self.channels(
                part, Keyed([seed])(BLURRING, part), (a.start, b.start, c.start)
            )
            with fast(shares.device):
                drawn = draw_labels(self, Condition(channels=channels), seed, steps, part)
            inside = (slice(2 * s.start, 2 * s.stop) for s in (a, b, c))
            labels[(row, *inside)] = drawn[0].to("cpu", torch.uint8)
            if progress:
                progress((row + 1) / len(seeds))
        return labels

    def fill(
        self, shares: Tensor, labels: Tensor, hole: Tensor, seed: int, steps: int, start: Shape
    ) -> Tensor:
        """Draw the labels (1, *S) in a `hole` of a crop from cell `start`; the others stay.

        shares: fractions (1, 5, *S / 2), guessed where the hole is
        """
        channels = self.channels(shares, Keyed([seed])(BLURRING, shares), start)
        known = torch.where(hole, COUNT, labels.long())
        with fast(shares.device):
            return draw_labels(self, Condition(channels=channels), seed, steps, shares, known)


def draw_labels(
    denoiser: CategoricalDenoiser,
    cond: Condition,
    seed: int,
    steps: int,
    like: Tensor,
    known: Tensor | None = None,
) -> Tensor:
    """Draw one label map (1, *2 S) for fractions `like` (1, 5, *S); any denoiser of six classes.

    The share of masks falls as a cosine: Chang et al., MaskGIT: Masked Generative Image
    Transformer (2022), section 3.2.

    known: labels (1, *2 S) that stay, `COUNT` where they are to be drawn; None draws all
    """
    times = [math.cos(math.pi / 2 * k / steps) for k in range(steps)] + [0.0]
    size = [2 * n for n in like.shape[2:]]
    x = torch.full((1, *size), COUNT, dtype=torch.int64, device=like.device)
    x = x if known is None else known.to(x)
    return sample(
        denoiser, Ancestral(TEMPERATURE), x, torch.tensor(times, dtype=torch.float64),
        noise=Keyed([seed]), cond=cond, fixed=None if known is None else x != COUNT,
    )  # fmt: skip
