"""Holes of brains filled: what stays, what is drawn, where it lies, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

import template_head
from diff_core import grid as grids
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.io import load
from diff_core.noise import Keyed
from diff_core.sample import Ancestral, sample
from diff_core.schedule import Edm
from diff_medical.brain.filling import Gap, fill, pieces
from diff_medical.brain.model import NETWORK_TYPES, BrainGenerator
from diff_medical.brain.stage import Known, again
from diff_medical.generate import main
from diff_medical.jobs.fill import Holed, _back, guessed, read_holed
from diff_medical.marks.told import tell
from template_head import tissue, write_stages
from tiny_brain import GRID, head, scan, write_brain

Out = pytest.CaptureFixture[str]
STEP = 3.0  # mm of the person's voxels
NAME = "mine_{seed:06d}_desc-synthetic"


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> BrainGenerator:
    folder = write_brain(tmp_path_factory.mktemp("brain"))
    return BrainGenerator.from_pretrained(folder, device="cpu")


def gap(seed: int = 8, inside: float = 0.0) -> Gap:
    labels, hole = head(seed), np.zeros(GRID.shape, bool)
    hole[6:9, 10:13, 7:10] = True
    values, given = scan(labels, seed), labels.copy()
    values[hole], given[hole] = inside, 0
    return Gap(values, given, hole, guessed(labels, hole))


def test_the_part_that_is_known_moves_the_other() -> None:
    # two numbers of correlation 0.9: given the first, the mean of the second is 0.9 of it
    law = Gaussian.from_covariance(torch.zeros(2, 1).double(),
                                   torch.tensor([[1, 0.9], [0.9, 1]]).double())  # fmt: skip
    given = torch.tensor([1.5]).double()

    def put(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([given.expand_as(x[:, 0]), x[:, 1]], 1)

    schedule, noise = Edm(80.0), Keyed(range(120))
    times = grids.karras(schedule, 10, 0.03, 20.0, 5.0)
    start = noise(-1, torch.empty(120, 2, 1).double()) * 20
    known = Known(ExactDenoiser(law, schedule), put)
    once, often = (
        sample(known, sampler, start, times, noise=noise)[:, 1]
        for sampler in (Ancestral(), again(start))
    )
    wanted = 0.9 * 1.5
    assert float(often.mean()) == pytest.approx(wanted, abs=0.2 * wanted)
    assert abs(float(often.mean()) - wanted) < 0.4 * abs(float(once.mean()) - wanted)
    assert float(often.std()) == pytest.approx(0.19**0.5, abs=0.1)


def test_boxes_hold_a_hole_and_what_is_around_it() -> None:
    hole = np.zeros((96, 112, 96), bool)
    hole[50:54, 60:63, 40:44] = hole[51, 64, 41] = True  # one part: two voxels apart
    hole[2:4, 100:103, 88:96] = True
    found = list(pieces(hole))
    assert len(found) == 2
    covered = np.zeros(hole.shape, int)
    for box in found:
        assert all(s.start % 8 == 0 and s.stop % 8 == 0 for s in box)
        assert all(32 <= s.stop - s.start <= 48 and s.start >= 0 for s in box)
        assert all(s.stop <= n for s, n in zip(box, hole.shape, strict=True))
        covered[box] += 1
    assert (covered[hole] == 1).all()
    assert covered[38:66, 48:76, 28:56].all()  # twelve voxels on all sides


def test_all_but_the_hole_stays_and_what_stood_in_it_plays_no_part(brain: BrainGenerator) -> None:
    given = gap()
    image, labels = fill(brain, given, 3, (2, 3))
    out = ~given.hole
    assert np.array_equal(image[out], given.scan[out])
    assert np.array_equal(labels[out], given.labels[out])
    assert np.isfinite(image).all() and image.min() >= 0
    assert set(np.unique(labels)) <= set(range(6))
    other = fill(brain, gap(inside=np.nan), 3, (2, 3))
    assert np.array_equal(other[0], image) and np.array_equal(other[1], labels)
    assert not np.array_equal(fill(brain, given, 4, (2, 3))[0], image)
    # what is around it does play one
    changed = gap()
    changed.scan[5, 10:13, 7:10] += 0.3
    assert not np.array_equal(fill(brain, changed, 3, (2, 3))[0][given.hole], image[given.hole])


def test_wrong_gaps() -> None:
    one = gap()
    with pytest.raises(ValueError, match="expected one"):
        Gap(one.scan[1:], one.labels, one.hole, one.shares)
    for hole in (np.zeros_like(one.hole), np.ones_like(one.hole)):
        with pytest.raises(ValueError, match="expected a part of it"):
            Gap(one.scan, one.labels, hole, one.shares)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stages(tmp_path_factory.mktemp("stages"))


def write_person(folder: Path, **more: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mine.nii.gz, int16 with a slope, stored left, front, head; hole.nii.gz, a ball of 20 mm in
    it, in which the scan is spoilt. Return the values without the hole, the hole, the affine.
    """
    values, affine = template_head.head(template_head.place(), 1, STEP)
    affine = affine @ np.array([[-1, 0, 0, len(values) - 1], [0, 1, 0, 0], [0, 0, 1, 0],
                                [0, 0, 0, 1.0]])  # fmt: skip
    values = values[::-1].copy()
    voxels = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1)
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    hole = np.linalg.norm(places - [44, -25, 14], axis=-1) < 10
    spoilt = np.where(hole, 3000, values)
    image = nib.Nifti1Image(np.rint(spoilt / 0.5).astype(np.int16), affine)
    image.header.set_slope_inter(0.5, 0)
    image.to_filename(folder / "mine.nii.gz")
    nib.Nifti1Image(hole.astype(np.uint8), affine).to_filename(folder / "hole.nii.gz")
    return values, hole, affine


