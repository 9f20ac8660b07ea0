"""Measures of fidelity: closed forms, and other people's implementations."""

import numpy as np
import pytest
import torch
from monai.metrics.mmd import MMDMetric
from monai.metrics.regression import MultiScaleSSIMMetric
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance
from sklearn.gaussian_process.kernels import RBF
from sklearn.neighbors import NearestNeighbors

from diff_medical.fidelity.distance import (
    cubic,
    frechet,
    kernel_mmd,
    median_rbf,
    slope,
    spectrum_distance,
    wasserstein,
)
from diff_medical.fidelity.manifold import overlap
from diff_medical.fidelity.rivals import augmented, gaussian
from diff_medical.fidelity.summary import (
    BINS,
    RANGE,
    Summary,
    diversity,
    histograms,
    radii_of,
    spectra,
)
from diff_medical.fidelity.table import MEASURES, measure, table
from diff_medical.generator.data.corpus import Entry
from diff_medical.generator.request import Request
from diff_medical.image_sets.images import Images
from diff_medical.image_sets.matched import halved, matched


def normal(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def images(values: np.ndarray, kinds: list[str], people: list[str]) -> Images:
    entries = (
        Entry(Request("t1", kind, "axial"), who, who, "train", 240.0)
        for kind, who in zip(kinds, people, strict=True)
    )
    return Images(values.astype(np.float32), tuple(entries))


def test_frechet_is_that_of_two_normal_distributions() -> None:
    x, y = normal(60, 5), normal(50, 5, 1) @ np.diag([1, 2, 0.5, 1, 3]) + 0.3
    first, second = np.cov(x.T), np.cov(y.T)
    root = sqrtm(first @ second).real
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(first + second - 2 * root)
    assert frechet(x, y) == pytest.approx(expected, rel=1e-6)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x + 2) == pytest.approx(5 * 4, rel=1e-9)
    # fewer images than features
    assert frechet(x.T, 3 * x.T) == pytest.approx(
        4 * np.square(x.T.mean(0)).sum() + 4 * np.trace(np.cov(x)), rel=1e-9
    )
    with pytest.raises(ValueError, match=r"x has shape \(60, 5\), y \(50, 4\)"):
        frechet(x, y[:, :4])


def test_mmd_of_a_linear_kernel_is_monais() -> None:
    x, y = normal(20, 6), normal(20, 6, 1) + 0.5
    expected = MMDMetric()(*(torch.from_numpy(v)[..., None, None] for v in (x, y)))
    assert kernel_mmd(x, y, lambda a, b: a @ b.T) == pytest.approx(float(expected), rel=1e-9)


def test_kernels() -> None:
    x, y = normal(8, 3), normal(9, 3, 1)
    assert cubic(x, y)[2, 4] == pytest.approx((x[2] @ y[4] / 3 + 1) ** 3)
    both = np.concatenate([x, y])
    gaps = [float(np.linalg.norm(a - b)) for i, a in enumerate(both) for b in both[:i]]
    expected = RBF(np.median(gaps) / np.sqrt(2))(x, y)
    assert np.allclose(median_rbf(x, y)(x, y), expected)


def test_mmd_is_zero_on_average_for_one_distribution() -> None:
    found = [kernel_mmd(normal(20, 4, 2 * s), normal(20, 4, 2 * s + 1)) for s in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 200**0.5
    assert min(found) < 0


def test_overlap_is_what_neighbours_say() -> None:
    real, made, k = normal(40, 3), normal(30, 3, 1) * 1.5, 4

    def reach(v: np.ndarray) -> np.ndarray:
        return NearestNeighbors(n_neighbors=k + 1).fit(v).kneighbors(v)[0][:, k]

    gap = np.linalg.norm(real[:, None] - made[None], axis=2)
    inside = gap <= reach(real)[:, None]
    found = overlap(real, made, k)
    assert found.precision == inside.any(0).mean()
    assert found.recall == (gap <= reach(made)[None]).any(1).mean()
    assert found.density == pytest.approx(inside.sum() / (k * 30))
    assert found.coverage == inside.any(1).mean()
    far = overlap(real, made + 100, k)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="k is 30"):
        overlap(real, made, 30)


