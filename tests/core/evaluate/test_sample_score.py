"""A score of samples: closed forms of its distance, and its use by a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor, nn

from diff_core import Cosine, Ddim, Denoiser, FromX0, Keyed, uniform
from diff_core.evaluate import (
    ExactDenoiser,
    Mixture,
    RandomFeatures,
    SampleScore,
    energy_distance,
    frechet_distance,
    shrunken_covariance,
)
from diff_core.sample import sample
from diff_core.train import Denoising, TrainConfig, train
from diff_core.train.curves import read_curves

MIXTURE = Mixture(*torch.tensor([[0.3, 0.7], [-1.0, 1.0], [0.2, 0.1]]))


def shaped(mean: Tensor, root: Tensor) -> Tensor:
    """Rows (5 D, D) with this mean and covariance root root^T exactly."""
    size = len(mean)
    rows = torch.randn(5 * size, size, dtype=torch.float64)
    rows = torch.linalg.qr(rows - rows.mean(0))[0] * math.sqrt(5 * size - 1)
    return mean + rows @ root.T


def test_frechet_distance_is_that_of_the_fitted_gaussians() -> None:
    """Of covariances with one basis: the distance of the means and of the deviations."""
    basis = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
    first, second = torch.rand(2, 4, dtype=torch.float64) + 0.1
    means = torch.randn(2, 4, dtype=torch.float64)
    x = shaped(means[0], basis * first)
    y = shaped(means[1], basis * second)
    expected = (means[0] - means[1]).square().sum() + (first - second).square().sum()
    assert frechet_distance(x, y) == pytest.approx(float(expected))
    assert frechet_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_other_bases_is_the_papers_trace() -> None:
    roots = torch.randn(2, 3, 3, dtype=torch.float64)
    x, y = (shaped(torch.zeros(3, dtype=torch.float64), root) for root in roots)
    one, two = (root @ root.T for root in roots)
    eigenvalues = torch.linalg.eigvals(one @ two).sqrt().real.sum()
    expected = one.trace() + two.trace() - 2 * eigenvalues
    assert frechet_distance(x, y) == pytest.approx(float(expected))
    with pytest.raises(ValueError, match=r"x has shape \(1, 3\)"):
        frechet_distance(x[:1], y)


@pytest.mark.parametrize("shape", [(5, 20), (30, 4), (400, 3)])
def test_shrunken_covariance_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    x = torch.randn(shape, dtype=torch.float64) @ torch.randn(shape[1], shape[1]).double()
    expected = torch.from_numpy(ledoit_wolf(x.numpy())[0])
    torch.testing.assert_close(shrunken_covariance(x), expected)


def test_shrunken_frechet_distance_is_the_trace_of_shrunken_covariances() -> None:
    x, y = torch.randn(6, 10), 2 * torch.randn(5, 10) + 1
    one, two = shrunken_covariance(x), shrunken_covariance(y)
    eigenvalues = torch.linalg.eigvals(one @ two).real.clamp(min=0).sqrt().sum()
    means = (x.double().mean(0) - y.double().mean(0)).square().sum()
    expected = float(means + one.trace() + two.trace() - 2 * eigenvalues)
    assert frechet_distance(x, y, shrunken=True) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(x, x.flip(0), shrunken=True) == pytest.approx(0, abs=1e-5)
    assert shrunken_covariance(torch.ones(3, 2)).abs().max() == 0
    with pytest.raises(ValueError, match=r"x has shape \(1, 3\)"):
        shrunken_covariance(x[:1, :3])


def test_shrinking_leaves_less_of_the_distance_of_few_rows() -> None:
    """Two sets of one distribution, fewer rows than entries: their distance should be 0."""
    torch.manual_seed(0)
    plain, shrunken = (
        sum(frechet_distance(*torch.randn(2, 8, 40), shrunken=s) for _ in range(20))
        for s in (False, True)
    )
    assert shrunken < 0.4 * plain


def test_a_score_sees_several_distances_and_a_picture_of_the_same_samples() -> None:
    def sample(model: float, seeds: Sequence[int]) -> Tensor:
        return model + torch.tensor(seeds, dtype=torch.float32)[:, None]

    def picture(samples: Tensor, step: int) -> Tensor:
        return samples.T[None] / step

    score = SampleScore(
        sample, torch.tensor([[0.0], [2.0], [4.0]]), 3, batch=2, picture=picture,
        further={"frechet": frechet_distance},
    )  # fmt: skip
    assert score.names == ("sample distance", "frechet")
    seen = score.look(0.0, 2)
    assert seen.numbers == score(0.0)
    # deviations 2 and 1, means 2 and 1
    assert seen.numbers["frechet"] == pytest.approx(2)
    assert torch.equal(seen.pictures["samples"], torch.tensor([[[0.0, 0.5, 1.0]]]))
    unseen = score(math.nan)
    assert set(unseen) == set(score.names) and all(map(math.isnan, unseen.values()))


@pytest.mark.parametrize("size", [(9,), (8, 5), (4, 6, 5)])
def test_random_features_are_a_function_of_row_and_seed(size: tuple[int, ...]) -> None:
    x = torch.randn(3, 2, *size)
    features = RandomFeatures(len(size), 2, width=5)
    found = features(x)
    assert torch.equal(found, RandomFeatures(len(size), 2, width=5)(x))
    torch.testing.assert_close(found[1:2], features(x[1:2]), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, RandomFeatures(len(size), 2, width=5, seed=1)(x))
    assert found.isfinite().all() and (found.std(0) > 0).float().mean() > 0.7


def test_random_features_see_texture_and_place() -> None:
    """Sets that differ only in these are farther apart than sets that do not differ."""
    smooth = torch.randn(400, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    shuffled = smooth.flatten(2)[..., torch.randperm(256)].reshape(smooth.shape)
    half = torch.cat([torch.ones(8, 16), torch.zeros(8, 16)])
    features = RandomFeatures(2, 1)

    def apart(x: Tensor, y: Tensor) -> float:
        return energy_distance(features(x), features(y))

    alike = abs(apart(smooth[:200], smooth[200:]))
    assert apart(smooth[:200], shuffled[200:]) > 5 * alike
    assert apart(smooth[:200] * half, smooth[200:] * half.flip(0)) > 5 * alike


def drawn(model: Denoiser, seeds: Sequence[int]) -> Tensor:
    noise = Keyed(seeds)
    z = noise(-1, torch.empty(len(seeds), 1))
    return sample(model, Ddim(), z, uniform(20), noise=noise)


def test_the_true_denoiser_scores_best_and_batches_do_not_matter() -> None:
    real = MIXTURE.sample((500, 1), torch.Generator().manual_seed(0))
    score = SampleScore(drawn, real, 200, batch=64)
    exact = score(ExactDenoiser(MIXTURE, Cosine()))["sample distance"]
    assert exact == replace(score, batch=200)(ExactDenoiser(MIXTURE, Cosine()))["sample distance"]
    for other in (
        Mixture(*torch.tensor([[0.7, 0.3], [-1.0, 1.0], [0.2, 0.1]])),
        Mixture(*torch.tensor([[1.0], [1.0], [0.1]])),
    ):
        assert score(ExactDenoiser(other, Cosine()))["sample distance"] > 10 * abs(exact)


@pytest.mark.parametrize("wrong", [{"count": 1}, {"real": torch.zeros(1, 1)}, {"batch": 0}])
def test_too_few_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected at least 2, 1 and 2"):
        SampleScore(**({"sample": drawn, "real": torch.zeros(5, 1)} | wrong))


class Line(nn.Module):
    """A network of numbers (B, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, object] = {}
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        return self.layers(torch.cat([x, time.reshape(-1, 1).expand(len(x), 1).to(x)], 1))


