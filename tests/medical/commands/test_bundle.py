"""The MONAI bundle: written, understood by MONAI, and run on a file."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser

from diff_medical.bundle import main
from diff_medical.enhance import main as enhance

AFFINE = np.array([[-0.9, 0, 0, 80], [0, 1.1, 0, -90], [0, 0, 1.3, -60], [0, 0, 0, 1.0]])


@pytest.fixture
def bundle(tmp_path: Path, weights: Path) -> Path:
    assert main(["-o", str(tmp_path / "new" / "bundle"), "--weights", str(weights)]) == 0
    return tmp_path / "new" / "bundle"


def test_bundle_has_what_the_specification_asks_for(bundle: Path) -> None:
    found = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert found == {"LICENSE", "configs/metadata.json", "configs/inference.json",
                     "models/enhance.safetensors", "docs/README.md", "docs/card.json"}  # fmt: skip
    about = json.loads((bundle / "configs" / "metadata.json").read_text())
    required = {"schema", "version", "changelog", "monai_version", "pytorch_version",
                "numpy_version", "required_packages_version", "task", "description", "authors",
                "copyright", "network_data_format"}  # fmt: skip
    assert required <= set(about)
    assert set(about["network_data_format"]) == {"inputs", "outputs"}
    assert "diff-medical" in about["required_packages_version"]
    assert "not a medical device" in about["intended_use"]
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


@pytest.mark.slow
def test_monai_runs_it(
    bundle: Path, weights: Path, make_head: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    noisy = make_head((24, 22, 20)) + 60 * np.random.default_rng(0).standard_normal((24, 22, 20))
    scan = tmp_path / "scans" / "scan.nii.gz"
    scan.parent.mkdir()
    nib.Nifti1Image(noisy.astype(np.float32), AFFINE).to_filename(scan)
    parser = ConfigParser()
    parser.read_meta(bundle / "configs" / "metadata.json")
    parser.read_config(bundle / "configs" / "inference.json")
    for name, value in (
        ("bundle_root", str(bundle)), ("dataset_dir", str(scan.parent)), ("device", "cpu"),
        ("output_dir", str(tmp_path / "out")), ("sigma", 60.0), ("noise", "gaussian"),
    ):  # fmt: skip
        parser[name] = value
    parser.get_parsed_content("run")
    made = nib.load(tmp_path / "out" / "scan_enhanced.nii.gz")
    np.testing.assert_allclose(made.affine, AFFINE, atol=1e-6)
    again = tmp_path / "again.nii.gz"
    assert enhance([str(scan), "-o", str(again), "--weights", str(weights), "--sigma", "60",
                    "--noise", "gaussian"]) == 0  # fmt: skip
    np.testing.assert_array_equal(np.asarray(made.dataobj), np.asarray(nib.load(again).dataobj))


def test_faults_are_told_in_one_line(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["-o", str(bundle)]) == 1
    assert "exists; name a new folder" in capsys.readouterr().err
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"12345678abc")
    assert main(["-o", str(tmp_path / "b"), "--weights", str(bad)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "bad.safetensors" in said
    assert not (tmp_path / "b").exists()
