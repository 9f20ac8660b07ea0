"""Thin slices from thick ones: the operator, the solver in closed form, files and refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.operator import Downsample, Measurement, gaussian_kernel
from diff_core.schedule import Edm
from diff_medical.enhance import main
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.noise.model import Noise
from diff_medical.restore.plug_and_play import falling, plug_and_play
from diff_medical.restore.upsample import (
    Along,
    SliceMeasurement,
    slice_profile,
    thick_axis,
    upsample,
)

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Out = pytest.CaptureFixture[str]
THICK = (16, 14, 8)
AFFINE = np.array([[0, 0.9, 0, -7], [1.1, 0, 0, 3], [0, 0, -4.0, 5], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("profile", ["gaussian", "box"])
def test_profile_is_that_of_the_core(factor: int, profile: str) -> None:
    """Against `diff_core.operator.Downsample`, a convolution with a stride."""
    weights = gaussian_kernel((factor,), (3 * factor,)) if profile == "gaussian" else None
    known = Downsample(axis=2, factor=factor, profile=weights)
    x = torch.rand(1, 1, 6 * factor, 3, 2, dtype=torch.float64)
    made = Along(slice_profile(6 * factor, 6, profile), 2)  # type: ignore[arg-type]
    torch.testing.assert_close(made(x), known(x))
    y = torch.rand(1, 1, 6, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(made.adjoint(y), known.adjoint(y))


@pytest.mark.parametrize("count", [7, 10, 23])
@pytest.mark.parametrize("profile", ["gaussian", "box"])
def test_slices_are_means_about_their_centres(count: int, profile: str) -> None:
    matrix = slice_profile(count, 7, profile)  # type: ignore[arg-type]
    torch.testing.assert_close(matrix.sum(1), torch.ones(7, dtype=torch.float64))
    # a ramp keeps its value at the centre of a slice that has both its sides
    ramp = (matrix @ torch.arange(count, dtype=torch.float64))[2:5]
    centres = (torch.arange(2, 5) + 0.5) * count / 7 - 0.5
    torch.testing.assert_close(ramp, centres.double(), atol=0.12, rtol=0)


def test_correction_is_that_of_conjugate_gradients() -> None:
    operator = Along(slice_profile(18, 6), 3)
    y, x = torch.rand(1, 1, 4, 6, 5).double(), torch.rand(1, 1, 4, 18, 5).double()
    exact = SliceMeasurement(operator, y, 0.1)
    known = Measurement(operator, y, 0.1)
    for ratio in (1e-2, 1.0, 100.0):
        given = torch.tensor(ratio, dtype=torch.float64)
        torch.testing.assert_close(
            exact.correction(x, given), known.correction(x, given), atol=1e-8, rtol=1e-6
        )


class Gaussian(Denoiser):
    """D of N(mean, spread^2) for each voxel."""

    def __init__(self, mean: Tensor, spread: float) -> None:
        super().__init__(Edm(sigma_max=0.5))
        self.mean, self.spread = mean, spread

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        sigma = self.schedule.sigma(t)
        return (self.spread**2 * x_t + sigma**2 * self.mean) / (self.spread**2 + sigma**2)


@pytest.mark.parametrize("level", [0.05, 0.3])
def test_with_a_gaussian_prior_it_ends_at_the_posterior_mean(level: float) -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.rand(1, 1, 3, 2, 12, generator=generator).double()
    y = torch.rand(1, 1, 3, 2, 4, generator=generator).double()
    matrix, noise, spread = slice_profile(12, 4), 0.07, 0.2
    measurement = SliceMeasurement(Along(matrix, 4), y, noise)
    found = plug_and_play(Gaussian(mean, spread), measurement, mean, [level] * 400)
    prior = spread**2 + level**2
    power = prior * matrix @ matrix.T + noise**2 * torch.eye(4, dtype=torch.float64)
    gain = prior * matrix.T @ torch.linalg.inv(power)
    known = mean + (y - mean @ matrix.T) @ gain.T
    torch.testing.assert_close(found, known, atol=1e-5, rtol=0)


def test_levels_fall_evenly() -> None:
    assert falling(0.4, 0.1, 3) == pytest.approx((0.4, 0.2, 0.1))
    assert falling(0.4, 0.1, 1) == (0.4,)


@pytest.mark.parametrize(("axis", "count"), [(0, 20), (1, 21), (2, 32)])
def test_thick_slices_of_the_result_are_the_scan(
    make_head: Make, weights: Path, axis: int, count: int
) -> None:
    shape = [12, 12, 12]
    shape[axis] = count
    volume = thickened(make_head(tuple(shape)), axis, 8)
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 3.0
    enhancer = Enhancer.from_pretrained(weights, device="cpu")
    shares: list[float] = []
    done = upsample(
        enhancer, volume, tuple(spacing), count, noise=Noise(4.0, "gaussian", "declared"),
        progress=shares.append,
    )  # fmt: skip
    assert done.volume.shape == tuple(shape)
    assert done.misfit < 1
    again = thickened(done.volume - 300, axis, 8)
    assert np.sqrt(np.mean((again - volume) ** 2)) < 4.0
    assert axis not in done.passes.axes
    assert shares == sorted(shares)
    assert shares[-1] == 1


def run(*arguments: object) -> int:
    return main([*(str(a) for a in arguments), "--threads", "1"])


def thickened(thin: np.ndarray, axis: int, slices: int) -> np.ndarray:
    """What a scanner with thick slices makes of a volume on a pedestal of 300."""
    matrix = slice_profile(thin.shape[axis], slices).numpy()
    thick = np.tensordot(matrix, np.moveaxis(thin + 300, axis, 0), 1)
    return np.moveaxis(thick, 0, axis).astype(np.float32)


def corner(affine: np.ndarray, shape: tuple[int, ...], end: int) -> np.ndarray:
    """Where the first or the last corner of a volume lies, mm."""
    place = np.full(3, -0.5) if end == 0 else np.array(shape[:3]) - 0.5
    return affine[:3, :3] @ place + affine[:3, 3]


@pytest.mark.parametrize(("sform", "qform"), [(True, False), (False, True), (True, True)])
def test_file_fills_the_same_space(
    make_head: Make, weights: Path, tmp_path: Path, capsys: Out, sform: bool, qform: bool
) -> None:
    stored = np.rint(thickened(make_head((16, 14, 32)), 2, 8)).astype(np.int16)
    image = nib.Nifti1Image(stored, None)
    image.header.set_zooms((1.1, 0.9, 4.0))
    image.header.set_sform(AFFINE if sform else None, code=2 if sform else 0)
    image.header.set_qform(AFFINE if qform else None, code=1 if qform else 0)
    image.header.set_slope_inter(0.5, 3)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_dim_info(slice=2)
    image.header["slice_code"], image.header["slice_end"] = 1, 7
    image.header["descrip"] = b"study 7"
    source = tmp_path / "scan.nii.gz"
    image.to_filename(source)
    before = nib.load(source)
    assert run(source, "--weights", weights, "--upsample", 4, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    after = nib.load(tmp_path / "scan_upsampled.nii.gz")
    assert after.shape == (16, 14, 32)
    assert after.header.get_zooms() == pytest.approx((1.1, 0.9, 1.0))
    for one, other in (
        (before.affine, after.affine),
        *([(before.get_qform(), after.get_qform())] if qform else []),
    ):
        for end in (0, 1):
            np.testing.assert_allclose(
                corner(one, before.shape, end), corner(other, after.shape, end), atol=1e-4
            )
    assert (after.header["sform_code"], after.header["qform_code"]) == (2 * sform, 1 * qform)
    assert (after.get_data_dtype(), after.dataobj.slope, after.dataobj.inter) == (np.int16, 0.5, 3)
    assert after.header.get_xyzt_units() == ("mm", "sec")
    assert (after.header["slice_code"], after.header["slice_end"]) == (0, 0)
    assert after.header["descrip"].item().startswith(b"study 7; diff-medical")
    assert said["shape"] == [16, 14, 32]
    assert said["spacing"] == pytest.approx([1.1, 0.9, 1.0])
    assert said["misfit"] < 1.5
    beside = json.loads((tmp_path / "scan_upsampled.json").read_text())
    assert "plausible, not measured" in beside["Description"]
    assert beside["Restoration"]["profile"] == "gaussian"
    assert run(source, "--weights", weights, "--upsample", 4) == 1
    assert "exists; add --overwrite" in capsys.readouterr().err


def test_spacing_wished_for_and_twice_the_same(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    source = write_scan(make_head(THICK), affine=np.diag([1, 1, 3.0, 1]))
    made = []
    for name in ("a.nii", "b.nii"):
        assert run(source, "--weights", weights, "--spacing", 1, 1, 1.2, "--profile", "box",
                   "-o", tmp_path / name) == 0  # fmt: skip
        made.append(nib.load(tmp_path / name))
    assert made[0].shape == (16, 14, 20)
    assert made[0].header.get_zooms() == pytest.approx((1, 1, 1.2))
    np.testing.assert_array_equal(np.asarray(made[0].dataobj), np.asarray(made[1].dataobj))
    assert "1 x 1 x 1.2 mm" in capsys.readouterr().out
    assert run(source, "--weights", weights, "--spacing", 2, 1, 1, "-o", tmp_path / "c.nii") == 1
    assert "ask for --spacing 1 1 1" in capsys.readouterr().err


def test_what_has_no_thick_slices_is_refused(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    wrong = {
        "isotropic.nii": (make_head(THICK), np.eye(4), "expected slices thicker than pixels"),
        "plane.nii": (make_head((16, 14, 1))[..., 0], np.diag([1, 1, 5.0, 1]), "1 slices"),
        "few.nii": (make_head((16, 14, 3)), np.diag([1, 1, 5.0, 1]), "expected at least 4"),
    }
    for name, (array, affine, words) in wrong.items():
        assert run(write_scan(array, name, affine=affine), "--weights", weights,
                   "--upsample", 2) == 1  # fmt: skip
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    image = nib.MGHImage(make_head(THICK), AFFINE)
    image.to_filename(tmp_path / "scan.mgz")
    assert run(tmp_path / "scan.mgz", "--weights", weights, "--upsample", 2) == 1
    assert "is not NIfTI" in capsys.readouterr().err
    with pytest.raises(ValueError, match="thicker than pixels"):
        thick_axis((9, 9, 9), (1, 1.1, 1))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--upsample", "1"], "greater than or equal to 2"),
        (["--upsample", "2", "--spacing", "1", "1", "1"], "does not go with --spacing"),
        (["--upsample", "2", "--samples", "2"], "does not go with --samples"),
        (["--upsample", "2", "--residual"], "does not go with --residual"),
        (["--inpaint", "m.nii", "--upsample", "2"], "does not go with --inpaint"),
    ],
)
def test_wrong_usage(
    make_head: Make, write_scan: Write, weights: Path, capsys: Out,
    arguments: list[str], word: str,
) -> None:  # fmt: skip
    assert run(write_scan(make_head(THICK)), "--weights", weights, *arguments) == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize(("count", "slices"), [(3, 4), (4, 0)])
def test_bad_counts_are_named(count: int, slices: int) -> None:
    with pytest.raises(ValueError, match=f"given {slices} slices of {count}"):
        slice_profile(count, slices)
