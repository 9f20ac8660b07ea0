"""Outputs that appear and inputs that change while a scan is enhanced; kinds left out."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_series
from diff_medical.enhance import main
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.jobs.enhance import enhance_file
from diff_medical.jobs.products import Products

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Out = pytest.CaptureFixture[str]
SHAPE = (12, 12, 10)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["b.nii", "b_residual.nii", "p.html"])
def test_a_file_that_appears_during_the_work_is_kept(
    name: str, make_head: Make, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(make_head(SHAPE), "a.nii")
    precious = tmp_path / name
    with pytest.raises(FileExistsError, match=f"{name} (appeared|exists)"):
        enhance_file(
            Enhancer.from_pretrained(weights), source, tmp_path / "b.nii", Settings(sigma=60.0),
            products=Products(residual=True, report=tmp_path / "p.html"),
            on_progress=lambda _share: precious.write_text("precious") and None,
        )  # fmt: skip
    assert precious.read_text() == "precious"


def test_a_scan_that_changes_while_it_is_read_makes_nothing(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(make_head(SHAPE), "a.nii")

    def change(_share: float) -> None:
        write_scan(make_head(SHAPE, seed=1), "a.nii")
        os.utime(source, ns=(0, 0))

    with pytest.raises(OSError, match=r"a\.nii: changed while it was read"):
        enhance_file(
            Enhancer.from_pretrained(weights), source, tmp_path / "b.nii", Settings(sigma=60.0),
            on_progress=change,
        )  # fmt: skip
    assert names(tmp_path) == ["a.nii"]


def test_outputs_are_as_private_as_the_scan(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(make_head(SHAPE), "a.nii")
    source.chmod(0o600)
    made = ["--residual", "--report", tmp_path / "p.html", "--picture", tmp_path / "p.png"]
    assert main([str(a) for a in [source, "--weights", weights, "--sigma", 60, *made]]) == 0
    assert len(names(tmp_path)) == 5
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_what_a_folder_holds_besides_is_counted_and_nothing_hidden_is_taken(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    """A hidden folder may be what a killed run left of a series that it wrote."""
    write_scan(make_head(SHAPE), "study/a.nii")
    write_scan(make_head(SHAPE), "study/.b/b.nii")
    for folder in ("study/ser", "study/.ser_enhanced.x1"):
        write_series(tmp_path / folder, make_head((32, 28, 6)))
    for name in ("c.mnc", "d.par", "e.par", "f.dcm", "g.zip", "notes.txt"):
        (tmp_path / "study" / name).write_text("x")
    arguments = [str(tmp_path / "study"), "--weights", str(weights), "--sigma", "60"]
    assert main([*arguments, "--strict"]) == 1
    lines = [line.partition("left out: ")[2] for line in capsys.readouterr().err.splitlines()]
    assert [line for line in lines if line] == [
        "1 subfolder (add --recursive to search them)",
        "1 .zip (name an archive to take it for a DICOM series)",
        "1 .dcm (no DICOM files; check how they were exported)",
        "1 .mnc, 2 .par (not read; convert them to .nii.gz)",
    ]
    assert names(tmp_path / "study") == sorted(
        ["a.nii", "a_enhanced.nii", ".b", "ser", ".ser_enhanced.x1", "c.mnc", "d.par", "e.par",
         "f.dcm", "g.zip", "notes.txt"]
    )  # fmt: skip
    (tmp_path / "study" / "a_enhanced.nii").unlink()
    assert main([*arguments, "--recursive"]) == 0
    made = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*_enhanced*"))
    assert made == ["study/.ser_enhanced.x1", "study/a_enhanced.nii", "study/ser_enhanced"]
    assert len(names(tmp_path / "study" / "ser_enhanced")) == 6