class Rows:
    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x_0": MIXTURE.sample((1,), torch.Generator().manual_seed(index))}


def test_a_run_is_judged_by_its_samples_and_a_resumed_one_alike(tmp_path: Path) -> None:
    real = MIXTURE.sample((300, 1), torch.Generator().manual_seed(1))
    score = SampleScore(drawn, real, 64, batch=64)
    config = TrainConfig(
        steps=60, batch_size=32, learning_rate=0.02, warmup=1, validate_every=20,
        best="sample distance", better="lower",
    )  # fmt: skip
    found: dict[str, list[int]] = {}
    for name, ends in (("whole", [None]), ("halves", [30, None])):
        kept = found.setdefault(name, [])
        for until in ends:
            torch.manual_seed(0)
            train(
                FromX0(Line(), Cosine()), Denoising(), Rows(), config, directory=tmp_path / name,
                validate=score, keep=lambda _, step: kept.append(step), until=until,  # noqa: B023
            )  # fmt: skip
    curves = [read_curves(tmp_path / n / "log.jsonl")["sample distance"] for n in found]
    assert curves[0] == curves[1]
    assert set(curves[0]) == {20, 40, 60}
    assert found["whole"] == found["halves"]
    assert found["whole"][-1] == min(curves[0], key=curves[0].__getitem__)
    assert min(curves[0].values()) < 0.5 * curves[0][20]
