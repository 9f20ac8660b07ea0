"""Denoisers of categories: the law of x_0 given x_t, entry by entry.

As the Gaussian core has it, a denoiser returns the posterior mean, here that of the one-hot code
of x_0: E[onehot(x_0) | x_t] is the probability of every category. A *network* is any module
called as network(x, time, cond) with states x (B, *S) of dtype int64 and time (B,); it returns a
number for every category, (B, K, *S), whose softmax over K are the probabilities.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diff_core.coefficients import check_time
from diff_core.condition import Condition
from diff_core.discrete.chain import Chain

__all__ = ["CategoricalDenoiser", "CategoricalNetwork", "FromLogits"]


class CategoricalDenoiser(nn.Module):
    """The base of all: `chain`, and forward(x_t, t, cond) -> probabilities of x_0.

    `config` holds the keywords of the constructor, from which `diff_core.io` rebuilds it.
    """

    chain: Chain
    config: dict[str, Any]

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """The probabilities (B, K, *S) of x_0, from states x_t (B, *S) and t of shape () or (B,).

        The denoisers of this package raise ValueError for another t (see `check_time`).
        """
        raise NotImplementedError


class FromLogits(CategoricalDenoiser):
    """The network predicts unnormalised log-probabilities of x_0.

    It is given t as its time, or 0 where the chain is timeless: masks say what t is. With
    `Absorbing` an entry that is not masked is certain, whatever the network says (the zero-masking
    and carry-over of Sahoo et al., Simple and Effective Masked Diffusion Language Models, 2024).
    """

    def __init__(self, network: nn.Module, chain: Chain) -> None:
        super().__init__(chain)
        self.network = network
        self.config = {"network": network, "chain": chain}

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        if x_t.dtype != torch.int64:
            raise ValueError(f"x_t is {x_t.dtype}; expected states, of dtype int64")
        check_time("t", t, x_t)
        time = t.to(x_t.device, torch.float32).expand(len(x_t))
        logits = self.network(x_t, torch.zeros_like(time) if self.chain.timeless else time, cond)
        if logits.shape != (len(x_t), self.chain.categories, *x_t.shape[1:]):
            raise ValueError(
                f"the network returned shape {tuple(logits.shape)}; expected "
                f"{(len(x_t), self.chain.categories, *x_t.shape[1:])}, K = "
                f"{self.chain.categories} numbers for each entry"
            )
        wide = torch.promote_types(logits.dtype, torch.float32)
        return self.chain.known(logits.softmax(1, dtype=wide), x_t)


class CategoricalNetwork(nn.Module):
    """An embedding before a network of signals, and the same embedding as its last layer.

    network:    module of (B, width, *S), such as `diff_core.nn.UNet` or `DiT`, with as many
                channels out as in: a feature vector for every entry
    categories: K, of the result
    states:     of x_t: K, or K + 1 with a mask (`Chain.states`)
    width:      features of an entry

    The logits are <h, e_k> / sqrt(width) + bias_k, with h the network's answer and e the
    embedding: Press and Wolf, Using the Output Embedding to Improve Language Models (2017). An
    untrained network gives all categories the same probability.
    """

    def __init__(self, network: nn.Module, categories: int, states: int, width: int) -> None:
        """Raise ValueError unless states is K or more and both are at least 2."""
        super().__init__()
        if not 2 <= categories <= states:
            raise ValueError(
                f"categories is {categories}, states {states}; expected 2 <= categories <= states"
            )
        self.config = {
            "network": network,
            "categories": categories,
            "states": states,
            "width": width,
        }
        self.network = network
        self.categories = categories
        self.embedding = nn.Embedding(states, width)
        self.bias = nn.Parameter(torch.zeros(categories))

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """States x (B, *S), time () or (B,) -> logits (B, categories, *S)."""
        features = self.network(self.embedding(x).movedim(-1, 1), time, cond)
        table = self.embedding.weight[: self.categories] / self.embedding.embedding_dim**0.5
        return torch.einsum("bd...,kd->bk...", features, table) + self.bias.reshape(
            -1, *(1,) * (x.ndim - 1)
        )
