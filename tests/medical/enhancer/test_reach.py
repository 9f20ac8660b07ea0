"""How far a voxel may move in the units of the scan, and the MONAI transform's way back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diff_medical.enhancer.bounds import BOUND
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.stabilise import stabiliser

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]


@pytest.mark.parametrize("coils", [1, 4, 32])
def test_reach_is_the_largest_step_of_the_inverse(coils: int) -> None:
    table = stabiliser(coils)
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 30, 200_000).astype(np.float32)
    step = rng.uniform(-BOUND, BOUND, start.shape).astype(np.float32)
    moved = np.abs(table.inverse(table.forward(start, 1.0) + step, 1.0) - start)
    reach = table.reach(BOUND)
    assert moved.max() <= reach * 1.001
    assert moved.max() > 0.95 * reach
    assert reach > BOUND * 1.2


@pytest.mark.parametrize(
    ("noise", "factor"), [("gaussian", 3.5), ("rician", 4.49), ("ncchi:8", 6.86)]
)
def test_the_bound_is_reported_in_the_units_of_the_scan(
    make_head: Make, weights: Path, noise: str, factor: float
) -> None:
    rng = np.random.default_rng(0)
    coils = 8 if noise == "ncchi:8" else 1
    parts = 40 * rng.standard_normal((2 * coils, 32, 30, 16))
    parts[0] += make_head((32, 30, 16))
    volume = parts[0] if noise == "gaussian" else np.sqrt(np.square(parts).sum(0))
    settings = Settings(modality="mr", noise=noise, sigma=40.0)
    made = Enhancer.from_pretrained(weights)(volume, (1, 1, 1), settings)
    assert made.checks is not None
    assert made.checks.limit == pytest.approx(40 * factor, rel=0.01)
    moved = float(np.abs(made.volume - volume.astype(np.float32)).max())
    assert made.checks.largest == pytest.approx(moved, rel=1e-5)
    assert 0 < moved <= made.checks.limit * 1.001


def test_a_pipeline_with_the_transform_can_be_inverted(
    make_head: Make, write_scan: Write, weights: Path
) -> None:
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Spacingd

    from diff_medical.monai import Enhanced

    rng = np.random.default_rng(0)
    volume = make_head((24, 22, 20)) + 50 * rng.standard_normal((24, 22, 20))
    source = write_scan(volume.astype(np.float32))
    steps = Compose(
        [LoadImaged("image"), EnsureChannelFirstd("image"), Spacingd("image", (2, 2, 2)),
         Enhanced("image", Settings(sigma=50.0), weights=weights, device="cpu")]
    )  # fmt: skip
    made = steps({"image": source})
    assert len(made["image"].applied_operations) == 1
    assert steps.inverse(made)["image"].shape == (1, 24, 22, 20)
