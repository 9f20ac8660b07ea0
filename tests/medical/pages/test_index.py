"""`--report FOLDER` of several scans: a page for each, and an index with subjects."""

import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from diff_medical.enhance import main
from diff_medical.scan.bids import people

Make = Callable[..., np.ndarray]


def test_a_study_has_pages_and_an_index_whose_links_resolve(
    make_head: Make, weights: Path, tmp_path: Path
) -> None:
    noise = 60 * np.random.default_rng(0).standard_normal((24, 22, 8))
    scan = (make_head((24, 22, 8)) + noise).astype(np.float32)
    names = ["sub-01/ses-1/sub-01_ses-1_T1w", "sub-01/ses-2/sub-01_ses-2_T1w", "sub-02/sub-02_T1w"]
    for name in names:
        path = tmp_path / "study" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(scan, np.diag([1, 1, 2, 1])).to_filename(path)
    path.write_bytes(b"no scan")
    pages, common = tmp_path / "pages", ("--weights", str(weights), "--quiet", "--sigma", "60")
    given = (str(tmp_path / "study"), "--recursive", "-o", str(tmp_path / "out"), *common)
    assert main([*given, "--report", str(pages)]) == 1
    text = (pages / "index.html").read_text()
    links = re.findall(r'(?:<a href|loading="lazy" src)="(.*?)"', text)
    assert len(links) == 4 and all((pages / link).is_file() for link in links)
    cards = dict(re.findall(r"<h2>(.*?)</h2><strong>(.*?)</strong>", text))
    assert (cards["Inputs"], cards["Subjects"], cards["Sessions"]) == ("3", "2", "2")
    assert cards["Noise level"] == "60" and "2 done, 1 failed" in text
    with Image.open(next(pages.rglob("*.jpg"))) as picture:
        assert picture.mode == "L" and picture.size[0] > picture.size[1]

    before = {path: path.read_bytes() for path in pages.rglob("*_T1w.nii.gz.html")}
    assert main([*given, "--report", str(pages), "--skip-existing"]) == 1
    assert {path: path.read_bytes() for path in before} == before
    assert "2 done, 1 failed" in (pages / "index.html").read_text()


def test_people_of_names() -> None:
    assert people(Path("d/sub-01_ses-a2_T1w.nii.gz")) == {"Subject": "01", "Session": "a2"}
    assert people(Path("sub-01_T1w.nii")) == {"Subject": "01"}
    assert people(Path("sub-01/scan.nii.gz")) == {}
