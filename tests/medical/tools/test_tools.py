"""The tools for scans, each beside the command of its name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from diff_core.command.studio import Choices, Made, Tool
from diff_medical.enhance import main as enhance
from diff_medical.generate import main as generate
from diff_medical.marks.told import tell
from diff_medical.tools.brains import brains_tool
from diff_medical.tools.enhance import enhance_tool
from diff_medical.tools.generate import slices_tool, volumes_tool
from tiny_brain import write_brain
from tiny_generator import write_generator


def worked(tool: Tool, weights: Path, source: Path, **given: str) -> Made:
    """The products of a tool, for what a browser sends of its form."""
    further = {field.name: field.read(given.get(field.name, "")) for field in tool.fields}
    quality = "draft" if tool.qualities else ""
    choices = Choices(quality, 1.0, further, tool=tool.name)
    return tool.work(tool.load(weights, "cpu"), source, choices, lambda _share: None)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, as the queue has it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def same_scans(made: Made, command: list[str]) -> list[Path]:
    """The scans in the archive of a tool, which are those of a command that writes to `out`."""
    with zipfile.ZipFile(made.result) as archive:
        archive.extractall("back")
    assert generate([*command, "--quiet"]) == 0
    names = {path.name for path in Path("out").iterdir()}
    assert names == {path.name for path in Path("back/synthetic").iterdir()}
    scans = [path for path in Path("out").iterdir() if path.name.endswith(".nii.gz")]
    for path in scans:
        back = Path("back/synthetic", path.name)
        assert "synthetic" in path.name
        assert np.array_equal(values(back), values(path))
        assert tell(back).synthetic and tell(back).text() == tell(path).text()
    return scans


@pytest.mark.parametrize(
    ("tool", "spatial", "options"), [(slices_tool, 2, []), (volumes_tool, 3, ["--volume"])]
)
def test_scans_are_generated_as_by_the_command(
    tool: Callable[[], Tool], spatial: int, options: list[str]
) -> None:
    weights = write_generator(Path("tiny.safetensors"), spatial=spatial)
    made = worked(tool(), weights, Path("x"), number="2", steps="2", seed="5")
    command = ["-n", "2", "-o", "out", "--weights", str(weights), "--steps", "2", "--seed", "5"]
    assert len(same_scans(made, [*command, *options])) == 2
    assert "not a scan of anyone" in made.report.read_text()


def test_brains_are_generated_as_by_the_command() -> None:
    weights = write_brain(Path("brain"))
    given = {"number": "2", "seed": "5", "ventricles": "large"}
    made = worked(brains_tool(), weights, Path("x"), **given)
    command = ["--volume", "--with-labels", "-n", "2", "-o", "out", "--weights", str(weights)]
    command += ["--seed", "5", "--ventricles", "large", "--quality", "draft"]
    assert len(same_scans(made, command)) == 4
    assert "not a scan of anyone" in made.report.read_text()


def test_a_kind_is_chosen_by_its_words() -> None:
    weights = write_generator(Path("tiny.safetensors"))
    made = worked(slices_tool(), weights, Path("x"), kind="t1 head axial", steps="1", number="1")
    with zipfile.ZipFile(made.result) as archive:
        names = [Path(name).name for name in archive.namelist()]
    assert "t1_head_axial_000000_desc-synthetic.nii.gz" in names
    with pytest.raises(ValueError, match="body is 'chest'; the model knows of ct: abdomen"):
        worked(slices_tool(), weights, Path("x"), kind="ct chest axial")


def test_a_model_of_volumes_is_not_one_of_slices() -> None:
    volumes = write_generator(Path("tiny.safetensors"), spatial=3)
    with pytest.raises(ValueError, match="the model is of 3 axes; expected 2"):
        slices_tool().load(volumes, "cpu")


def test_further_maps_are_those_of_the_command(
    make_head: Any, write_scan: Any, weights: Path
) -> None:
    rng = np.random.default_rng(0)
    volume = make_head((24, 28, 20)) + rng.normal(0, 150, (24, 28, 20))
    scan = write_scan(volume.astype(np.int16))
    given = {"residual": "on", "uncertainty": "on", "noise": "gaussian"}
    made = worked(enhance_tool(), weights, Path(scan.name), **given)
    assert set(made.further) == {"residual", "uncertainty"}
    mine = {name: values(path) for name, path in made.further.items()}
    result = values(made.result)
    command = [scan.name, "--weights", str(weights), "--quality", "draft", "--noise", "gaussian"]
    further = ["--residual", "--uncertainty", "u.nii.gz", "--overwrite", "--quiet"]
    assert enhance([*command, *further]) == 0
    assert np.array_equal(result, values(made.result))
    assert np.array_equal(mine["residual"], values(made.further["residual"]))
    assert np.array_equal(mine["uncertainty"], values(Path("u.nii.gz")))
