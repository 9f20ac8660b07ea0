"""Voxel sizes in training: resampled as asked, kept otherwise, and told of either way."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from diff_medical.data.reading import Reading, load_scan, resampled, voxels
from diff_medical.data.studies import find_scans
from diff_medical.data.volumes import build_corpus
from diff_medical.enhancer.training.validation import Validation
from diff_medical.inspect import main
from diff_medical.train import app

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]


@given(
    sizes=st.tuples(*[st.integers(4, 9)] * 3),
    spacing=st.tuples(*[st.sampled_from((0.5, 1.0, 2.0, 3.0))] * 3),
    to=st.sampled_from((0.5, 1.0)),
)
def test_a_plane_in_space_stays_what_it_is(
    sizes: tuple[int, int, int], spacing: tuple[float, float, float], to: float
) -> None:
    def places(shape: tuple[int, ...], steps: tuple[float, ...]) -> list[np.ndarray]:
        """Centres of voxels in mm, from the edge of the volume."""
        axes = [(np.arange(n) + 0.5) * mm for n, mm in zip(shape, steps, strict=True)]
        return np.meshgrid(*axes, indexing="ij")

    x, y, z = places(sizes, spacing)
    made, new, _ = resampled((2 * x - y + 3 * z).astype(np.float32), spacing, to)
    for n, mm, count, size in zip(made.shape, new, sizes, spacing, strict=True):
        assert n * mm == pytest.approx(count * size)  # the extent
        assert abs(n * to - count * size) <= to / 2
    x, y, z = places(made.shape, new)
    # within the outermost centres, and as far again as the blur of finer voxels reaches
    inner = np.ones(made.shape, bool)
    for place, count, mm in zip((x, y, z), sizes, spacing, strict=True):
        margin = mm / 2 if mm >= to else 5 * to
        inner &= (place >= margin) & (place <= count * mm - margin)
    np.testing.assert_allclose(made[inner], (2 * x - y + 3 * z)[inner], rtol=1e-4, atol=1e-4)


def test_what_resampling_does_to_noise_is_known_and_said() -> None:
    noise = np.random.default_rng(0).standard_normal((24, 24, 24)).astype(np.float32)
    made, spacing, notes = resampled(noise, (2.0, 2.0, 2.0), 1.0)
    assert spacing == (1.0, 1.0, 1.0) and made.shape == (48, 48, 48)
    # each voxel is 3/4 of one and 1/4 of its neighbour, along each axis
    inner = made[1:-1, 1:-1, 1:-1]  # beyond the outermost centres there is only one
    assert inner.var() == pytest.approx((10 / 16) ** 3, rel=0.05)
    assert notes == ("was resampled from 2 x 2 x 2 to 1 mm: its noise is no longer the scanner's",)
    same, _, none = resampled(noise, (1.0, 1.0, 1.0), 1.0)
    assert same is noise and none == ()


def test_a_corpus_has_the_voxels_that_its_recipe_asks_for(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    write_scan(make_head((32, 32, 8)), "data/a.nii.gz", affine=affine)
    write_scan(make_head((32, 32, 8), seed=1), "data/val/b.nii.gz", affine=affine)
    rows = find_scans(tmp_path / "data")
    lines: list[str] = []
    for reading, shape in ((Reading(), (32, 32, 8)), (Reading(spacing=2.0), (16, 16, 16))):
        volumes = build_corpus(rows, tmp_path / "cache", reading=reading, warn=lines.append)
        assert volumes[0].array.shape == shape
        (case,) = Validation.of(rows, reading=reading).cases
        assert case.clean.shape == shape and case.spacing == volumes[0].spacing
    assert len(lines) == 1 and "was resampled from 1 x 1 x 4 to 2 mm" in lines[0]
    assert volumes[0].spacing == (2.0, 2.0, 2.0)
    assert load_scan(rows[0].path).spacing == (1.0, 1.0, 4.0)
    with pytest.raises(ValueError, match=r"spacing is 0\.0; expected 0\.01 to 100 mm"):
        Reading(spacing=0.0)


def test_sizes_that_differ_more_than_twice_are_warned_of() -> None:
    even = [(1.0, 1.0, 5.0), (0.5, 0.5, 0.5)]
    said, warning = voxels(even)
    assert "0.5 to 1 mm along the finest axis, at most 5 mm" in said and not warning
    assert "2.2-fold" in voxels([*even, (1.1, 1.1, 1.1)])[1]


def test_commands_tell_of_spacing_and_orientation(
    tmp_path: Path,
    write_scan: Write,
    make_head: Make,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_scan(make_head((28, 28, 28)), "data/a.nii.gz")
    fine = np.diag([-0.4, 0.4, 3.0, 1.0])
    write_scan(make_head((40, 40, 6), seed=1), "data/b.nii.gz", affine=fine)
    tiny = ["train.steps=1", "train.batch_size=1", "patches.size=16", "network.channels=[4,6]"]
    run = ["enhance", "--data", tmp_path / "data", "--out", tmp_path / "out", "--dry-run", *tiny]
    done = CliRunner().invoke(app, [*map(str, run), "--device", "cpu", "reading.orientation=RAS"])
    assert done.exit_code == 0, done.output
    sizes = "voxels of 0.4 to 1 mm along the finest axis, at most 3 mm along another"
    assert f"2 scans: {sizes}, as stored" in done.stdout
    assert "orientation: RAS" in done.stdout
    assert "voxels differ 2.5-fold in size" in done.stderr

    assert main([str(tmp_path / "data")]) == 0
    said = capsys.readouterr().out
    assert f"{sizes}; axes: 1 RAS, 1 LAS" in said and "warning: voxels differ 2.5-fold" in said
