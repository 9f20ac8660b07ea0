"""Categories: how they are drawn, and how their probabilities are laid out.

Probabilities are (B, K, *S), categories (B, *S) of dtype int64. A draw takes one standard normal
number per entry, so that every `Noise` of the Gaussian core serves here too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["categorical", "one_hot", "pick", "sharpen", "uniform_of"]


def uniform_of(z: Tensor) -> Tensor:
    """The uniform number Phi(z) in (0, 1), in float64, for every standard normal z."""
    return torch.special.ndtr(z.double())


def categorical(probabilities: Tensor, z: Tensor) -> Tensor:
    """A draw (B, *S) from every column of `probabilities` (B, K, *S), by inversion of its sum.

    The columns need not sum to 1; a category of probability 0 is never drawn. z (B, *S) is
    standard normal. The sums are in float64: the usual Gumbel noise in float32 lowers the
    temperature of long samplings (Zheng et al., Masked Diffusion Models are Secretly Time-Agnostic
    Masked Models and Exploit Inaccurate Categorical Sampling, 2024, section 4).
    """
    steps = probabilities.double().cumsum(1)
    below = steps < (uniform_of(z)[:, None] * steps[:, -1:])
    return below.sum(1).clamp_(max=probabilities.shape[1] - 1)


def one_hot(x: Tensor, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The probabilities (B, count, *S) of categories x (B, *S) that are certain."""
    return F.one_hot(x, count).movedim(-1, 1).to(dtype)


def pick(values: Tensor, x: Tensor) -> Tensor:
    """The entry of `values` (B, K, *S) at the category x (B, *S), (B, *S)."""
    return values.gather(1, x[:, None])[:, 0]


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """The probabilities to the power 1 / temperature, normalised; 0 leaves the likeliest only.

    Raises ValueError if the temperature is negative or infinite.
    """
    check_temperature(temperature)
    if temperature == 1:
        return probabilities
    if temperature == 0:
        best = probabilities.argmax(1)
        return one_hot(best, probabilities.shape[1], probabilities.dtype)
    return (probabilities.log() / temperature).softmax(1)


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is a number from 0 up."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; expected a number from 0 up")
