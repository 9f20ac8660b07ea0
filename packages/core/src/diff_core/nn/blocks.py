"""The two blocks of the U-Net: a modulated residual block and self-attention."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from diff_core.nn.layers import Activation, Norm, conv, make_activation, make_norm

__all__ = ["ResidualBlock", "SelfAttention"]


class ResidualBlock(nn.Module):
    r"""x + conv(act(film(norm(conv(act(norm(x))))))), with FiLM (Perez et al., FiLM, 2018):

    film(h) = h * (1 + scale(e)) + shift(e), where e (B, embedding) carries time and vector.

    The last convolution starts at zero, so the block starts as the identity (or, when the number
    of channels changes, as a 1x1 convolution). Without `bias` there is no shift either: the
    block is then homogeneous of degree one in x for norm="none" and activation="relu".
    Shapes: x (B, in_channels, *S), embedding (B, embedding) -> (B, out_channels, *S).
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

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.norm2(self.conv1(self.act(self.norm1(x))))
        film = self.film(embedding)[(...,) + (None,) * self.spatial]
        if film.shape[1] == h.shape[1]:
            h = h * (1 + film)
        else:
            scale, shift = film.chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.skip(x) + self.conv2(self.act(h))


class SelfAttention(nn.Module):
    """Attention among all positions of (B, C, *S), added to its input; starts as the identity."""

    def __init__(self, spatial: int, channels: int, heads: int, *, norm: Norm = "group") -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"heads is {heads}; expected a divisor of the {channels} channels")
        self.heads = heads
        self.norm = make_norm(norm, channels)
        self.qkv = conv(spatial, channels, 3 * channels, 1)
        self.out = conv(spatial, channels, channels, 1, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        qkv = self.qkv(self.norm(x)).view(batch, 3, self.heads, channels // self.heads, -1)
        query, key, value = qkv.transpose(-1, -2).contiguous().unbind(1)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(mixed.transpose(-1, -2).reshape(x.shape))
