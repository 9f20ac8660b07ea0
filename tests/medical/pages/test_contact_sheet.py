"""The picture of synthetic scans: proportions, direction, grey levels and marks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diff_medical.generator.model import Made
from diff_medical.generator.request import NORMAL, Request
from diff_medical.marks.mark import Mark
from diff_medical.marks.stamp import PIXELS, is_stamped
from diff_medical.pages.contact_sheet import HEADER, MARGIN, TILE, contact_sheet

MARK = Mark("0" * 16, 3, "generate", {"modality": "t1"}, {"steps": 18}, count=4)


def made(
    values: np.ndarray, plane: str = "axial", modality: str = "t1", mm: tuple[float, ...] = (1, 1)
) -> Made:
    spacing = list(mm)
    if plane:
        spacing.insert(NORMAL[plane], 5.0)
    affine = np.diag([*spacing, 1.0])
    return Made(values.astype(np.float32), affine, Request(modality, "head", plane, None), 3)


def drawn(path: Path, *scans: Made) -> np.ndarray:
    contact_sheet(path, scans, MARK)
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


def first_tile(sheet: np.ndarray, width: int = TILE, height: int = TILE) -> np.ndarray:
    return sheet[HEADER : HEADER + height, MARGIN : MARGIN + width]


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_axes_go_right_and_up(tmp_path: Path, plane: str) -> None:
    values = np.zeros((32, 32))
    values[24:, 24:] = 800  # far along both axes: right, front or top
    tile = first_tile(drawn(tmp_path / "a.png", made(values, plane)))
    half = TILE // 2
    assert tile[: half // 2, -half // 2 :].mean() > 200
    assert tile[: half // 2, :half].max() < 60
    assert tile[half:-12].max() < 60


def test_voxels_have_their_proportions(tmp_path: Path) -> None:
    values = np.full((40, 40), 500.0)
    values[:20] = 0
    sheet = drawn(tmp_path / "a.png", made(values, "coronal", mm=(1.0, 2.0)))
    above_stamp = sheet[HEADER : HEADER + TILE - 9, : MARGIN + TILE]
    height, width = np.ptp(np.argwhere(above_stamp > 200), axis=0) + 1
    assert height == TILE - 9
    assert width == pytest.approx(TILE / 4, abs=2)  # half of an image of half the width


def test_ct_has_a_window_in_hounsfield_units(tmp_path: Path) -> None:
    values = np.full((32, 32), -1000.0)
    values[8:24, 8:24] = 40  # the middle of -160 to 240 HU
    tile = first_tile(drawn(tmp_path / "a.png", made(values, modality="ct")))
    assert tile[TILE // 2, TILE // 2] == pytest.approx(127.5, abs=1)
    assert tile[2, 2] == 0


def test_volumes_show_three_planes_in_one_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    volume = made(rng.uniform(500, 900, (20, 40, 10)), "", mm=(1, 1, 2))
    sheet = drawn(tmp_path / "a.png", volume)
    row = sheet[HEADER + TILE // 2, MARGIN:]
    # axial 20 x 40 mm, coronal 20 x 20, sagittal 40 x 20: 80 of 160 pixels, 80, 160
    lit = np.flatnonzero(row[: 80 + 2 + 80 + 2 + 160] == 20)
    assert len(lit) < 40
    assert row[-40:].max() == 20


def test_each_scan_and_the_sheet_are_stamped(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scans = [made(rng.uniform(0, 900, (16, 16))) for _ in range(4)]
    sheet = drawn(tmp_path / "a.png", *scans)
    width = TILE + 8
    for left in (MARGIN, MARGIN + width):
        assert is_stamped(sheet[HEADER : HEADER + TILE, left : left + TILE])
    corner = sheet[-2 * PIXELS.shape[0] :, -2 * PIXELS.shape[1] :]
    assert is_stamped(corner)


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (4, 2), (6, 3), (8, 4), (12, 4), (16, 4), (64, 8)]
)
def test_rows_are_full_where_they_can_be(tmp_path: Path, count: int, columns: int) -> None:
    sheet = drawn(tmp_path / "a.png", *[made(np.eye(16) * 900)] * count)
    rows = count // columns
    below = sheet.shape[0] - HEADER - 40
    assert below % rows == 0 and TILE < below // rows < TILE + 50
    assert sheet.shape[1] == max(560, columns * (TILE + 8) - 8) + 2 * MARGIN


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="made is empty"):
        contact_sheet(tmp_path / "a.png", [], MARK)
    assert not list(tmp_path.iterdir())


def test_a_constant_scan_is_drawn(tmp_path: Path) -> None:
    drawn(tmp_path / "a.png", made(np.zeros((16, 16))), made(np.zeros((3, 90)), mm=(0.3, 4.0)))
