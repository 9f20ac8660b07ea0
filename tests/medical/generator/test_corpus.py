"""The generator's corpus: what scans become, and what is said of those that cannot be used."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diff_medical.data.studies import CorpusError, find_scans
from diff_medical.generator.data.augment import Augmentation, Strength, warped
from diff_medical.generator.data.corpus import Corpus, Selection, build_corpus
from diff_medical.generator.data.cutting import Cutting, cut_slices, cut_volume
from diff_medical.generator.data.pairs import Pairing
from diff_medical.generator.request import Request
from diff_medical.generator.tone import decode, encode
from diff_medical.generator.vocabulary import Vocabulary, body_of, modality_of

SMALL = Cutting(size=32, views={"head": 160.0})


@pytest.mark.parametrize(
    ("texts", "modality", "body"),
    [
        (("", "MR T1, head (defaced)"), "t1", "head"),
        (("T1w", "sub-01_T1w.nii.gz"), "t1", ""),
        (("", "MR T2*, neck"), "t2star", "neck"),
        (("AX T2 FLAIR", ""), "flair", ""),
        (("", "MR FLAIR, brain, skull-stripped"), "flair", "brain"),
        (("", "MR multi-echo SE, TE 6 ms, knee", "mr_pd_knee_echo1.nii.gz"), "pd", "knee"),
        (("", "CT, chest/abdomen"), "ct", "chest"),
        (("", "series 12"), "", ""),
    ],
)
def test_words_are_found(texts: tuple[str, ...], modality: str, body: str) -> None:
    assert modality_of(*texts) == modality
    assert body_of(*texts) == body


def test_the_vector_is_zero_without_words_and_names_a_strange_one() -> None:
    words = Vocabulary(("ct", "t1"), ("head",), labels=3)
    assert not words.vector(None).any()
    told = words.vector(None, (0.0, 1.0, 0.0))
    assert told.shape == (words.size,)
    assert np.flatnonzero(told).tolist() == [words.size - 2]
    here = [words.vector(Request("t1", "head", "axial", p)) for p in (0.2, 0.8, None)]
    assert not np.allclose(here[0], here[1])
    assert not np.allclose(here[0], here[2])
    with pytest.raises(ValueError, match=r"modality is 'pet'; the model knows ct, t1"):
        words.vector(Request("pet"))


@pytest.mark.parametrize("modality", ["ct", "t1"])
def test_tones_go_back_to_units(modality: str) -> None:
    values = np.linspace(-1000, 2900, 50) if modality == "ct" else np.linspace(0, 900, 50)
    back = decode(encode(values, modality, bright=800.0), modality)
    assert np.allclose(back, values, atol=0.01)


def ball(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> np.ndarray:
    """A ball of 60 mm radius about the middle, brighter to the right, front and top."""
    places = [(np.arange(n) + 0.5) * s - n * s / 2 for n, s in zip(shape, spacing, strict=True)]
    x, y, z = np.meshgrid(*places, indexing="ij")
    inside = x**2 + y**2 + z**2 < 60**2
    return (inside * (0.6 + x / 400 + y / 300 + z / 200)).astype(np.float32)


def test_slices_lie_where_they_should() -> None:
    spacing = (2.0, 2.5, 2.0)
    volume = ball((80, 64, 80), spacing)
    pieces = {p.plane: p for p in cut_slices(volume[None], spacing, "head", SMALL)}
    assert set(pieces) == {"axial", "coronal", "sagittal"}
    for plane, piece in pieces.items():
        middle = piece.images[np.argmin(np.abs(piece.positions - 0.5)), 0]
        # 160 mm in 32 pixels: a disc of 12 pixels radius in the middle of the canvas
        assert np.sqrt((middle > 0.15).sum() / np.pi) == pytest.approx(12, rel=0.05)
        rows, columns = np.nonzero(middle > 0.15)
        assert [rows.mean(), columns.mean()] == pytest.approx([19.5, 19.5], abs=0.6)
        # brighter to the front and top, whatever the plane
        assert middle[:, 22:28].sum() > middle[:, 12:18].sum()
        brightness = [image[0, 18:22, 18:22].mean() for image in piece.images]
        towards = np.corrcoef(piece.positions, brightness)[0, 1]
        # positions run from right to left, back to front, bottom to top
        assert (towards < -0.9) if plane == "sagittal" else (towards > 0.9)


def test_thick_slices_are_cut_in_their_own_plane_only() -> None:
    spacing = (2.0, 2.0, 10.0)
    volume = ball((80, 80, 16), spacing)
    pieces = list(cut_slices(volume[None], spacing, "head", SMALL))
    assert [piece.plane for piece in pieces] == ["axial"]
    # nearly empty ends are left out
    assert 8 <= len(pieces[0].images) <= 12
    assert not list(cut_volume(volume[None], spacing, "head", SMALL))


def test_a_volume_keeps_its_shape_and_place() -> None:
    cutting = Cutting(size=32, spatial=3, views={"head": 160.0})
    spacing = (2.0, 2.5, 2.0)
    (piece,) = cut_volume(ball((80, 64, 80), spacing)[None], spacing, "head", cutting)
    inside = piece.images[0, 0] > 0.15
    assert inside.shape == (40, 40, 40)
    volume = 4 / 3 * np.pi * 60**3 / 5**3
    assert inside.sum() == pytest.approx(volume, rel=0.06)
    for axis in range(3):
        halves = np.split(piece.images[0, 0], 2, axis)
        assert halves[1].sum() > halves[0].sum()


def test_without_augmentation_the_window_is_the_middle_and_nothing_is_told() -> None:
    image = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    none = Augmentation.none(2)
    assert not any(none.labels)
    assert np.array_equal(warped(image, SMALL, none), image[:, 4:36, 4:36])


@pytest.mark.parametrize("spatial", [2, 3])
def test_what_is_told_is_what_was_done(spatial: int) -> None:
    cutting = Cutting(size=16, spatial=spatial)
    only_mirror = Strength(
        told=1.0, turn=0, zoom=0, shift=0, gamma=0, own_turn=0, own_zoom=0, own_gamma=0, bend=0,
        field=0,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    drawn = Augmentation.draw(only_mirror, spatial, 0, True, rng)
    assert drawn.labels[0] == 1
    assert not any(drawn.labels[1:])
    assert len(drawn.labels) == Augmentation.size(spatial)
    image = rng.random((1, *(cutting.canvas,) * spatial)).astype(np.float32)
    window = warped(image, cutting, Augmentation.none(spatial))
    assert np.allclose(warped(image, cutting, drawn), np.flip(window, 1), atol=1e-4)


def study(
    make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path], *names: str
) -> None:
    for seed, name in enumerate(names):
        spacing = np.diag([6.0, 6.0, 4.0 + seed, 1.0])
        write_scan(make_head((32, 32, 32), seed), f"data/{name}", affine=spacing)


def build(tmp_path: Path, lines: list[str], **given: object) -> Corpus:
    selection = Selection(subject=str(given.get("subject", "")))
    pairing = given.get("pairing", Pairing())
    assert isinstance(pairing, Pairing)
    cutting = Cutting(size=16)
    rows = find_scans(tmp_path / "data")
    return build_corpus(rows, tmp_path / "c", cutting, selection, pairing, warn=lines.append)


def test_one_subject_is_refused_with_the_reason(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> None:
    study(make_head, write_scan, "p1_t1_head.nii.gz", "p1_t2_head.nii.gz")
    with pytest.raises(CorpusError, match="one subject, p1: a model would make copies"):
        build(tmp_path, [], subject="^(p[0-9]+)_")


def test_a_folder_of_all_kinds_of_files(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> None:
    study(make_head, write_scan, *(f"p{i}_t1_head.nii.gz" for i in range(4)))
    write_scan(np.zeros((16, 16, 16), np.float32), "data/p8_t1_flat.nii.gz")
    (tmp_path / "data" / "p9_t1.nii.gz").write_bytes(b"no scan")
    lines: list[str] = []
    corpus = build(tmp_path, lines, subject="^(p[0-9]+)_")
    said = "\n".join(lines)
    assert "p9_t1.nii.gz: " in said
    assert "all voxels are equal" in said
    assert "2 of 6 scans were skipped" in said
    assert "mm (finest axis): all are resampled" in said
    subjects = {split: {e.subject for e in corpus.entries if e.split == split}
                for split in ("train", "val")}  # fmt: skip
    assert not subjects["train"] & subjects["val"]
    assert {e.request.modality for e in corpus.entries} == {"t1"}
    again = build(tmp_path, [], subject="^(p[0-9]+)_")
    assert again.entries == corpus.entries
    assert np.array_equal(again.images, corpus.images)
    (choice, *_) = corpus.choices()
    assert (choice.modality, choice.body, choice.view) == ("t1", "head", 240.0)
    assert choice.positions[0] < choice.positions[-1]


def test_a_label_map_on_another_grid_is_named(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> None:
    names = [f"p{i}_t1_head" for i in range(3)]
    study(make_head, write_scan, *(f"{name}.nii.gz" for name in names))
    affine = np.diag([6.0, 6.0, 4.0, 1.0])
    for seed, name in enumerate(names[:2]):
        labels = (make_head((32, 32, 32), seed) > 500) + 1
        grid = np.diag([6.0, 6.0, 4.0 + seed, 1.0])
        write_scan(labels.astype(np.uint8), f"data/{name}_seg.nii.gz", affine=grid)
    write_scan(np.ones((30, 32, 32), np.uint8), f"data/{names[2]}_seg.nii.gz", affine=affine)
    lines: list[str] = []
    corpus = build(tmp_path, lines, pairing=Pairing("seg", 2))
    assert any("p2_t1_head_seg.nii.gz has another grid" in line for line in lines)
    image = corpus.window(0)
    assert image.shape == (3, 16, 16)
    # every voxel has one of the two labels, where the scan covers the canvas
    assert np.allclose(image[1:].sum(0)[4:12, 4:12], 1, atol=0.05)


def test_a_kind_that_the_recipe_leaves_out_is_named_with_the_key_that_lets_it_in(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> None:
    study(make_head, write_scan, *(f"p{i}_epi_head.nii.gz" for i in range(3)))
    rows, cutting, lines = find_scans(tmp_path / "data"), Cutting(size=16), list[str]()
    few = Selection(modalities=("t1", "ct"), bodies=("knee",))
    with pytest.raises(CorpusError, match="0 subject"):
        build_corpus(rows, tmp_path / "c", cutting, few, warn=lines.append)
    assert "scans.modalities=[t1,ct,epi] lets it in" in lines[0]
    assert "scans.bodies=[knee,head] lets it in" in lines[0]
    more = Selection(modalities=("t1", "ct", "epi"), bodies=("knee", "head"))
    corpus = build_corpus(rows, tmp_path / "c", cutting, more, warn=lines.append)
    assert {entry.request.modality for entry in corpus.entries} == {"epi"}


@pytest.mark.parametrize("spatial", [2, 3])
def test_a_coarse_scan_is_named_with_the_size_that_lets_it_in(
    spatial: int,
    tmp_path: Path,
    make_head: Callable[..., np.ndarray],
    write_scan: Callable[..., Path],
) -> None:
    study(make_head, write_scan, *(f"p{i}_t1_head.nii.gz" for i in range(3)))  # 6 x 6 x 4 to 6 mm
    rows, lines = find_scans(tmp_path / "data"), list[str]()
    cutting = Cutting(size=128, spatial=spatial)
    with pytest.raises(CorpusError, match="0 subject"):
        build_corpus(rows, tmp_path / "c", cutting, Selection(), warn=lines.append)
    found = re.search(r"takes voxels of at most ([\d.]+) mm.*corpus\.size=(\d+)", lines[-1])
    assert found and float(found[1]) < 6 and "6 x 6 x 6 mm over 192 x 192 x 192 mm" in lines[-1]
    smaller = Cutting(size=int(found[2]), spatial=spatial)
    corpus = build_corpus(rows, tmp_path / "c", smaller, Selection(), warn=lines.append)
    assert {entry.subject for entry in corpus.entries} >= {"p2_t1_head.nii.gz"}
