"""BIDS datasets: the files of a series come along, names stay apart, the line of an App works."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.enhance import main
from diff_medical.scan.bids import is_derivative
from diff_medical.scan.names import beside

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
SHAPE = (24, 22, 20)


@pytest.fixture
def run(weights: Path) -> Callable[..., int]:
    def command(*arguments: object) -> int:
        given = [*map(str, arguments), "--weights", str(weights), "--sigma", "50"]
        return main(given)

    return command


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    return folder


def noisy(make_head: Make) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (make_head(SHAPE) + 300 + 50 * rng.standard_normal(SHAPE)).astype(np.float32)


def described(path: Path) -> dict:
    return json.loads(path.read_text())


def test_gradients_and_perfusion_context_come_along(
    make_head: Make, write_scan: Write, root: Path, run: Callable[..., int]
) -> None:
    series = np.stack([noisy(make_head)] * 2, -1)
    write_scan(series, "set/sub-01/dwi/sub-01_dir-AP_dwi.nii.gz")
    write_scan(series, "set/sub-02/dwi/sub-02_dwi.nii.gz")
    write_scan(series, "set/sub-01/perf/sub-01_asl.nii.gz")
    write_scan(series, "set/sub-01/func/sub-01_task-rest_bold.nii.gz")
    (root / "dwi.bval").write_text("0 1000\n")  # of all, by inheritance
    (root / "dwi.bvec").write_text("0 1\n0 0\n0 0\n")
    (root / "sub-01/dwi/sub-01_dir-AP_dwi.bval").write_text("0 700\n")
    (root / "sub-01/perf/sub-01_aslcontext.tsv").write_text("volume_type\ncontrol\nlabel\n")
    assert run(root, "--recursive") == 0
    made = root / "derivatives/diff-medical"
    one, two = made / "sub-01/dwi/sub-01_dir-AP_desc-denoised_dwi", made / "sub-02/dwi"
    assert one.with_suffix(".bval").read_text() == "0 700\n"  # its own, before the dataset's
    assert one.with_suffix(".bvec").read_text() == "0 1\n0 0\n0 0\n"
    assert (two / "sub-02_desc-denoised_dwi.bval").read_text() == "0 1000\n"
    context = made / "sub-01/perf/sub-01_desc-denoised_aslcontext.tsv"
    assert context.read_text() == "volume_type\ncontrol\nlabel\n"
    assert not list(made.rglob("*bold.bval"))
    one.with_suffix(".nii.gz").unlink()
    one.with_suffix(".json").unlink()
    assert run(root / "sub-01/dwi/sub-01_dir-AP_dwi.nii.gz") == 1  # a copy is there


def test_gradients_of_a_plain_file_come_along(
    make_head: Make, write_scan: Write, run: Callable[..., int]
) -> None:
    scan = write_scan(np.stack([noisy(make_head)] * 2, -1), "dwi.nii")
    scan.with_suffix(".bval").write_text("0 1000\n")
    assert run(scan) == 0
    assert scan.with_name("dwi_enhanced.bval").read_text() == "0 1000\n"


@pytest.mark.parametrize("how", ["voxels", "name", "sidecar", "head", "not said"])
def test_skull_stripped_is_true_where_it_is(
    make_head: Make, write_scan: Write, root: Path, run: Callable[..., int], how: str
) -> None:
    volume = noisy(make_head)
    if how in ("voxels", "head"):
        volume[make_head(SHAPE) == 0] = 0
        edges = np.ones(SHAPE, bool)
        edges[1:-1, 1:-1, 1:-1] = False
        volume[edges] = 0
    if how == "head":
        volume[8:16, 8:16, 0] = 400  # a neck leaves the field of view
    entity = "_desc-brain" if how == "name" else ""
    scan = write_scan(volume, f"set/sub-01/anat/sub-01{entity}_T1w.nii.gz")
    if how == "sidecar":
        side = scan.with_name("sub-01_T1w.json")
        side.write_text('{"SkullStripped": true}')
    assert run(root, "--recursive") == 0
    (made,) = (root / "derivatives/diff-medical/sub-01/anat").glob("*.json")
    assert described(made)["SkullStripped"] is (how in ("voxels", "name", "sidecar"))


def test_two_descriptions_have_two_outputs(
    make_head: Make, write_scan: Write, root: Path, run: Callable[..., int]
) -> None:
    volume = noisy(make_head)
    for number, label in enumerate(("raw", "biascorr"), 1):
        write_scan(number * volume, f"set/sub-01/anat/sub-01_desc-{label}_T1w.nii.gz")
    write_scan(3 * volume, "set/sub-01/anat/sub-01_T1w.nii.gz")
    for options in ((), ("--overwrite", "--residual")):
        assert run(root, "--recursive", *options) == 0
    folder = root / "derivatives/diff-medical/sub-01/anat"
    names = {p.name.removesuffix("_T1w.nii.gz") for p in folder.glob("*.nii.gz")}
    assert names == {
        f"sub-01_desc-{label}"
        for label in ("rawDenoised", "biascorrDenoised", "denoised", "rawResidual",
                      "biascorrResidual", "residual")
    }  # fmt: skip
    assert all(is_derivative(path) for path in folder.glob("*.nii.gz"))
    mean = [float(np.mean(nib.load(folder / f"sub-01_desc-{n}_T1w.nii.gz").dataobj))
            for n in ("rawDenoised", "biascorrDenoised")]  # fmt: skip
    assert mean[1] == pytest.approx(2 * mean[0], rel=0.05)


def test_no_two_inputs_share_an_output(
    make_head: Make, write_scan: Write, root: Path, run: Callable[..., int], capsys: Capture
) -> None:
    for name in ("sub-01_T1w.nii", "sub-01_T1w.nii.gz"):  # which share a sidecar
        write_scan(noisy(make_head), f"set/sub-01/anat/{name}")
    assert run(root, "--recursive", "--overwrite") == 1
    assert "would have the same output" in capsys.readouterr().err
    assert len(list((root / "derivatives").rglob("*_T1w.nii*"))) == 1
    assert beside(Path("sub-1_desc-xDenoised_T1w.nii"), "residual").name == (
        "sub-1_desc-xResidual_T1w.nii"
    )


def test_the_line_of_a_bids_app(
    make_head: Make, write_scan: Write, root: Path, tmp_path: Path, run: Callable[..., int],
    capsys: Capture,
) -> None:  # fmt: skip
    for subject in ("01", "02"):
        write_scan(noisy(make_head), f"set/sub-{subject}/anat/sub-{subject}_T1w.nii.gz")
        write_scan(noisy(make_head), f"set/sub-{subject}/fmap/sub-{subject}_phasediff.nii.gz")
    write_scan(noisy(make_head), "set/derivatives/other/sub-01/anat/sub-01_T1w.nii.gz")
    out = tmp_path / "out"
    assert run(root, out, "participant") == 0
    said = capsys.readouterr().err
    assert "2 files are passed by: sub-01_phasediff.nii.gz is a field or phase" in said
    made = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert made == {"dataset_description.json"} | {
        f"sub-{s}/anat/sub-{s}_desc-denoised_T1w.{end}"
        for s in ("01", "02")
        for end in ("json", "nii.gz")
    }
    about = described(out / "dataset_description.json")
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Name"] == "diff-medical"
    assert not (root / "derivatives/diff-medical").exists()

    one = tmp_path / "one"
    assert run(root, one, "participant", "--participant-label", "02") == 0
    assert [p.name for p in one.iterdir() if p.is_dir()] == ["sub-02"]
    capsys.readouterr()
    for wrong in (
        (root, out, "group"),
        (tmp_path / "one", out, "participant"),
        (root, out, "participant", "--participant-label", "7"),
        (root, out, "participant", "-o", tmp_path / "x"),
        (root, "--participant-label", "01"),
    ):
        if wrong[0] != root:
            (tmp_path / "one/dataset_description.json").unlink()
        assert run(*wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1
