"""Preparation of people: heads of ellipsoids whose place, shading and tissues are known."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from diff_medical.brain.grid import Grid
from diff_medical.brain.people import read_grid, read_people
from diff_medical.brain.preparation.align import Template, on_grid
from diff_medical.brain.preparation.atlas import Atlas, Regions
from diff_medical.brain.preparation.bias import shading, white_level
from diff_medical.brain.preparation.tissue import label
from diff_medical.train import main
from template_head import FAR, GRID, LEVELS, head, place, tissue, truth


def atlas_file() -> tuple[np.ndarray, np.ndarray]:
    """Numbers as AAL has them: 1 cortex, 71 and 72 deep grey matter, 91 the cerebellum."""
    values, affine = head(np.eye(4), 0)
    places = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1)
    labels = tissue(places @ affine[:3, :3].T + affine[:3, 3])
    left = (np.arange(len(labels)) < len(labels) // 2)[:, None, None]
    drawn = np.select([labels == 2, labels == 4, labels == 5], [1, 71 + left, 91], 0)
    return drawn.astype(np.int16), affine


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_a_head_is_found_in_the_template() -> None:
    torch.manual_seed(0)
    template = Template(*head(np.eye(4), 0), 0.878)
    aligned = template.align(*head(place(), 1))
    moved = (FAR @ (aligned.matrix - place()).T)[:, :3]
    assert np.linalg.norm(moved, axis=1).max() < 2.0  # mm, voxels of 4 mm being compared
    assert aligned.scale == pytest.approx(0.9, rel=0.01)
    assert aligned.correlation > 0.95


def test_what_is_no_head_is_not_found() -> None:
    template = Template(*head(np.eye(4), 0), 0.878)
    values, affine = head(place(), 1)
    noise = np.random.default_rng(0).random(values.shape).astype(np.float32)
    with pytest.raises(ValueError, match=r"is not like the template \(correlation 0\.[0-8]"):
        template.align(noise, affine)
    with pytest.raises(ValueError, match="holds nothing above 0"):
        template.align(0 * values, affine)
    with pytest.raises(ValueError, match="expected a volume of 16 or more"):
        template.align(values[:, :, :8], affine)


def test_the_grid_reads_a_linear_volume_exactly() -> None:
    affine = np.diag([2.0, 2.5, 3.0, 1.0])
    affine[:3, 3] = -170
    places = np.stack(np.meshgrid(*map(np.arange, (170, 140, 120)), indexing="ij"), -1)
    slope = np.array([1.0, -2.0, 0.5])
    world = places @ affine[:3, :3].T + affine[:3, 3]
    read = on_grid((world @ slope).astype(np.float32), affine, place(), GRID)
    centres = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), -1)
    to_head = place() @ GRID.in_template()
    expected = (centres @ to_head[:3, :3].T + to_head[:3, 3]) @ slope
    assert np.abs(read - expected).max() < 0.02


def test_shading_is_found_again() -> None:
    labels = truth(GRID)
    noise = 0.02 * np.random.default_rng(2).standard_normal(labels.shape)
    clean = np.where(labels > 0, LEVELS[labels] + noise, 0).clip(0)
    x, y, z = np.meshgrid(*[np.linspace(0, 1, n) for n in labels.shape], indexing="ij")
    field = np.exp(0.25 * np.cos(np.pi * y) + 0.15 * np.cos(np.pi * x) - 0.1 * np.cos(np.pi * z))
    found = shading((clean * field).astype(np.float32))
    ratio = (found / field)[np.isin(labels, (2, 3))]
    before = field[np.isin(labels, (2, 3))]
    assert ratio.std() / ratio.mean() < 0.15 * before.std() / before.mean()
    with pytest.raises(ValueError, match="holds no brain"):
        shading(np.zeros((32, 32, 32), np.float32))


def test_the_level_of_white_matter_is_the_brightest_peak() -> None:
    labels = truth(GRID)
    noise = 0.03 * np.random.default_rng(3).standard_normal(labels.shape)
    values = 630 * (LEVELS[labels] + noise)[labels > 0]
    assert white_level(values) == pytest.approx(630, rel=0.02)


def test_tissues_are_labelled() -> None:
    labels = truth(GRID)
    noise = 0.02 * np.random.default_rng(4).standard_normal(labels.shape)
    clean = np.where(labels > 0, LEVELS[labels] + noise, 0).clip(0).astype(np.float32)
    image = np.where(labels > 0, LEVELS[labels], 0).astype(np.float32)
    found = label(clean, Atlas.on(image, *atlas_file(), GRID))
    assert found.shape == GRID.shape and found.dtype == np.uint8
    for kind, least in ((1, 0.9), (2, 0.9), (3, 0.95), (4, 0.8), (5, 0.85)):
        assert dice(found == kind, labels == kind) > least, kind


def test_an_atlas_of_other_numbers_is_refused() -> None:
    image = np.zeros(GRID.shape, np.float32)
    with pytest.raises(ValueError, match="atlas has no voxel of deep on the grid"):
        Atlas.on(image, *atlas_file(), GRID, Regions(deep=(10, 20)))
    with pytest.raises(ValueError, match="cerebellum is 9 to 2"):
        Regions(cerebellum=(9, 2))


@pytest.mark.slow
def test_the_command_prepares_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def written(name: str, values: np.ndarray, affine: np.ndarray) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(values, affine).to_filename(path)
        return str(path)

    template = written("template.nii.gz", *head(np.eye(4), 0))
    atlas = written("atlas.nii.gz", *atlas_file())
    for number in (1, 2):
        written(f"scans/sub-{number}/anat/sub-{number}_T1w.nii.gz", *head(place(), number))
    noise = np.random.default_rng(0).random((40, 40, 40)).astype(np.float32)
    written("scans/sub-3/anat/sub-3_T1w.nii.gz", noise, np.diag([4.0, 4, 4, 1]))
    written("scans/sub-1/anat/sub-1_T2w.nii.gz", *head(place(), 5))
    out = tmp_path / "prepared"
    command = ["brain-prepare", "--data", str(tmp_path / "scans"), "--template", template,
               "--atlas", atlas, "--out", str(out), "--licence", "CC0-1.0"]  # fmt: skip
    assert main(command) == 1  # one scan is left out
    done = capsys.readouterr()
    assert "sub-3_T1w.nii.gz: is not like the template" in done.err.splitlines()[0]
    assert len(done.out.splitlines()) == 2
    grid = read_grid(out)
    assert grid == Grid()
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert {row["subject"] for row in rows} == {"sub-1", "sub-2"}
    kept = [read_people(out, grid, split) for split in ("train", "val")]
    assert sum(len(one) for one in kept) == 2
    person = next(one for one in kept if len(one))
    assert person.licences[0] == "CC0-1.0"
    assert float(person.sizes[0]) == pytest.approx(0.9 / grid.scale, rel=0.01)
    found, expected = person.labels[0].numpy(), truth(grid)
    # the fluid is a shell of two or three voxels of the scan
    for kind, least in ((1, 0.8), (2, 0.85), (3, 0.9), (4, 0.7), (5, 0.75)):
        assert dice(found == kind, expected == kind) > least, kind

    assert main(command) == 1
    again = capsys.readouterr()
    assert "exists" in again.err and again.err.count("\n") == 1
    for option, value, says in (
        ("--template", atlas + "x", "no such file"),
        ("--atlas", template, "has no voxel of deep"),
        ("--data", str(tmp_path / "none"), "no such folder"),
    ):
        bad = [*command, "--overwrite"]
        bad[bad.index(option) + 1] = value
        assert main(bad) == 1
        done = capsys.readouterr()
        assert says in done.err and done.err.count("\n") == 1, done.err
