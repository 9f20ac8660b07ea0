"""The restorer's network: the core's U-Net over frames, whose channels are the bands of a mel.

Normalisation is within the frame, so that a piece of a recording with `context` frames on each
side equals the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.nn import UNet

__all__ = ["MelBridgeNet"]

_FACTOR = 2  # of down-sampling between levels


class MelBridgeNet(nn.Module):
    """A network for the clean mel x_0, from the bridge's state x_t, the damaged mel y and t.

    bands:     of the mel
    channels:  width of each level; each further one has half as many frames
    blocks:    residual blocks a level, in the encoder and again in the decoder
    kernel:    frames of a convolution, odd
    embedding: width of the embedding of time

    D = y + U(x_t, y, t), with the U-Net's last layer at zero at first, so that an untrained
    network returns y. All shapes are (B, bands, N).
    """

    def __init__(
        self,
        bands: int = 80,
        channels: Sequence[int] = (176, 256, 336),
        blocks: int = 2,
        kernel: int = 5,
        embedding: int = 128,
    ) -> None:
        super().__init__()
        self.config: dict[str, object] = {
            "bands": bands,
            "channels": list(channels),
            "blocks": blocks,
            "kernel": kernel,
            "embedding": embedding,
        }
        self.bands = bands
        self.unet = UNet(
            1, bands, bands, channels, blocks=blocks, factors=_FACTOR, kernel=kernel,
            norm="frame", cond_channels=bands, embedding=embedding,
        )  # fmt: skip
        half, levels = kernel // 2, len(channels)
        passes = [2 * blocks] * (levels - 1) + [blocks]  # residual blocks: encoder and decoder
        blocks_reach = sum(2 * half * count * _FACTOR**level for level, count in enumerate(passes))
        self._reach = 2 * half + blocks_reach + 2 * self.cell

    @property
    def cell(self) -> int:
        """Return the frames in a cell of the coarsest level: pieces begin at multiples of it."""
        return self.unet.multiple[0]

    @property
    def context(self) -> int:
        """Return the frames on each side that a frame of the result depends on."""
        return self._reach

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """Return D in float32, for x = x_t and cond.channels = y (B, bands, N), time (B,).

        Raises ValueError for other shapes.
        """
        y = None if cond is None else cond.channels
        if y is None or y.shape != x.shape:
            given = None if y is None else tuple(y.shape)
            raise ValueError(
                f"cond.channels must be the damaged mel, {tuple(x.shape)}, got {given}"
            )
        return y + self.unet(x, time, cond).float()
