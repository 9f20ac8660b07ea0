"""A background of one value stays to the bit, and no voxel of tissue depends on it."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.enhance import main
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.level import estimate
from diff_medical.scan.background import background_values, is_solid

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]


def brain(make_head: Make, shape: tuple[int, int, int] = (40, 36, 24)) -> tuple[np.ndarray, ...]:
    """A brain with noise of 30, and where it is not."""
    clean = make_head(shape)
    noisy = clean + 500 + 30 * np.random.default_rng(0).standard_normal(shape)
    return np.maximum(np.rint(noisy), 1).astype(np.float32), clean == 0


@pytest.mark.parametrize("kind", ["solid", "holes"])
def test_zeros_around_tissue_stay_zeros(make_head: Make, kind: str) -> None:
    volume, outside = brain(make_head)
    if kind == "holes":
        outside = outside | (np.random.default_rng(1).random(volume.shape) < 0.1)
    volume[outside] = 0
    after = Enhancer.from_pretrained()(volume, (1, 1, 1), Settings(quality="draft"))
    assert after.unchanged == ""
    assert (after.volume[outside] == 0).all()
    assert (after.volume[~outside] > 0).all()
    assert (after.volume != volume)[~outside].mean() > 0.9


def test_tissue_does_not_depend_on_the_value_of_the_background(
    make_head: Make, write_scan: Write, tmp_path: Path
) -> None:
    volume, outside = brain(make_head)
    made = {}
    for name, value in (("zero", 0.0), ("nan", np.nan)):
        volume[outside] = value
        scan = write_scan(volume, f"{name}.nii.gz")
        option = ["--keep-nan"] if name == "nan" else []
        command = [str(scan), "--quality", "draft", "-o", str(tmp_path / "out"), *option]
        assert main(command) == 0
        made[name] = np.asarray(nib.load(tmp_path / "out" / scan.name).dataobj)
    np.testing.assert_array_equal(made["nan"][~outside], made["zero"][~outside])
    assert np.isnan(made["nan"][outside]).all()
    assert (made["zero"][outside] == 0).all()


def test_nan_becomes_zero_and_nothing_else(
    make_head: Make, write_scan: Write, capsys: pytest.CaptureFixture[str], weights: Path
) -> None:
    volume, outside = brain(make_head)
    volume[outside] = np.nan
    volume[20, 18, 12] = np.inf
    scan = write_scan(volume)
    assert main([str(scan), "--weights", str(weights)]) == 1
    assert "--keep-nan to keep them, or --nan-to-zero" in capsys.readouterr().err
    command = [str(scan), "--weights", str(weights), "--sigma", "30", "--json", "--overwrite"]
    assert main([*command, "--nan-to-zero"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["zeroed"] == int(outside.sum()) + 1
    after = np.asarray(nib.load(said["output"]).dataobj)
    assert (after[outside] == 0).all()
    assert after[20, 18, 12] == 0
    assert main([*command, "--keep-nan", "--dtype", "float32"]) == 0
    after = np.asarray(nib.load(json.loads(capsys.readouterr().out)["output"]).dataobj)
    np.testing.assert_array_equal(np.isnan(after), outside)
    assert after[20, 18, 12] == np.inf
    assert main([*command, "--keep-nan", "--nan-to-zero"]) == 2


def test_zeros_that_noise_makes_are_no_background() -> None:
    rng = np.random.default_rng(0)
    wide = np.rint(3 * rng.standard_normal(100_000))  # 13 % are 0
    assert background_values(wide, 3.0, "mr") == ()
    rice = np.rint(np.hypot(*rng.normal(0, 2, (2, 100_000))))
    assert background_values(rice, 2.0, "mr") == ()
    water = np.rint(20 * rng.standard_normal(100_000))
    assert background_values(water, 20.0, "ct") == ()
    masked = np.where(np.arange(100_000) < 30_000, 0, wide + 100)
    assert background_values(masked, 3.0, "mr") == (0.0,)
    scored = np.where(np.arange(100_000) < 30_000, -1.5, rng.standard_normal(100_000).clip(-1.4))
    assert background_values(scored, 0.1, "mr") == (-1.5,)


def test_scattered_zeros_are_told_from_a_solid_background() -> None:
    noise = np.random.default_rng(0).standard_normal((40, 40, 10))
    assert not is_solid(noise.clip(0), (0.0,))
    noise[:15] = 0
    assert is_solid(noise, (0.0,))


def test_zeros_do_not_count_as_quiet_tissue(make_head: Make) -> None:
    volume, outside = brain(make_head, (60, 56, 40))
    volume -= 900  # both signs, and zeros around
    volume[outside] = 0
    assert estimate(volume, (1, 1, 1)).sigma == pytest.approx(30, rel=0.1)
