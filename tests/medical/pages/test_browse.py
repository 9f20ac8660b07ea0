"""The volumes inside a page, unpacked as the script of the page unpacks them."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import numpy as np
import pytest

from diff_medical.pages.browse import MOST, browse, thinning

RNG = np.random.default_rng(0)


def unpacked(volume: dict[str, Any], shape: list[int]) -> np.ndarray:
    """Return (X, Y, Z), in the order of `browse.js`: bytes, differences along x, steps."""
    halves = np.frombuffer(gzip.decompress(base64.b64decode(volume["data"])), np.uint8)
    low, high = halves.reshape(2, -1).astype(np.int64)
    rows = (low + 256 * high).reshape(-1, shape[0])
    values = (np.cumsum(rows, axis=1) % 65536).reshape(shape[::-1]).T
    return volume["low"] + values * volume["step"]


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e5])
def test_values_come_back_within_a_fraction_of_the_noise(unit: float) -> None:
    before = (unit * RNG.normal(500, 40, (9, 7, 5))).astype(np.float32)
    after = (0.9 * before).astype(np.float32)
    given = browse({"Before": before, "After": after}, (1.0, 1.0, 2.0), np.diag([1, 1, 2, 1]),
                   (0.0, 900.0 * unit), "mr", 40 * unit, removed=unit)  # fmt: skip
    assert given["shape"] == [9, 7, 5] and given["size"] == [1, 1, 2] and not given["presets"]
    for volume, right in zip(given["volumes"], (before, after), strict=True):
        found = unpacked(volume, given["shape"])
        assert np.abs(found - right).max() <= 40 * unit / 32 * 1.001


def test_voxels_stand_in_the_order_of_the_patient_and_nan_is_dark() -> None:
    volume = RNG.normal(0, 300, (4, 5, 6)).astype(np.float32)
    volume[0, 0, 0] = np.nan
    turned = np.diag([-1.0, 1.0, 1.0, 1.0])
    given = browse({"The scan": volume}, (1, 1, 1), turned, (-100.0, 240.0), "ct", 16.0)
    found = unpacked(given["volumes"][0], given["shape"])
    right = np.nan_to_num(volume, nan=-100.0)[::-1]
    assert np.abs(found - right).max() <= 0.501
    assert given["unit"] == "HU" and given["presets"]["Lung"] == (-600, 1500)


@pytest.mark.parametrize(
    "shape", [(512, 512, 300), (256, 256, 180), (4096, 4096, 1), (64, 64, 30)]
)
def test_large_volumes_are_thinned_where_voxels_are_finest(shape: tuple[int, ...]) -> None:
    every = thinning(shape, (0.5, 0.5, 1.0))
    left = [-(-n // step) for n, step in zip(shape, every, strict=True)]
    assert np.prod(left) <= MOST and every[0] >= every[2]
    assert (every == (1, 1, 1)) == (np.prod(shape) <= MOST)


def test_uncertainty_has_its_own_scale() -> None:
    volume = np.ones((3, 3, 3), np.float32)
    given = browse({"Before": volume, "After": volume}, (1, 1, 1), np.eye(4), (0.0, 1.0), "mr",
                   0.1, removed=0.1, doubt=(0.5 * volume, 1.0))  # fmt: skip
    assert [one["shade"] for one in given["volumes"]] == ["grey", "grey", "doubt"]
    assert given["doubt"] == 1.0
