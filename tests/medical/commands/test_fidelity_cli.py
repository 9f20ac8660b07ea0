"""Fidelity through the real command, on scans and samples in files."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diff_medical.fidelity.__main__ import main
from tiny_generator import write_generator

Out = pytest.CaptureFixture[str]
SHAPE = (32, 32, 26)
MM = 7.5  # the tiny model's pixel


def person(seed: int) -> np.ndarray:
    inside = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 1.5)
    return (500 + 150 * inside / inside.std()).astype(np.float32)


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.Nifti1Image(values, np.diag([MM, MM, MM, 1])).to_filename(path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real (two people), other (two others), and samples: like them but for a blur."""
    root = tmp_path_factory.mktemp("fidelity")
    write_generator(root / "model.safetensors")
    for number, name in enumerate(("real/a", "real/b", "other/c", "other/d")):
        write(root / f"{name}_t1_head.nii.gz", person(number))
    blurred = gaussian_filter(person(7), 1.0)
    for z in range(SHAPE[2]):
        write(root / "samples" / f"t1_head_axial_{z:06d}.nii.gz", blurred[:, :, z : z + 1])
    return root


def fidelity(folder: Path, *more: object) -> int:
    given = ["--real", folder / "real", "--samples", folder / "samples"]
    return main([*map(str, [*given, "--weights", folder / "model.safetensors", *more])])


def test_samples_stand_beside_other_people_and_trivial_generators(
    folder: Path, capsys: Out
) -> None:
    assert fidelity(folder, "--reference", folder / "other", "--json", "--most", 24) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["features"] == "network of tiny"
    assert found["images"] == {"t1 head axial": 24}
    sets = found["sets"]
    assert set(sets) == {"samples", "other real", "normal distribution", "altered real"}
    # what was blurred is steeper, and farther in its spectrum, than other people are
    assert sets["samples"]["slope"]["high"] < sets["other real"]["slope"]["low"]
    assert sets["samples"]["spectrum"]["low"] > sets["other real"]["spectrum"]["high"]


def test_features_of_ones_own(folder: Path, tmp_path: Path, capsys: Out) -> None:
    features = tmp_path / "mine.npz"
    rng = np.random.default_rng(0)
    np.savez(features, real=rng.standard_normal((9, 3)), samples=rng.standard_normal((26, 3)))
    reference = ("--reference", folder / "other")
    assert fidelity(folder, "--features", features) == 2
    assert "--features takes --reference too" in capsys.readouterr().err
    assert fidelity(folder, "--features", features, *reference) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    count = int(said.rsplit("[", 1)[1].split(",")[0])
    rows = {"real": count, "samples": 26, "reference": count}
    np.savez(features, **{name: rng.standard_normal((n, 3)) for name, n in rows.items()})
    assert fidelity(folder, "--features", features, *reference) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"features: {features}; images of each set: 26 t1 head axial")
    assert "Frechet distance" in said


def test_features_that_are_no_archive_are_one_line(folder: Path, capsys: Out) -> None:
    path = folder / "features.npz"
    for content in (b"", b"PK\x03\x04 torn", b"\x93NUMPY\x01\x00\x02\x00{("):
        path.write_bytes(content)
        given = ["--reference", folder / "other", "--features", path]
        assert fidelity(folder, *given) == 1
        shown = capsys.readouterr().err.splitlines()
        assert len(shown) == 1 and "features.npz is no .npz file, or damaged" in shown[0]
