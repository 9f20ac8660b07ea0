"""Relatives of a scan: how near they stay, where they lie, what is read without an atlas."""

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

import template_head
from diff_core.io import load
from diff_medical.brain.fractions import fractions
from diff_medical.brain.model import NETWORK_TYPES, BrainGenerator, BrainSampling
from diff_medical.brain.preparation.mean_head import mean_head, read_source
from diff_medical.brain.sampling import Steps
from diff_medical.brain.source import Source
from diff_medical.brain.stage import SIGMA_MIN, Near
from diff_medical.brain.training.statistics import fit
from diff_medical.generate import main
from diff_medical.marks.told import tell
from template_head import write_stages
from tiny_brain import GRID, head, people, scan, stage, write_brain

Out = pytest.CaptureFixture[str]
FEW = Steps(2, 2, 2, 2, 2)


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_brain(tmp_path_factory.mktemp("brain") / "weights")


def source(seed: int = 8) -> Source:
    labels = head(seed)
    return Source(scan(labels, seed), labels, GRID.in_head(1.02), "mine.nii.gz")


def test_the_noise_of_a_strength_is_an_angle() -> None:
    x = torch.zeros(1)
    assert Near(x, 0.5).sigma == pytest.approx(1)  # 45 degrees: as much noise as data
    assert Near(x, 1 / 3).sigma == pytest.approx(math.tan(math.pi / 6))
    assert Near(x, 1e-4).sigma == 2 * SIGMA_MIN and Near(x, 1.0).sigma > 1000
    assert [Near(x, s).share_of(24) for s in (1e-4, 0.5, 1.0)] == [1, 12, 24]
    for wrong in (0.0, -0.1, 1.01, math.nan):
        with pytest.raises(ValueError, match="strength is"):
            Near(x, wrong)


def test_a_silent_stage_shrinks_data_and_noise_as_its_denoiser_does() -> None:
    # F = 0 is D = x / (1 + sigma^2): the law of standard normal data. Noise of deviation s on data
    # x_0 ends, by the probability flow, at (x_0 + s z) / sqrt(1 + s^2)
    made: Any = stage("anatomy", silent=True)
    fit(made, people(5))
    shares = fractions(torch.from_numpy(head(8))[None], 8)
    drawn, other = (
        made.encode(made.sample([1], 40, near=n, strength=0.5)) for n in (shares, -shares)
    )
    # the noise of a seed is the same for both, so their difference holds the data alone
    wanted = (made.encode(shares) - made.encode(-shares)) / math.sqrt(2)
    torch.testing.assert_close(drawn - other, wanted, atol=0.02, rtol=0.02)


def test_relatives_of_all_strengths(brain: Path) -> None:
    generator = BrainGenerator.from_pretrained(brain, device="cpu")
    real = source()
    one = {s: generator(3, BrainSampling(FEW, strength=s), source=real) for s in (1e-3, 0.3, 1.0)}
    inside = real.labels > 0
    shown = np.where(inside, real.scan * 800, 0)
    far = {s: float(np.abs(b.scan.values - shown)[inside & (b.labels > 0)].mean())
           for s, b in one.items()}  # fmt: skip
    assert far[1e-3] < 0.5 * far[0.3] < 0.5 * far[1.0]
    for made in one.values():
        assert np.array_equal(made.scan.affine, real.affine) and made.drawn
    # all is forgotten at 1, but the words that are measured
    free = generator(3, BrainSampling(FEW))
    assert not np.array_equal(free.labels, one[1e-3].labels)
    again = generator(4, BrainSampling(FEW, strength=0.3), source=real)
    assert not np.array_equal(again.scan.values, one[0.3].scan.values)


def test_ventricles_can_be_asked_of_a_relative(brain: Path) -> None:
    generator = BrainGenerator.from_pretrained(brain, device="cpu")
    given = [generator(3, BrainSampling(FEW, ventricles=v), source=source()) for v in (None, 2.0)]
    assert not np.array_equal(given[0].labels, given[1].labels)


