"""The page that opens a scan in NiiVue, without a browser: its volumes, files and links."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pytest

from diff_medical.enhance import main
from diff_medical.marks.mark import NOTICE
from diff_medical.pages import viewer
from diff_medical.pages.viewer import SCRIPT, remarks, write_viewer

RNG = np.random.default_rng(0)
SHEARED = np.array([[-1.5, 0.2, 0, 40], [0.1, 1.4, -0.3, -20], [0, 0.3, 2, 7], [0, 0, 0, 1.0]])
SPACING = (1.5, 1.4, 2.0)
HELD = Path(viewer.__file__).parent / "niivue"


def volumes(page: Path) -> list[nib.Nifti1Image]:
    """The scans in a page, as a reader of NIfTI finds them."""
    texts = re.findall(r'<script type="text/plain" id="volume\d">(.*?)</script>', page.read_text())
    return [nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text))) for text in texts]


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e5])
def test_volumes_come_back_in_their_place_within_a_fraction_of_the_noise(
    unit: float, tmp_path: Path
) -> None:
    before = (unit * RNG.normal(500, 40, (9, 7, 5))).astype(np.float32)
    after = (0.9 * before).astype(np.float32)
    page, sigma = tmp_path / "a" / "x_viewer.html", 40 * unit
    link = write_viewer(page, tmp_path, "x", {"Before": before, "After": after}, SPACING, SHEARED,
                        (0.0, 900 * unit), "mr", sigma)  # fmt: skip
    assert link == "x_viewer.html"
    for found, right in zip(volumes(page), (before, after), strict=True):
        assert found.get_data_dtype() == np.int16
        assert np.abs(found.get_fdata() - right).max() <= 1.001 * sigma / 32
        np.testing.assert_allclose(found.affine, SHEARED, atol=1e-5)
        assert found.header["cal_max"] == np.float32(900 * unit)


def test_whole_numbers_stay_whole_and_a_wide_range_fits(tmp_path: Path) -> None:
    ct = RNG.integers(-1024, 3072, (6, 5, 4)).astype(np.float32)
    ct[0, 0, 0] = np.nan
    wide = ct * 1e6
    page = tmp_path / "v.html"
    write_viewer(page, tmp_path, "x", {"Before": ct, "After": wide}, (1, 1, 1), np.zeros((4, 4)),
                 (-160.0, 240.0), "ct", 25.0)  # fmt: skip
    whole, large = volumes(page)
    np.testing.assert_array_equal(whole.get_fdata(), np.nan_to_num(ct, nan=-160.0))
    span = np.nanmax(wide) - np.nanmin(wide)
    assert np.nanmax(np.abs(large.get_fdata() - wide)) <= span / 65_000
    np.testing.assert_array_equal(
        whole.affine, np.eye(4)
    )  # the voxel sizes, where nothing else is
    view = re.search('id="view">(.*?)</script>', page.read_text())
    assert view and json.loads(view[1])["presets"]["Lung"] == [-600, 1500]


def test_a_large_volume_is_thinned_and_its_voxels_keep_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "MOST", 3 * 4 * 4)
    scan = RNG.integers(0, 1000, (6, 8, 4)).astype(np.float32)
    page = tmp_path / "v.html"
    write_viewer(page, tmp_path, "x", {"The scan": scan}, SPACING, SHEARED, (0.0, 1000.0), "mr",
                 10.0, count=7)  # fmt: skip
    (found,) = volumes(page)
    np.testing.assert_array_equal(found.get_fdata(), scan[::2, ::2])
    np.testing.assert_allclose(found.affine @ [1, 2, 3, 1], SHEARED @ [2, 4, 3, 1], atol=1e-5)
    first, second = remarks((6, 8, 4), SPACING, 7)
    assert (
        "one voxel of 2 x 2 x 1" in first and second == "the viewer shows the first of 7 volumes"
    )
    assert "one voxel of 2 x 2 x 1" in page.read_text()
    monkeypatch.undo()
    assert remarks((512, 512, 120), (0.5, 0.5, 1.0), 1) == ()
    assert "one voxel of 2 x 2 x 1" in remarks((512, 512, 300), (0.5, 0.5, 1.0), 1)[0]


def test_the_page_of_a_synthetic_scan_says_so(tmp_path: Path) -> None:
    scan, page = np.ones((3, 3, 3), np.float32), tmp_path / "v.html"
    write_viewer(page, tmp_path, "<x>", {"Before": scan, "After": scan}, (1, 1, 1), np.eye(4),
                 (0.0, 1.0), "mr", 0.1, synthetic="<seed> 1")  # fmt: skip
    text = page.read_text()
    assert NOTICE in text and "&lt;seed&gt; 1" in text and "<x>" not in text
    assert all(
        bytes(v.header["descrip"].tobytes()).startswith(b"Synthetic") for v in volumes(page)
    )


def test_the_script_stands_behind_the_licences_of_all_that_it_holds() -> None:
    licences, script = (HELD / "LICENSE.niivue").read_text(), (HELD / SCRIPT).read_text()
    assert script.startswith(f"/*!\n{licences}*/\nvar niivue=")
    root = Path(__file__).resolve().parents[3] / "packages" / "medical" / "niivue"
    lock = json.loads((root / "package-lock.json").read_text())["packages"]
    named = dict(
        re.findall(r"^(?:NiiVue .*\()?(@?[\w/-]+?)\)?(?: (\d[\d.]*))?: [A-Z]", licences, re.M)
    )
    # zarrita and what it alone needs are left out; the others are build tools
    left_out = {"zarrita", "numcodecs", "unzipit", "uzip-module", "reference-spec-reader",
                "@zarrita/storage", "@lukeed/csprng", "esbuild"}  # fmt: skip
    wanted = {name.removeprefix("node_modules/") for name, about in lock.items()
              if name and not about.get("optional")}  # fmt: skip
    assert wanted - left_out == set(named)
    assert SCRIPT == f"niivue-{lock['node_modules/@niivue/niivue']['version']}.js"


def test_reports_of_a_folder_share_one_script_and_every_link_resolves(
    make_head: Callable[..., np.ndarray], weights: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    scan = make_head((24, 22, 8)) + 60 * RNG.standard_normal((24, 22, 8))
    names = ["sub-01/sub-01_T1w", "sub-02/ses 2/sub-02_T1w"]
    for name in names:
        path = tmp_path / "study" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True)
        nib.Nifti1Image(scan.astype(np.int16), SHEARED).to_filename(path)
    given = [str(tmp_path / "study"), "--recursive", "-o", str(tmp_path / "out"), "--sigma", "60",
             "--weights", str(weights), "--quiet", "--viewer"]  # fmt: skip
    assert main(given) == 2
    assert "--viewer needs --report" in capsys.readouterr().err
    pages = tmp_path / "pages"
    assert main([*given, "--report", str(pages)]) == 0
    assert [path.parent for path in pages.rglob("niivue*")] == [pages]
    found = sorted(pages.rglob("*_viewer.html"))
    assert len(found) == 2
    for page in found:
        text = page.read_text()
        scripts = re.findall('<script src="(.*?)"', text)
        assert len(scripts) == 1 and "http" not in text
        place = Path(os.path.normpath(page.parent / unquote(scripts[0])))
        assert place.read_bytes() == (HELD / SCRIPT).read_bytes()
        report = page.with_name(page.name.replace("_viewer.html", ".html"))
        links = re.findall('<a href="(.*?)"', report.read_text())
        assert [unquote(link) for link in links] == [page.name]
        before, after = volumes(page)
        np.testing.assert_array_equal(before.get_fdata(), scan.astype(np.int16))
        made = next((tmp_path / "out").rglob(report.name.removesuffix(".html")))
        assert np.abs(after.get_fdata() - nib.load(made).get_fdata()).max() <= 1.001


def test_a_viewer_that_exists_is_not_replaced(
    make_head: Callable[..., np.ndarray], weights: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source, page = tmp_path / "x.nii", tmp_path / "r_viewer.html"
    nib.Nifti1Image(make_head((24, 22, 8)).astype(np.int16), np.eye(4)).to_filename(source)
    page.write_text("mine")
    given = [str(source), "--weights", str(weights), "--report", str(tmp_path / "r.html")]
    assert main([*given, "--viewer"]) == 1
    assert "r_viewer.html exists" in capsys.readouterr().err
    assert page.read_text() == "mine" and not (tmp_path / "x_enhanced.nii").exists()


def test_filled_holes_have_a_viewer_too_and_nan_in_a_hole_is_dark(
    make_head: Callable[..., np.ndarray], weights: Path, tmp_path: Path
) -> None:
    scan, hole = make_head((24, 22, 8)).astype(np.float32), np.zeros((24, 22, 8), np.uint8)
    hole[10:13, 10:13, 3:5] = 1
    scan[hole > 0] = np.nan
    source, mask = tmp_path / "x.nii", tmp_path / "hole.nii"
    nib.Nifti1Image(scan, SHEARED).to_filename(source)
    nib.Nifti1Image(hole, SHEARED).to_filename(mask)
    assert main([str(source), "--inpaint", str(mask), "--weights", str(weights), "--report",
                 str(tmp_path / "r.html"), "--viewer"]) == 0  # fmt: skip
    assert 'href="r_viewer.html"' in (tmp_path / "r.html").read_text()
    before, after = (volume.get_fdata() for volume in volumes(tmp_path / "r_viewer.html"))
    outside = hole == 0
    assert np.abs(before - scan)[outside].max() <= 0.51 and np.ptp(before[~outside]) == 0
    assert np.abs(after - scan)[outside].max() <= 0.51 and np.isfinite(after).all()
