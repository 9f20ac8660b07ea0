"""The linear prior: the exact denoiser of Gaussian data with a mean for each kind."""

import numpy as np
import pytest
import torch

from diff_core.condition import Condition
from diff_medical.generator.network import ScanNetwork, scan_denoiser
from diff_medical.generator.prior import LinearPrior
from diff_medical.generator.request import Request
from diff_medical.generator.vocabulary import Vocabulary

WORDS = Vocabulary(("ct", "t1"), ("head",), ("axial",), labels=2)
KINDS = [Request("ct", "head", "axial", 0.5), Request("t1", "head", "axial", 0.5)]


def gaussian(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """images (count, 1, 4, 4), words, the mean of each kind and the covariance (16, 16)."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(2, 16, generator=generator)
    root = torch.randn(16, 16, generator=generator) / 2
    kind = torch.arange(count) % 2
    images = means[kind] + torch.randn(count, 16, generator=generator) @ root.T
    words = torch.stack([torch.from_numpy(WORDS.vector(KINDS[k])) for k in kind.tolist()])
    return images.reshape(count, 1, 4, 4), words, means, root @ root.T


def test_it_is_the_posterior_mean_of_gaussian_data() -> None:
    images, words, means, covariance = gaussian(6000)
    prior = LinearPrior(WORDS, 16, 16)
    prior.fit(list(images), list(words))
    x = torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    for sigma in (0.01, 1.0, 30.0):
        found = prior(x, torch.full((4,), sigma), words[:4])
        for row in range(4):
            mean = means[row % 2]
            gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(16))
            expected = mean + gain @ (x[row].flatten() - mean)
            assert torch.allclose(found[row].flatten(), expected, atol=0.12)


def test_fewer_items_than_its_rank_are_enough() -> None:
    images, words, _, _ = gaussian(6)
    prior = LinearPrior(WORDS, 16, 16)
    prior.fit(list(images), list(words))
    found = prior(images, torch.full((6,), 0.01), words)
    assert bool(found.isfinite().all())


@pytest.mark.parametrize("autocast", [False, True])
def test_an_untrained_network_under_much_noise_gives_the_prior(autocast: bool) -> None:
    images, words, _, _ = gaussian(400)
    network = ScanNetwork(2, 4, WORDS, 0, (8, 8), 1, (1,), 8, rank=16, side=4)
    assert network.prior is not None
    network.prior.fit(list(images), list(words))
    denoiser = scan_denoiser(network)
    noise = torch.randn(4, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    for sigma, share in ((60.0, 1.0), (0.05, 0.0)):
        x = sigma * noise
        cond = Condition(vector=words[:4])
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            made = denoiser(x, torch.full((4,), sigma / 80), cond)
        hint = network.prior(x[:, :1], torch.full((4,), sigma), words[:4])
        alone = x[:, :1] / (1 + sigma**2)
        expected = share * hint + (1 - share) * alone
        assert torch.allclose(made[:, :1], expected, atol=0.03)
        assert torch.allclose(made[:, 1:], x[:, 1:] / (1 + sigma**2), atol=1e-3)


def test_features_are_a_constant_without_words() -> None:
    prior = LinearPrior(WORDS, 16, 4)
    features = prior.features(torch.zeros(1, WORDS.size))
    assert features[0, 0] == 1
    assert np.count_nonzero(features) == 1
