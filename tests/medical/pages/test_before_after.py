"""The picture shows the patient, not the order in which voxels happen to be stored."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from diff_medical.pages.before_after import before_after

RNG = np.random.default_rng(0)
VOLUME = RNG.normal(100, 20, (12, 15, 9)).astype(np.float32)
SPACING = (1.0, 1.5, 2.0)
AFFINE = np.diag([*SPACING, 1.0])


def stored(volume: np.ndarray, codes: str) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and affine of the same scan, stored in another orientation."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    image = nib.Nifti1Image(volume, AFFINE).as_reoriented(turn)
    np.testing.assert_allclose(image.affine, AFFINE @ inv_ornt_aff(turn, volume.shape))
    return np.asarray(image.dataobj), image.affine


@pytest.mark.parametrize("codes", ["LPS", "PIR", "SRA"])
def test_the_same_scan_gives_the_same_picture_however_it_is_stored(
    codes: str, tmp_path: Path
) -> None:
    smooth = VOLUME * 0.9
    before_after(VOLUME, smooth, SPACING, tmp_path / "ras.png", affine=AFFINE)
    turned, affine = stored(VOLUME, codes)
    spacing = tuple(float(s) for s in nib.affines.voxel_sizes(affine))
    before_after(turned, turned * np.float32(0.9), spacing, tmp_path / "other.png", affine=affine)
    np.testing.assert_array_equal(imread(tmp_path / "ras.png"), imread(tmp_path / "other.png"))


def test_an_unusable_affine_leaves_the_axes_as_stored(tmp_path: Path) -> None:
    before_after(VOLUME, VOLUME * 0.9, SPACING, tmp_path / "plain.png")
    for affine in (np.zeros((4, 4)), np.full((4, 4), np.nan)):
        before_after(VOLUME, VOLUME * 0.9, SPACING, tmp_path / "bad.png", affine=affine)
        np.testing.assert_array_equal(imread(tmp_path / "plain.png"), imread(tmp_path / "bad.png"))


def test_shapes_that_differ_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one shape"):
        before_after(VOLUME, VOLUME[:5], SPACING, tmp_path / "x.png")
