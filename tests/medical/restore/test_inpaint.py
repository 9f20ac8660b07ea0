"""Filled holes: everything else bit by bit as it was, what is filled from around, and refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.enhance import main
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.restore.inpaint import inpaint
from diff_medical.scan.sections import sections

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Out = pytest.CaptureFixture[str]
SHAPE = (18, 16, 14)


def run(*arguments: object) -> int:
    return main([*(str(a) for a in arguments), "--threads", "1"])


def hole(where: tuple[slice, ...] = (slice(7, 10), slice(6, 9), slice(5, 9))) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[where] = 1
    return mask


def test_only_the_hole_changes_and_it_says_so(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    stored = np.rint(make_head(SHAPE)).astype(np.int16)
    mask = hole()
    spoilt = np.where(mask, 30_000, stored).astype(np.int16)
    source = write_scan(spoilt, slope=0.3, inter=-2.0)
    where = write_scan(mask, "mask.nii.gz")
    assert run(source, "--weights", weights, "--inpaint", where, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    after = nib.load(tmp_path / "scan_inpainted.nii.gz")
    made = np.asarray(after.dataobj.get_unscaled())
    np.testing.assert_array_equal(made[mask == 0], stored[mask == 0])
    around = stored[6:11, 5:10, 4:10]
    assert (made[mask == 1] >= around.min() - 1).all()
    assert (made[mask == 1] <= around.max() + 1).all()
    assert said["invented"] == pytest.approx(mask.mean())
    assert after.header["descrip"].item().endswith(b"inpainted")
    beside = json.loads((tmp_path / "scan_inpainted.json").read_text())
    assert "invented, not measured" in beside["Description"]
    assert beside["Restoration"]["hole"] == "mask.nii.gz"
    assert run(source, "--weights", weights, "--inpaint", where, "--overwrite") == 0
    assert f"{mask.mean():.2%} of the voxels filled: invented" in capsys.readouterr().out


def test_the_page_shows_what_was_filled(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    volume = make_head(SHAPE)
    volume[hole() == 1] = np.nan
    source, where = write_scan(volume), write_scan(hole(), "mask.nii.gz")
    page = tmp_path / "page.html"
    command = (source, "--weights", weights, "--inpaint", where, "--report", page)
    assert run(*command) == 0
    text = page.read_text()
    assert "Holes filled on" in text
    assert "invented, and no measurement stands behind it" in text
    assert f"{hole().mean():.2%}" in text
    assert text.count("<img") == 9  # before, after and filled in three planes
    assert "$" not in text.split("<body>")[1]
    assert run(*command, "-o", tmp_path / "other.nii.gz") == 1
    assert "page.html exists" in capsys.readouterr().err
    assert run(source, "--weights", weights, "--upsample", 2, "--report", page) == 2


def test_planes_go_through_the_hole(make_head: Make) -> None:
    volume = make_head(SHAPE)
    planes = sections((volume, hole().astype(np.float32)), (1, 1, 1), None, through=hole() == 1)
    assert all(cut.any() for plane in planes for cut in plane.cuts[1])
    np.testing.assert_array_equal(planes[2].middle(0), volume[8].T[::-1])


def test_bits_outside_stay_and_what_is_inside_plays_no_part(
    make_head: Make, weights: Path
) -> None:
    enhancer = Enhancer.from_pretrained(weights, device="cpu")
    volume = make_head(SHAPE) + np.float32(20)
    volume[0, 0, 0] = -0.0
    mask = hole()
    results = []
    for inside in (np.nan, -1e30):
        spoilt = np.where(mask, inside, volume).astype(np.float32)
        results.append(inpaint(enhancer, spoilt, (1, 1, 1), mask).volume)
    np.testing.assert_array_equal(results[0], results[1])
    outside = mask == 0
    assert results[0][outside].tobytes() == volume[outside].tobytes()
    assert np.isfinite(results[0]).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_ramp_goes_on_through_a_lost_slice(weights: Path, axis: int) -> None:
    """Laplace's equation has the ramp for its answer; this network then pulls to 0 by little."""
    enhancer = Enhancer.from_pretrained(weights, device="cpu")
    ramp = np.moveaxis(
        np.broadcast_to(np.linspace(300, 900, 12, dtype=np.float32)[:, None, None], (12, 12, 12)),
        0,
        axis,
    ).copy()
    mask = np.zeros((12, 12, 12), bool)
    np.moveaxis(mask, axis, 0)[5] = True
    spoilt = np.where(mask, 0, ramp).astype(np.float32)
    found = inpaint(enhancer, spoilt, (1, 1, 1), mask).volume
    np.testing.assert_allclose(found[mask], ramp[mask], rtol=0.1)


def test_masks_that_do_not_fit_are_refused(
    make_head: Make, write_scan: Write, weights: Path, capsys: Out
) -> None:
    source = write_scan(make_head(SHAPE))
    wrong = {
        "small.nii": (hole()[1:], None, "give one on its grid"),
        "moved.nii": (hole(), np.diag([1, 1, 2.0, 1]), "lies elsewhere than the scan"),
        "empty.nii": (0 * hole(), None, "is 0 everywhere"),
        "most.nii": (1 - hole(), None, "at most 50%"),
    }
    for name, (mask, affine, words) in wrong.items():
        assert run(source, "--weights", weights, "--inpaint",
                   write_scan(mask, name, affine=affine)) == 1  # fmt: skip
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    assert not source.with_name("scan_inpainted.nii.gz").exists()
    spoilt = make_head(SHAPE)
    spoilt[0, 0, 0] = np.nan
    bad = write_scan(spoilt, "nan.nii")
    assert run(bad, "--weights", weights, "--inpaint", write_scan(hole(), "ok.nii")) == 1
    assert "NaN or Inf outside the mask" in capsys.readouterr().err
