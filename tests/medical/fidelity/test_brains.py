"""Brains against brains: features of known heads, and sets that are alike or not."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.brain.grid import CLASSES
from diff_medical.fidelity.__main__ import main
from diff_medical.fidelity.brains import Brains, compare, read_brains
from diff_medical.image_sets.brain_features import brain_features, volume_name
from tiny_brain import GRID, head, scan, write_people

Out = pytest.CaptureFixture[str]


def test_features_of_a_cube_of_white_matter_in_grey() -> None:
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[2:14, 2:14, 2:14] = 2
    labels[4:12, 4:12, 4:12] = 3
    grey = np.array([0, 0, 60, 100], np.float32)[labels]
    found = brain_features(grey, labels, 2.0)
    assert found[volume_name(3)] == pytest.approx(8**3 * 8 / 1000)
    assert found[volume_name(2)] == pytest.approx((12**3 - 8**3) * 8 / 1000)
    assert found[volume_name(1)] == 0
    assert found["cortical grey matter, grey, quantile 0.5"] == pytest.approx(0.6)
    assert found["faces of grey and white"] == pytest.approx(6 * 64 / 12**3)
    assert found["faces of fluid and grey"] == 0
    assert found["symmetry"] == 1 and found["grain of white matter"] == pytest.approx(0, abs=1e-5)
    assert found["pieces of white matter"] == pytest.approx(np.log(2))
    # no unit of the scan matters
    other = brain_features(grey * 8, labels, 2.0)
    assert all(other[name] == pytest.approx(found[name], abs=1e-4) for name in found)


def test_the_spectrum_of_white_noise_is_flat() -> None:
    labels = np.full((32, 32, 32), 3, np.uint8)
    noise = 100 + np.random.default_rng(0).standard_normal(labels.shape).astype(np.float32)
    assert brain_features(noise, labels, 1.0)["slope of the spectrum"] == pytest.approx(
        0, abs=0.05
    )
    with pytest.raises(ValueError, match="white matter that is brighter than 0"):
        brain_features(-noise, labels, 1.0)


def drawn(count: int, seed: int, shift: float = 0.0, spread: float = 1.0) -> Brains:
    names = ("slope of the spectrum", *(volume_name(k) for k in range(1, len(CLASSES))), "a", "b")
    values = np.random.default_rng(seed).standard_normal((count, len(names))) * spread
    values[:, -1] += shift
    return Brains(names, values)


def test_samples_of_the_same_law_are_as_near_as_real_ones() -> None:
    found = compare(drawn(200, 0), drawn(200, 1))
    for name in ("Frechet distance", "told apart"):
        ours, real = found.distances[name]
        assert ours.value == pytest.approx(real.value, rel=0.15)
    ours, real = found.distances["told apart"]
    assert ours.low < 0.5 < ours.high + 0.05
    assert min(found.inside.values()) > 0.95


def test_samples_of_another_law_are_found() -> None:
    found = compare(drawn(200, 0), drawn(200, 1, shift=3))
    ours, real = found.distances["Frechet distance"]
    assert ours.low > real.high and ours.value - real.value == pytest.approx(9, rel=0.2)
    assert found.distances["told apart"][0].value > 0.9
    assert next(iter(found.furthest)) == "b"
    narrow = compare(drawn(200, 0), drawn(200, 1, spread=0.2))
    assert (
        narrow.distances["Frechet distance"][0].low > narrow.distances["Frechet distance"][1].high
    )
    assert narrow.inside["slope of the spectrum"] == 1


def write_samples(folder: Path, count: int, noise: float) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        labels = head(100 + i)
        values = scan(labels, 100 + i) + noise * rng.standard_normal(labels.shape)
        for name, volume in (("", 800 * values.astype(np.float32)), ("_dseg", labels)):
            path = folder / f"t1_{i}_desc-synthetic{name}.nii.gz"
            nib.Nifti1Image(volume, GRID.in_head()).to_filename(path)
    return folder


def test_the_command_compares_folders(tmp_path: Path, capsys: Out) -> None:
    real = write_people(tmp_path / "real", train=14, val=1)
    told = {}
    for noise in (0.0, 0.2):
        samples = write_samples(tmp_path / f"made{noise}", 7, noise)
        asked = ["--brains", "--real", str(real), "--samples", str(samples)]
        assert main([*asked, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["brains"] == {"real": 14, "samples": 7}
        told[noise] = found["distances"]["Frechet distance"][0]["value"]
        assert main([*asked, "--quiet"]) == 0
        assert "told apart" in capsys.readouterr().out
    assert told[0.2] > 3 * told[0.0]


def test_bad_input_is_one_line(tmp_path: Path, capsys: Out) -> None:
    real = write_people(tmp_path / "real", train=3, val=1)
    samples = write_samples(tmp_path / "made", 6, 0.0)

    def said(*arguments: str, code: int = 1) -> str:
        assert main(["--brains", *arguments]) == code
        text = capsys.readouterr().err
        assert len(text.splitlines()) == 1
        return text

    few = said("--real", str(real), "--samples", str(samples))
    assert "given 3 real brains and 6 samples; expected at least 12 and 6" in few
    (samples / "t1_3_desc-synthetic_dseg.nii.gz").unlink()
    assert "has no label map" in said("--real", str(real), "--samples", str(samples))
    assert "no such folder" in said("--real", str(real), "--samples", str(tmp_path / "none"))
    wrong = ("--real", str(real), "--samples", str(samples), "--volume")
    assert "--brains goes with" in said(*wrong, code=2)
    assert read_brains(real, split="val").values.shape[0] == 1