Person = tuple[Path, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """The folder of a person, and what `write_person` returns."""
    folder = tmp_path_factory.mktemp("person")
    return folder, *write_person(folder)


@pytest.fixture(scope="module")
def holed(stages: Path, person: Person) -> tuple[Holed, np.ndarray]:
    folder, values, _, _ = person
    lobes: Any = load(stages / "brain-lobes.safetensors", types=NETWORK_TYPES)[0]
    return read_holed(folder / "mine.nii.gz", folder / "hole.nii.gz", lobes), values


def test_a_filling_goes_back_to_its_place_its_level_and_its_shading(
    holed: tuple[Holed, np.ndarray],
) -> None:
    found, values = holed
    voxels = np.stack(np.meshgrid(*map(np.arange, found.gap.hole.shape), indexing="ij"), -1)
    to_template = np.linalg.inv(template_head.place()) @ found.affine
    known = tissue(voxels @ to_template[:3, :3].T + to_template[:3, 3])
    # the hole on the grid of the model holds that of the scan, and little more
    assert 0.9 < found.gap.hole.sum() * abs(np.linalg.det(found.affine)) / (
        found.hole.sum() * STEP**3) < 2.2  # fmt: skip
    # an image that is right on that grid comes back as the scan was, but at the edges of voxels
    image = np.where(known > 0, template_head.LEVELS[known], 0).astype(np.float32)
    back = _back(found, image)
    assert np.array_equal(back[~found.hole], found.scan.volume()[~found.hole])
    off = (back - values)[found.hole]
    assert np.sqrt(np.mean(off**2)) < 0.5 * values[found.hole].std()
    assert abs(off.mean()) < 0.03 * 800


def test_the_command_fills_a_hole_and_keeps_all_else(
    stages: Path, person: Person, tmp_path: Path, capsys: Out
) -> None:
    folder, _, hole, affine = person
    out, given = tmp_path / "out", nib.load(folder / "mine.nii.gz")
    common = ["--weights", str(stages), "--steps", "1", "--device", "cpu", "--with-labels"]
    asked = ["--from", str(folder / "mine.nii.gz"), "--fill", str(folder / "hole.nii.gz")]
    assert main([*common, *asked, "-n", "2", "--seed", "7", "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "share it only as you may share the scan" in said and "filling" in said
    stored = []
    for seed in (7, 8):
        path = out / f"{NAME.format(seed=seed)}.nii.gz"
        made: Any = nib.load(path)
        assert made.get_data_dtype() == np.int16 and np.array_equal(made.affine, given.affine)
        assert made.dataobj.slope == 0.5
        raw = np.asarray(made.dataobj.get_unscaled())
        assert np.array_equal(raw[~hole], np.asarray(given.dataobj.get_unscaled())[~hole])
        assert raw[hole].max() < 5000  # 6000 is what spoilt it
        stored.append(raw)
        told = tell(path)
        assert told.mark is not None and told.mark.seed == seed
        assert told.mark.conditions["filled"] == "mine.nii.gz"
        assert told.mark.conditions["voxels"] == hole.sum()
        sidecar = json.loads(path.with_name(f"{NAME.format(seed=seed)}.json").read_text())
        assert sidecar["Synthetic"] is True and "invented" in sidecar["Description"]
        labels: Any = nib.load(out / f"{NAME.format(seed=seed)}_dseg.nii.gz")
        assert labels.shape == hole.shape and np.allclose(labels.affine, affine, atol=1e-4)
        voxels = np.stack(np.meshgrid(*map(np.arange, hole.shape), indexing="ij"), -1)
        to_template = np.linalg.inv(template_head.place()) @ affine
        known = tissue(voxels @ to_template[:3, :3].T + to_template[:3, 3])
        one, other = (np.asarray(labels.dataobj) == 3)[~hole], (known == 3)[~hole]
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.85
    assert not np.array_equal(stored[0][hole], stored[1][hole])
    assert (out / "mine_000007-000008_desc-synthetic.png").is_file()


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("none", 1, "none.nii.gz"),
        ("grid", 1, "hole.nii.gz: has shape"),
        ("empty", 1, "hole.nii.gz: covers 0% of the scan"),
        ("all", 1, "hole.nii.gz: covers 100% of the scan"),
        ("air", 1, "hole.nii.gz: marks nothing of the brain"),
        ("series", 1, "mine.nii.gz: is a series of 2 volumes"),
        ("nan", 1, "mine.nii.gz: holds NaN or Inf outside the mask"),
        ("from", 2, "--fill is of a scan; add --from SCAN"),
        ("strength", 2, "--fill does not go with --strength"),
        ("dicom", 2, "--fill keeps the format of the scan"),
    ],
)
def test_bad_input_is_one_line(
    stages: Path, person: Person, tmp_path: Path, capsys: Out, fault: str, code: int, says: str
) -> None:
    folder, values, hole, affine = person
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    mask, name, more = hole.astype(np.uint8), "mine.nii.gz", []
    if fault in ("grid", "empty", "all", "air"):
        mask = {"grid": mask[1:], "empty": 0 * mask, "all": 0 * mask + 1, "air": 0 * mask}[fault]
        mask[:2, :2, :2] = max(mask[0, 0, 0], fault == "air")
        nib.Nifti1Image(mask, affine).to_filename(tmp_path / "hole.nii.gz")
    elif fault == "series":
        nib.Nifti1Image(np.stack([values] * 2, -1), affine).to_filename(tmp_path / name)
    elif fault == "nan":
        spoilt = values.copy()
        spoilt[0, 0, 0] = np.nan
        nib.Nifti1Image(spoilt, affine).to_filename(tmp_path / name)
    elif fault in ("strength", "dicom"):
        more = ["--strength", "0.3"] if fault == "strength" else ["--format", "dicom"]
    else:
        name = "none.nii.gz"
    source = [] if fault == "from" else ["--from", str(tmp_path / name)]
    asked = [*source, "--fill", str(tmp_path / "hole.nii.gz"), *more]
    assert main(["--weights", str(stages), "-o", str(tmp_path / "out"), *asked]) == code
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()
