"""Corpus and patches: read once, deterministic, in the enhancer's units, cleaner when binned."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from diff_medical.data.patches import Patches, augment, cut
from diff_medical.data.reading import read_scan
from diff_medical.data.studies import CorpusError, Row, find_scans
from diff_medical.data.volumes import Volume, bin_axes, build_corpus
from diff_medical.scan.intensity import recognise, scale


def ramp(shape: tuple[int, int, int], modality: str = "mr") -> Volume:
    """A volume whose every voxel is a different number."""
    array = (np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)).astype(np.float16)
    centres = np.array([[4, 4, 4]], np.int16)
    return Volume("ramp", modality, array, centres, (0, 1, 2), (1.0, 1.0, 1.0), 0.0, 1.0)


def test_an_item_depends_on_seed_and_index_only() -> None:
    volumes = [ramp((30, 30, 30)), ramp((40, 20, 30), "ct")]
    one, two = (Patches(volumes, seed=3, size=16) for _ in range(2))
    backwards = {i: one[i] for i in reversed(range(20))}
    for i in range(20):
        assert torch.equal(backwards[i]["x_0"], two[i]["x_0"])
        assert torch.equal(backwards[i]["slices"], two[i]["slices"])
    other = Patches(volumes, seed=4, size=16)
    assert not any(torch.equal(one[i]["x_0"], other[i]["x_0"]) for i in range(20))
    assert len({one[i]["x_0"].sum().item() for i in range(20)}) == 20


@pytest.mark.parametrize("shape", [(30, 30, 30), (1, 40, 40), (3, 9, 50), (2, 2, 2)])
def test_any_volume_gives_full_patches(shape: tuple[int, int, int]) -> None:
    patches = Patches([ramp(shape)], size=24)
    for i in range(30):
        item = patches[i]
        assert item["x_0"].shape == (5, 24, 24)
        assert item["x_0"].dtype == torch.float32
        assert item["x_0"].isfinite().all()


def test_repeated_slices_are_numbered_alike() -> None:
    patches = Patches([ramp((40, 40, 40))], size=8, thin=1.0)
    seen: set[int] = set()
    for i in range(60):
        item = patches[i]
        numbers = item["slices"].tolist()
        seen.add(len(set(numbers)))
        for a in range(5):
            for b in range(5):
                same = torch.equal(item["x_0"][a], item["x_0"][b])
                assert same == (numbers[a] == numbers[b])
    assert seen == {1, 2, 3, 4, 5}


def test_share_of_ct() -> None:
    mr, ct = ramp((20, 20, 20)), ramp((20, 20, 20), "ct")
    ct.array[:] = 30.0  # no gain makes MR as bright as this
    patches = Patches([mr, ct, mr, mr], size=8, ct=0.3)
    bright = [bool(patches[i]["x_0"].mean() > 10) for i in range(400)]
    assert 0.22 < np.mean(bright) < 0.38
    assert all(Patches([ct], size=8)[i]["x_0"].mean() > 10 for i in range(20))


@given(
    axis=st.integers(0, 2),
    centre=st.lists(st.integers(-9, 40), min_size=3, max_size=3),
    depth=st.integers(1, 5),
)
def test_cut_is_a_plain_window_of_the_volume(axis: int, centre: list[int], depth: int) -> None:
    array = ramp((20, 24, 28)).array.astype(np.float32)
    array = np.arange(array.size, dtype=np.float32).reshape(array.shape)
    slab = cut(array, axis, np.array(centre), depth, 16)
    assert slab.shape == (depth, 16, 16)
    moved = np.moveaxis(array, axis, 0)
    first = [int(a[0]) for a in np.where(moved == slab[0, 0, 0])]
    window = tuple(slice(f, f + n) for f, n in zip(first, slab.shape, strict=True))
    np.testing.assert_array_equal(slab, moved[window])


def test_augmentation_is_one_curve_for_the_whole_slab() -> None:
    """Gain alone keeps ratios; gamma and inversion keep different voxels different."""
    slab = np.random.default_rng(0).uniform(0.05, 1, (5, 6, 6)).astype(np.float32)
    values = np.sort(slab.ravel())
    for seed in range(60):
        curved, _ = augment(slab, True, np.random.default_rng(seed))
        assert len(np.unique(curved)) == len(values)
        assert curved.shape == slab.shape
        plain, gain = augment(slab, False, np.random.default_rng(seed))
        np.testing.assert_allclose(np.sort(plain.ravel()), gain * values, rtol=1e-5)
        assert 0.59 < gain < 1.26


@given(
    volume=arrays(np.float32, (6, 5, 4), elements=st.floats(-100, 100, width=32)),
    axis=st.integers(0, 2),
)
def test_binning_by_two_is_the_mean_of_pairs(volume: np.ndarray, axis: int) -> None:
    moved = np.moveaxis(volume, axis, 0)
    pairs = moved[: len(moved) // 2 * 2].reshape(-1, 2, *moved.shape[1:]).mean(1)
    binned = np.moveaxis(bin_axes(volume, axis, 2.0), axis, 0)
    np.testing.assert_allclose(binned, pairs, rtol=1e-5, atol=1e-4)


def test_binning_by_one_and_a_half() -> None:
    volume = np.array([0.0, 3.0, 6.0, 9.0, 12.0, 15.0], np.float32)[:, None, None]
    binned = bin_axes(volume, 0, 1.5).ravel()
    np.testing.assert_allclose(binned, [1.0, 5.0, 10.0, 14.0])  # (2a + b)/3 and (b + 2c)/3
    noise = np.random.default_rng(0).standard_normal((60, 60, 60)).astype(np.float32)
    assert bin_axes(noise, 1, 1.5).var() == pytest.approx(5 / 9, rel=0.02)


def test_intensity_scale() -> None:
    rng = np.random.default_rng(0)
    volume = np.zeros((40, 40, 40), np.float32)
    volume[10:30, 10:30, 10:30] = rng.uniform(200, 800, (20, 20, 20))
    to = scale(volume, "mr")
    assert to.offset == 0
    assert to.scale == pytest.approx(797, rel=0.005)
    for factor in (1e-4, 7.0):
        assert scale(volume * np.float32(factor), "mr").scale == pytest.approx(factor * to.scale)
    np.testing.assert_allclose(to.restore(to.normalise(volume)), volume, rtol=1e-5)
    hu = np.array([-1000.0, 500.0, 3000.0])
    np.testing.assert_allclose(scale(hu, "ct").normalise(hu), [0, 1, 4000 / 1500], rtol=1e-6)
    assert scale(np.zeros((3, 3, 3)), "mr").scale == 1
    with pytest.raises(ValueError, match="empty"):
        scale(np.zeros((0, 3, 3)), "mr")


def test_modality_is_recognised(make_head: Callable[..., np.ndarray]) -> None:
    head = make_head((20, 20, 20))
    assert recognise(head) == "mr"
    assert recognise(head - 200) == "mr"
    assert recognise(np.where(head > 0, 40, -1000)) == "ct"


def test_corpus_is_read_once_and_binned_copies_are_cleaner(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> None:
    noise = 20 * np.random.default_rng(0).standard_normal((60, 60, 60))
    path = write_scan(make_head((60, 60, 60)) + noise.astype(np.float32), "data/a.nii.gz")
    rows = find_scans(tmp_path / "data")
    volumes = build_corpus(rows, tmp_path / "cache")
    assert [v.array.shape for v in volumes] == [(60, 60, 60), (40, 40, 40)]  # 2 mm is too coarse
    assert volumes[0].noise == pytest.approx(20 / 850, rel=0.2)
    assert volumes[1].noise == pytest.approx(volumes[0].noise * (5 / 9) ** 1.5)
    assert volumes[1].weight > volumes[0].weight
    values, _ = read_scan(path)
    expected = scale(values, "mr").normalise(values)
    np.testing.assert_allclose(volumes[0].array, expected, atol=1e-3)
    x, y, z = volumes[0].centres.T
    assert (volumes[0].array[x, y, z] > 0.09).all()

    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    again = build_corpus(rows, tmp_path / "cache")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()} == stamps
    assert [v.name for v in again] == [v.name for v in volumes]


def test_thick_slices_are_binned_in_plane_and_stacked_one_way(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> None:
    affine = np.diag([0.8, 0.8, 5.0, 1])
    write_scan(make_head((64, 64, 12)), "data/thick.nii.gz", affine=affine)
    volumes = build_corpus(find_scans(tmp_path / "data"), tmp_path / "cache")
    assert [v.array.shape for v in volumes] == [(64, 64, 12), (42, 42, 12), (32, 32, 12)]
    assert {v.axes for v in volumes} == {(2,)}


def test_unusable_scans_are_named_and_left_out(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> None:
    good = write_scan(make_head((30, 30, 30)), "data/good.nii.gz")
    flat = write_scan(np.ones((8, 8, 8), np.float32), "data/flat.nii.gz")
    broken = tmp_path / "data" / "broken.nii.gz"
    broken.write_bytes(good.read_bytes()[:200])
    holes = np.ones((8, 8, 8), np.float32)
    holes[0] = np.nan
    nans = write_scan(holes, "data/nans.nii.gz")
    lines: list[str] = []
    volumes = build_corpus(find_scans(tmp_path / "data"), tmp_path / "cache", warn=lines.append)
    assert {v.name.split("-")[0] for v in volumes} == {"good"}
    for path in (flat, broken, nans):
        assert sum(str(path) in line for line in lines) == 1
    with pytest.raises(CorpusError, match="none of the scans"):
        build_corpus([Row(flat, "train")], tmp_path / "cache", warn=lines.append)


def test_finding_scans(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        find_scans(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="no NIfTI files"):
        find_scans(tmp_path)
    for name in ("a.nii", "deep/b.nii.gz", "val/c.nii.gz", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {(row.path.name, row.split) for row in find_scans(tmp_path)}
    assert found == {("a.nii", "train"), ("b.nii.gz", "train"), ("c.nii.gz", "val")}

    manifest = tmp_path / "list.jsonl"
    rows = [
        {"file": "a.nii", "split": "train", "modality": "CT", "licence": "CC0"},
        {"file": "deep/b.nii.gz", "split": "val", "modality": "MR T1"},
    ]
    manifest.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert find_scans(tmp_path, manifest) == [
        Row(tmp_path / "a.nii", "train", "ct", "CC0"),
        Row(tmp_path / "deep/b.nii.gz", "val", "mr", ""),
    ]
    manifest.write_text('{"split": "train"}')
    with pytest.raises(CorpusError, match="line 1: expected a JSON object with 'file'"):
        find_scans(tmp_path, manifest)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"file": "b.nii", "split": "trian"}, r"split is 'trian'; .*did you mean 'train'\?"),
        ({"file": "b.nii", "split": "Val"}, r"split is 'Val'; .*did you mean 'val'\?"),
        ({"file": "b.nii"}, "split is missing; expected one of train, val, test"),
        ({"file": "b.nii", "split": "train", "volume": "second"}, "volume is 'second'"),
    ],
)
def test_a_manifest_with_a_fault_drops_no_scan_silently(
    tmp_path: Path, line: dict[str, str], said: str
) -> None:
    manifest = tmp_path / "manifest.jsonl"
    rows = [{"file": "a.nii", "split": "train"}, line]
    manifest.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(CorpusError, match=f"manifest.jsonl, line 2: {said}"):
        find_scans(tmp_path)
