"""Series (4-D): each volume has its own noise unless volumes agree, and memory does not grow."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.enhance import main
from diff_medical.enhancer.bounds import BOUND
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.model import Noise
from diff_medical.noise.series import by_volume

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


def enhanced(capsys: Capture, *arguments: object) -> tuple[dict, np.ndarray]:
    assert main([str(a) for a in arguments] + ["--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    return said, np.asarray(nib.load(said["output"]).dataobj)


def test_volumes_of_unlike_noise_keep_their_own_level(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    rng = np.random.default_rng(0)
    clean = make_head((48, 44, 20))
    levels = [30, 150, 30, 150]
    noisy = [clean + s * rng.standard_normal(clean.shape) for s in levels]
    scan = write_scan(np.stack(noisy, -1).astype(np.float32))
    said, after = enhanced(capsys, scan, "--weights", weights)
    found = [volume["sigma"] for volume in said["series"]]
    np.testing.assert_allclose(found, levels, rtol=0.15)
    assert [volume["shared"] for volume in said["series"]] == [True] * 4
    assert found[0] == found[2] != found[1] == found[3]
    for index, level in enumerate(found):
        moved = np.abs(after[..., index] - noisy[index]).max()
        assert 0 < moved <= BOUND * level * 1.001
    assert "its volumes differ in noise" in said["notes"][0]


def test_real_and_imaginary_volumes_keep_their_signs(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    rng = np.random.default_rng(0)
    clean = make_head((56, 52, 20))
    noise = 40 * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    z = clean * np.exp(1j * np.linspace(-3, 3, 56))[:, None, None] + noise
    stack = np.stack([abs(z), abs(z), abs(z), z.real, z.imag], -1)
    scan = write_scan(np.rint(stack).astype(np.int16))
    said, after = enhanced(capsys, scan, "--weights", weights)
    kinds = [volume["distribution"] for volume in said["series"]]
    assert kinds == ["rician"] * 3 + ["gaussian"] * 2
    for index in (3, 4):
        before = stack[..., index] < -100
        assert before.mean() > 0.05
        assert (after[..., index][before] < 0).mean() > 0.99


def test_the_noise_of_magnitudes_is_refused_for_a_negative_value(
    make_head: Make, weights: Path
) -> None:
    volume = make_head((20, 18, 16)) - 1
    enhancer = Enhancer.from_pretrained(weights)
    with pytest.raises(ValueError, match="magnitudes are never negative"):
        enhancer(volume, (1, 1, 1), Settings(), noise=Noise(20.0, "rician", "given"))


def test_a_negative_value_outside_the_middle_counts(
    make_head: Make, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diff_medical.noise.level._PROBE_VOXELS", 1)  # eight planes
    rng = np.random.default_rng(0)
    clean = make_head((56, 56, 40))
    volume = np.hypot(clean + 40 * rng.standard_normal(clean.shape),
                      40 * rng.standard_normal(clean.shape)).astype(np.float32)  # fmt: skip
    enhancer = Enhancer.from_pretrained(weights)
    assert enhancer(volume, (1, 1, 1)).noise.distribution == "rician"
    volume[..., 0] *= -1
    found = enhancer(volume, (1, 1, 1))
    assert found.noise.distribution == "gaussian"
    assert found.volume.min() < 0


def test_volumes_agree_within_a_fifth() -> None:
    def levels(*given: float, negative: tuple[int, ...] = ()) -> list[float]:
        noises = [Noise(s, "gaussian", "") for s in given]
        signed = [i in negative for i in range(len(given))]
        return [noise.sigma for noise in by_volume(noises, signed)]

    assert levels(10, 11, 12) == [11, 11, 11]
    assert levels(10, 12.1) == [10, 12.1]
    assert levels(4, 40, 4, 40) == [4, 40, 4, 40]
    assert levels(10, 11, 12, negative=(2,)) == [11, 11, 12]
    assert levels(0, 5) == [0, 5]


def repeats(make_head: Make, volumes: int, level: float = 40) -> np.ndarray:
    """Return magnitudes of a head with complex noise, whose brightness goes up and down."""
    rng = np.random.default_rng(0)
    clean = make_head((28, 26, 20))
    course = 1 + 0.2 * np.sin(np.arange(volumes))
    noise = level * rng.standard_normal((2, *clean.shape, volumes))
    return np.rint(np.hypot(clean[..., None] * course + noise[0], noise[1])).astype(np.int16)


def test_volumes_are_enhanced_together(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture, tmp_path: Path
) -> None:
    noisy = repeats(make_head, 12)
    doubt = tmp_path / "doubt.nii.gz"
    scan = write_scan(noisy)
    said, after = enhanced(capsys, scan, "--weights", weights, "--uncertainty", doubt)
    joined = said["joined"]
    assert joined["volumes"] == list(range(12)) and not joined["network"]
    assert joined["directions"] <= 2
    assert joined["left"] < 0.45
    assert "enhanced together" in said["notes"][0]
    assert said["planes"] == "low rank over 12 volumes"
    clean = make_head((28, 26, 20))
    head = clean > 300
    error = (after - clean[..., None] * (1 + 0.2 * np.sin(np.arange(12))))[head]
    assert error.std() < 0.6 * 40
    assert np.abs(after - noisy).max() <= said["checks"]["limit"] * 1.01 + 1
    spread = np.asarray(nib.load(doubt).dataobj)[head]
    assert (np.abs(error) <= 2 * spread).mean() > 0.93
    assert np.median(spread) < 2 * error.std()


def test_each_volume_alone_where_it_is_asked_for(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    scan = write_scan(repeats(make_head, 8))
    said, _ = enhanced(capsys, scan, "--weights", weights, "--series", "network")
    assert said["joined"] is None
    assert "each voxel seen" in said["planes"]
    both, _ = enhanced(capsys, scan, "--weights", weights, "--series", "both", "--overwrite")
    assert both["joined"]["network"]


def test_too_few_volumes_for_a_low_rank(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    scan = write_scan(repeats(make_head, 7))
    said, _ = enhanced(capsys, scan, "--weights", weights)
    assert said["joined"] is None
    code = main([str(scan), "--weights", str(weights), "--series", "lowrank", "--overwrite"])
    assert code == 1
    assert "needs 8 volumes" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_volumes(tmp_path: Path, weights: Path) -> None:
    code = (
        "import sys; from diff_medical.scan import scratch; scratch.LARGE = 1000; "
        "from diff_medical.enhance import main; assert main(sys.argv[1:]) == 0; "
        "status = open('/proc/self/status').read(); "
        "print(status.partition('VmHWM:')[2].split()[0])"
    )
    peaks = []
    for volumes in (10, 150):
        path = tmp_path / f"{volumes}.nii.gz"
        nib.Nifti1Image(np.full((64, 64, 40, volumes), 7, np.int16), np.eye(4)).to_filename(path)
        command = [sys.executable, "-c", code, path, "--quiet", "--weights", weights]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 30  # MB; the series has 47 MB, and so has its result
