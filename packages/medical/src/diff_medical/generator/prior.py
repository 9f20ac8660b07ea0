r"""A linear-Gaussian denoiser of the coarse subband, as a hint for the network.

Wang and Vastola, The Unreasonable Effectiveness of Gaussian Score Approximation for Diffusion
Models and its Applications (2024): under much noise a trained denoiser is that of a Gaussian with
the mean and covariance of the data. Here it is fitted at once instead of being learned slowly: in
a basis V of principal components the coordinates are normal about a mean that is linear in
features of the words, and

    g = V (m + L (L + sigma^2)^-1 (V^T x - m)) ,   m = W phi(words) ,   L diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from diff_medical.generator.vocabulary import Vocabulary

__all__ = ["LinearPrior"]

RIDGE = 1.0


class LinearPrior(nn.Module):
    """The coarse subband x (B, 1, *S), sigma (B,), words (B, D) -> its estimate (B, 1, *S).

    Without `fit` it returns zero.

    size: number of pixels of the subband; rank: of principal components
    """

    basis: Tensor
    weights: Tensor
    variance: Tensor

    def __init__(self, vocabulary: Vocabulary, size: int, rank: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        features = self.features(torch.zeros(1, vocabulary.size)).shape[1]
        self.register_buffer("basis", torch.zeros(size, rank))
        self.register_buffer("weights", torch.zeros(features, rank))
        self.register_buffer("variance", torch.zeros(rank))

    def features(self, words: Tensor) -> Tensor:
        """(B, F): a constant, the augmentation, and the place along each kind of scan."""
        known = self.vocabulary
        counts = [len(known.modalities), len(known.bodies), len(known.planes)]
        places = known.size - sum(counts) - known.labels
        parts = words.split([*counts, places, known.labels], 1)
        one = torch.ones_like(words[:, :1])
        kinds = one
        for part in parts[:3]:
            if part.shape[1]:
                kinds = (kinds[:, :, None] * part[:, None] / 2).flatten(1)
        along = torch.cat([one, parts[3]], 1)
        return torch.cat([one, parts[4], (kinds[:, :, None] * along[:, None]).flatten(1)], 1)

    def forward(self, x: Tensor, sigma: Tensor, words: Tensor) -> Tensor:
        mean = self.features(words.to(self.weights)) @ self.weights
        found = x.flatten(1).to(self.basis) @ self.basis
        share = self.variance / (self.variance + sigma.to(self.basis)[:, None].square())
        return ((mean + share * (found - mean)) @ self.basis.T).reshape(x.shape).to(x)

    def fit(self, images: Sequence[Tensor], words: Sequence[Tensor]) -> None:
        """From coarse subbands (1, *S) of training items and what was said of each."""
        flat = torch.stack([image.flatten() for image in images])
        components = torch.linalg.svd(flat, full_matrices=False).Vh[: self.basis.shape[1]]
        basis = torch.zeros_like(self.basis)
        basis[:, : len(components)] = components.T
        found = flat @ basis
        phi = self.features(torch.stack(list(words)))
        normal = phi.T @ phi + RIDGE * torch.eye(phi.shape[1])
        weights = torch.linalg.solve(normal, phi.T @ found)
        variance, turn = torch.linalg.eigh((found - phi @ weights).T.cov())
        self.basis.copy_(basis @ turn)
        self.weights.copy_(weights @ turn)
        self.variance.copy_(variance.clamp_min(0))
