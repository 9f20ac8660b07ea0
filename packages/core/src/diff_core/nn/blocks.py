"""The residual block of the U-Net, modulated by the embedding."""

from __future__ import annotations

from torch import Tensor, nn

from diff_core.nn.layers import Activation, conv, make_activation
from diff_core.nn.lengths import blank
from diff_core.nn.norm import Norm, make_norm

__all__ = ["ResidualBlock"]


class ResidualBlock(nn.Module):
    r"""x + conv(act(film(norm(conv(act(norm(x))))))), with FiLM (Perez et al., FiLM, 2018):

    film(h) = h * (1 + scale(e)) + shift(e), where e (B, embedding) carries time and vector.

    The last convolution starts at zero, so the block starts as the identity (or, when the number
    of channels changes, as a 1x1 convolution). Without `bias` there is no shift either: the
    block is then homogeneous of degree one in x for norm="none" and activation="relu".
    Shapes: x (B, in_channels, *S), embedding (B, embedding) -> (B, out_channels, *S); the mask
    (B, 1, ..., S[-1]) is true where x is valid.
    """

    def __init__(
        self,
        spatial: int,
        in_channels: int,
        out_channels: int,
        embedding: int,
        *,
        kernel: int | tuple[int, ...] = 3,
        norm: Norm = "group",
        activation: Activation = "silu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.spatial = spatial
        self.norm1 = make_norm(norm, in_channels)
        self.conv1 = conv(spatial, in_channels, out_channels, kernel, bias=bias)
        self.norm2 = make_norm(norm, out_channels)
        self.film = nn.Linear(embedding, out_channels * (2 if bias else 1))
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        self.conv2 = conv(spatial, out_channels, out_channels, kernel, bias=bias, zero=True)
        self.act = make_activation(activation)
        self.skip = (
            nn.Identity()
            if in_channels == out_channels
            else conv(spatial, in_channels, out_channels, 1, bias=bias)
        )

    def forward(self, x: Tensor, embedding: Tensor, mask: Tensor | None = None) -> Tensor:
        h = self.conv1(blank(self.act(self.norm1(x, mask)), mask))
        h = self.norm2(h, mask)
        film = self.film(embedding)[(...,) + (None,) * self.spatial]
        if film.shape[1] == h.shape[1]:
            h = h * (1 + film)
        else:
            scale, shift = film.chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.skip(x) + self.conv2(blank(self.act(h), mask))