def test_grey_levels_are_scipys_distance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 1, (3, 16, 16)), rng.uniform(0.2, 1.2, (4, 16, 16)) ** 2
    first, second = histograms(x.astype(np.float32)), histograms(y.astype(np.float32))
    assert first.shape == (3, BINS)
    assert first.sum() == x.size
    expected = wasserstein_distance(x.ravel(), y.clip(0, RANGE).ravel())
    assert wasserstein(first, second, RANGE / BINS) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("exponent", [0.0, -2.0, -3.0])
def test_slope_of_noise_with_a_known_spectrum(exponent: float) -> None:
    size = 96
    rng = np.random.default_rng(0)
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    radius[0, 0] = 1
    white = np.fft.rfft2(rng.standard_normal((30, size, size)))
    made = np.fft.irfft2(white * radius ** (exponent / 2), s=(size, size)).astype(np.float32)
    power = spectra(made)
    assert slope(power, radii_of(size)) == pytest.approx(exponent, abs=0.1)
    assert spectrum_distance(power, spectra(10 * made)) == pytest.approx(20, abs=0.01)


def test_diversity_is_monais_ms_ssim() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (6, 64, 64)).astype(np.float32)
    values[:, :, 20:] = 0.5
    pairs = diversity(values)
    order = np.random.default_rng(0).permutation(6)
    weights = np.array([0.0448, 0.2856, 0.3001])
    metric = MultiScaleSSIMMetric(2, data_range=RANGE, weights=tuple(weights / weights.sum()))
    first, second = (torch.from_numpy(values[order[i::2]])[:, None] for i in (0, 1))
    assert pairs == pytest.approx(metric(first, second)[:, 0].numpy(), abs=1e-5)
    assert diversity(np.repeat(values[:1], 4, 0)) == pytest.approx([1, 1], abs=1e-5)


def test_sets_get_as_many_of_each_kind() -> None:
    head, knee, chest = ["head"] * 40, ["knee"] * 10, ["chest"] * 9
    real = images(np.zeros((50, 8, 8)), head + knee, [f"{i % 4}" for i in range(50)])
    made = images(np.zeros((49, 8, 8)), chest + head, ["s"] * 49)
    rows, counts = matched({"real": real, "samples": made}, 20)
    assert counts == {"t1 head axial": 20}
    assert {real.kind(i) for i in rows["real"].tolist()} == {("t1", "head", "axial")}
    assert len(set(rows["samples"].tolist())) == 20
    with pytest.raises(ValueError, match="expected at least 12"):
        matched({"real": real, "samples": made.part(np.arange(15))}, 20)
    first, second = halved(real)
    people = [{e.subject for e in half.entries} for half in (first, second)]
    assert not people[0] & people[1]
    with pytest.raises(ValueError, match="of one person"):
        halved(images(np.zeros((9, 8, 8)), ["head"] * 9, ["a"] * 9))


def test_the_normal_rival_has_mean_and_covariance_of_the_scans() -> None:
    values = np.random.default_rng(0).uniform(0.3, 0.7, (6, 4, 4))
    values[:, 0] = values[:1, 0]
    scans = images(values, ["head"] * 6, list("abcdef"))
    like = images(np.zeros((4000, 4, 4)), ["head"] * 4000, ["s"] * 4000)
    flat = gaussian(scans, like).values.reshape(4000, -1)
    expected = values.reshape(6, -1)
    assert np.allclose(flat.mean(0), expected.mean(0), atol=0.01)
    assert np.allclose(np.cov(flat.T), np.cov(expected.T), atol=0.003)
    near = augmented(scans, like.part(np.arange(3)))
    assert near.values.shape == (3, 4, 4)
    other = images(np.zeros((1, 4, 4)), ["knee"], ["s"])
    with pytest.raises(ValueError, match="no training image is of the kind t1 knee axial"):
        gaussian(scans, other)


def test_intervals_hold_the_truth_and_the_table_every_measure() -> None:
    rng = np.random.default_rng(0)

    def summary(seed: int) -> Summary:
        values = rng.uniform(0, 1, (60, 16, 16)).astype(np.float32)
        return Summary.of(values, normal(60, 5, seed))

    held = 0
    real = summary(0)
    for seed in range(1, 9):
        row = measure(real, summary(seed), 16, seed=seed)
        held += row["mmd_rbf"].low <= 0 <= row["mmd_rbf"].high
    assert held >= 6
    lines = table({"samples": row, "other real": row})
    assert len(lines) == 1 + len(MEASURES)
    assert "samples" in lines[0]
    with pytest.raises(ValueError, match="expected at least 12"):
        measure(real, real.part(np.arange(11)), 16)