def test_wrong_sources(brain: Path) -> None:
    generator = BrainGenerator.from_pretrained(brain, device="cpu")
    real = source()
    with pytest.raises(ValueError, match="expected the same"):
        Source(real.scan[1:], real.labels, real.affine)
    with pytest.raises(ValueError, match="labels and source are both given"):
        generator(3, labels=real.labels, source=real)
    with pytest.raises(ValueError, match="labels has shape"):
        generator(3, source=Source(real.scan[1:], real.labels[1:], real.affine))
    with pytest.raises(ValueError, match="strength is 0"):
        BrainSampling(strength=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stages of heads in which an atlas can be seen."""
    return write_stages(tmp_path_factory.mktemp("whole"))


def write_person(folder: Path) -> tuple[Path, np.ndarray]:
    """A scan, and its affine."""
    values, affine = template_head.head(template_head.place(), 1)
    nib.Nifti1Image(values, affine).to_filename(folder / "mine.nii.gz")
    return folder / "mine.nii.gz", affine


def test_the_mean_head_is_a_template_and_an_atlas(whole: Path, tmp_path: Path) -> None:
    lobes: Any = load(whole / "brain-lobes.safetensors", types=NETWORK_TYPES)[0]
    found = read_source(write_person(tmp_path)[0], lobes)
    # the affine puts each voxel where the person has that tissue
    voxels = np.stack(np.meshgrid(*map(np.arange, found.labels.shape), indexing="ij"), -1)
    to_template = np.linalg.inv(template_head.place()) @ found.affine
    known = template_head.tissue(voxels @ to_template[:3, :3].T + to_template[:3, 3])
    for label, least in {1: 0.8, 2: 0.9, 3: 0.9, 4: 0.6, 5: 0.8}.items():
        one, other = found.labels == label, known == label
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > least, label
    assert found.scan[known == 3].mean() == pytest.approx(1, abs=0.05)
    assert found.name == "mine.nii.gz"


def test_a_stage_that_was_not_trained_has_no_mean_head() -> None:
    with pytest.raises(ValueError, match="no voxel of deep"):
        mean_head(stage("lobes"))


def test_the_command_makes_relatives_where_the_scan_lies(
    whole: Path, tmp_path: Path, capsys: Out
) -> None:
    path, _ = write_person(tmp_path)
    out = tmp_path / "out"
    common = ["--volume", "--weights", str(whole), "--steps", "1", "--device", "cpu"]
    code = main([*common, "--from", str(path), "--strength", "0.01", "-o", str(out)])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "share them only as you may share the scan" in said.out
    name = "t1_brain_volume_000000_desc-synthetic"
    mark = tell(out / f"{name}.nii.gz").mark
    assert mark is not None
    assert mark.conditions["relative of"] == "mine.nii.gz" and mark.conditions["strength"] == 0.01
    made = nib.load(out / f"{name}.nii.gz")
    assert made.shape == template_head.GRID.shape
    # read at the places of its own voxels, the scan that was given is what came out
    voxels = np.stack(np.meshgrid(*map(np.arange, made.shape), indexing="ij"), -1)
    given = nib.load(path)
    at = np.linalg.inv(given.affine) @ made.affine
    places = np.moveaxis(voxels @ at[:3, :3].T + at[:3, 3], -1, 0)
    read = ndimage.map_coordinates(np.asarray(given.dataobj), places, order=1)
    both = (read > 100) & (made.get_fdata() > 100)
    assert np.corrcoef(read[both], made.get_fdata()[both])[0, 1] > 0.8
    assert both.sum() > 0.8 * (read > 100).sum()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--strength", "0.4"), 2, "--strength is of relatives of a scan; add --from SCAN"),
        (("--from", "x.nii.gz", "--strength", "0"), 2, "strength is 0.0; expected above 0"),
        (("--from", "x.nii.gz", "--strength", "1.2"), 2, "strength is 1.2; expected above 0"),
        (("--from", "x.nii.gz", "--strength", "-0.1"), 2, "strength is -0.1; expected above 0"),
        (("--from", "x.nii.gz", "--strength", "nan"), 2, "strength is nan; expected above 0"),
        (("--from", "x.nii.gz", "--labels", "m.nii.gz"), 2, "leave out --labels"),
        (("--from", "noise.nii.gz"), 1, "noise.nii.gz: is not like the template"),
        (("--from", "none.nii.gz"), 1, "none.nii.gz"),
    ],
)
def test_bad_input_is_one_line(
    whole: Path, tmp_path: Path, capsys: Out, arguments: tuple[str, ...], code: int, says: str
) -> None:
    noise = np.random.default_rng(0).uniform(0, 1, (32, 32, 32)).astype(np.float32)
    nib.Nifti1Image(noise, np.diag([6.0, 6, 6, 1])).to_filename(tmp_path / "noise.nii.gz")
    given = [str(tmp_path / a) if a.endswith("noise.nii.gz") else a for a in arguments]
    common = ["--volume", "--weights", str(whole), "-o", str(tmp_path / "out")]
    assert main([*common, *given]) == code
    said = capsys.readouterr()
    assert says in said.err and len(said.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
