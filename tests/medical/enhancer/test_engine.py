"""Volumes too large for memory: a few planes at a time, the same to the bit."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.enhance import main
from diff_medical.enhancer.engine import Part, enhance
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.steps import Source
from diff_medical.scan import scratch
from diff_medical.scan.nifti import Voxels, read, write

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]


def noisy(make_head: Make, kind: str, planes: int = 40) -> np.ndarray:
    clean = make_head((28, 26, planes))
    rng = np.random.default_rng(0)
    n = rng.standard_normal((2, *clean.shape))
    if kind == "rician":
        return np.hypot(clean + 60 * n[0], 60 * n[1]).astype(np.float32)
    volume = (clean + 50 * n[0]).astype(np.float32)
    if kind == "ct":
        volume = np.where(clean > 0, 40 + 0.3 * volume, -1000 + 8 * n[1]).astype(np.float32)
        volume[:3] = -2000
        volume[14:16, 14:16] = 10_000
    return volume


@pytest.fixture(scope="module")
def shipped() -> Enhancer:
    return Enhancer.from_pretrained()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "spacing", "settings"),
    [
        ("gaussian", (1.0, 1.0, 1.2), Settings()),
        ("gaussian", (0.5, 0.5, 4.0), Settings(percent=4, strength=0.6, quality="draft")),
        ("rician", (1.0, 1.0, 1.0), Settings(noise="rician")),
        ("rician", (1.0, 3.0, 1.0), Settings()),
        ("ct", (0.8, 0.8, 1.0), Settings()),
        ("ct", (0.8, 0.8, 1.0), Settings(sigma=900)),
        ("gaussian", (0.5, 0.5, 4.0), Settings(uncertainty=True, seed=3)),
        ("rician", (0.5, 0.5, 4.0), Settings(noise="rician", uncertainty=True)),
        ("ct", (0.8, 0.8, 4.0), Settings(noise="poisson-ct", sigma=25)),
        ("ct", (0.8, 0.8, 4.0), Settings(noise="poisson-ct", dose=0.3, uncertainty=True)),
        ("rician", (0.5, 0.5, 4.0), "map"),
        ("gaussian", (0.5, 0.5, 4.0), "map"),
    ],
)
def test_planes_make_the_whole_to_the_bit(
    make_head: Make, shipped: Enhancer, kind: str, spacing: tuple[float, float, float],
    settings: Settings | str,
) -> None:  # fmt: skip
    enhancer, thickness, is_map = shipped, 7, isinstance(settings, str)
    volume = noisy(make_head, kind, 27)
    levels = None
    if isinstance(settings, str):
        settings = Settings(noise=kind, quality="draft", uncertainty=kind == "gaussian")
    if settings.uncertainty:  # which takes five times as long
        volume = np.ascontiguousarray(volume[2:24, :, :24])
    if is_map:
        levels = np.linspace(30, 55, volume.size, dtype=np.float32).reshape(volume.shape)
        levels[5:7] = 0
    whole = enhancer(volume, spacing, settings, sigma_map=levels)
    result, doubt = (np.full_like(volume, np.nan) for _ in range(2))
    firsts: list[int] = []

    def put(part: Part) -> None:
        firsts.append(part.first)
        planes = slice(part.first, part.first + part.after.shape[2])
        result[..., planes] = part.after
        assert (part.doubt is not None) == settings.uncertainty
        if part.doubt is not None:
            doubt[..., planes] = part.doubt
        np.testing.assert_array_equal(part.before, volume[..., planes])

    source = Source(
        volume.shape, lambda planes: volume[..., planes].copy(), spacing,
        thickness=thickness, sigma_map=None if levels is None else lambda p: levels[..., p],
    )  # fmt: skip
    streamed = enhance(enhancer.denoiser, source, put, settings)
    np.testing.assert_array_equal(result, whole.volume)
    if whole.uncertainty is not None:
        np.testing.assert_array_equal(doubt, whole.uncertainty)
        assert doubt.max() > 0
    assert firsts == list(range(0, volume.shape[2], thickness))
    assert (streamed.noise, streamed.modality) == (whole.noise, whole.modality)
    assert streamed.unchanged == whole.unchanged == ""
    assert (result != volume).any()
    assert streamed.checks is not None
    assert whole.checks is not None
    for name in ("bounded", "broad", "edges", "spread", "gain"):
        assert getattr(streamed.checks, name) == pytest.approx(getattr(whole.checks, name))
    assert streamed.checks.whiteness == pytest.approx(whole.checks.whiteness)


def test_what_has_nothing_to_remove_stays(make_head: Make, weights: Path) -> None:
    enhancer = Enhancer.from_pretrained(weights)
    for volume, settings in (
        (np.full((20, 18, 16), 7, np.float32), Settings()),
        (make_head((30, 30, 30)), Settings()),
        (make_head((30, 30, 30)), Settings(sigma=0)),
    ):
        got: list[Part] = []
        source = Source(volume.shape, lambda p, v=volume: v[..., p].copy(), (1, 1, 1), thickness=5)
        made = enhance(enhancer.denoiser, source, got.append, settings)
        assert made.unchanged == enhancer(volume, (1, 1, 1), settings).unchanged != ""
        np.testing.assert_array_equal(np.concatenate([p.after for p in got], 2), volume)


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "LARGE", 1000)
    monkeypatch.setattr("diff_medical.enhancer.steps.PLANES", 40 * 36 * 5)
    monkeypatch.setattr("diff_medical.slices.mean.BLOCK_VOXELS", 40 * 36 * 9)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_the_command_writes_the_same_file(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path, name: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clean = make_head((40, 36, 22))
    rng = np.random.default_rng(0)
    series = np.stack([clean + 50 * rng.standard_normal(clean.shape) for _ in range(2)], -1)
    inside = write_scan((clean > 300).astype(np.uint8), "mask.nii.gz")
    scan = write_scan(np.rint(series).astype(np.int16), name, slope=0.5, inter=3)
    command = [str(scan), "--weights", str(weights), "--mask", str(inside), "--residual", "--json"]
    said: list[dict[str, object]] = []
    for folder, large in (("a", 1 << 25), ("b", 1000)):
        monkeypatch.setattr(scratch, "LARGE", large)
        monkeypatch.setattr("diff_medical.enhancer.steps.PLANES", 40 * 36 * 5)
        (tmp_path / folder).mkdir()
        more = ["--uncertainty", str(tmp_path / folder / "sd.nii")]
        assert main([*command, *more, "--sigma", "40", "-o", str(tmp_path / folder)]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert {k: v for k, v in said[0].items() if k not in ("output", "products", "seconds")} == {
        k: v for k, v in said[1].items() if k not in ("output", "products", "seconds")
    }
    made = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert made == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert len(made) == 3
    for file in made:
        first, second = ((tmp_path / folder / file).read_bytes() for folder in "ab")
        unpack = gzip.decompress if file.endswith("gz") else bytes
        assert unpack(first) == unpack(second)


@pytest.mark.usefixtures("small_is_large")
def test_a_missing_value_is_found_on_its_plane(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = noisy(make_head, "gaussian")
    volume[3, 2, 31] = np.nan
    scan = write_scan(volume)
    assert main([str(scan), "--weights", str(weights)]) == 1
    said = capsys.readouterr().err
    assert "1 of 29,120 voxels are NaN or Inf, the first at (3, 2, 31)" in said
    assert main([str(scan), "--weights", str(weights), "--nan-to-zero", "--sigma", "9"]) == 0
    made = nib.load(scan.with_name("scan_enhanced.nii.gz"))
    assert np.isfinite(np.asarray(made.dataobj)).all()


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("keep", [0.3, 0.98])
def test_a_damaged_large_file_is_refused(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str],
    keep: float,
) -> None:  # fmt: skip
    scan = write_scan(noisy(make_head, "gaussian"))
    content = scan.read_bytes()
    scan.write_bytes(content[: int(keep * len(content))])
    assert main([str(scan), "--weights", str(weights)]) == 1
    assert "cut short or damaged" in capsys.readouterr().err
    assert [path.name for path in scan.parent.iterdir()] == ["scan.nii.gz"]


@pytest.mark.usefixtures("small_is_large")
def test_large_arrays_are_files_without_a_name(
    write_scan: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert scratch.folder() == folder
    volume = np.random.default_rng(0).normal(size=(20, 10, 8)).astype(np.float32)
    scan = read(write_scan(volume))
    voxels = Voxels(scan, scan.dtype)
    assert isinstance(voxels.stored, np.memmap)
    assert isinstance(scan.stored.base, np.memmap)
    voxels.put(0, scan.volume(0))
    scratch.release(voxels.stored, scan.stored)
    np.testing.assert_array_equal(voxels.stored[..., 0], volume)  # read again from the file
    write(tmp_path / "out.nii.gz", voxels)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj), volume)
    assert list(folder.iterdir()) == []


def test_no_room_on_the_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="No room for 4,000,000,000,000,000 bytes"):
        scratch.empty((100_000, 100_000, 100_000), np.float32)
