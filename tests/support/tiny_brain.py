"""Heads of ellipsoids, prepared folders of them, and stages of brains without training."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from diff_core.io import Card, save
from diff_core.nn import UNet
from diff_core.schedule import Edm
from diff_medical.brain.anatomy import Anatomy
from diff_medical.brain.appearance import TYPICAL, Appearance
from diff_medical.brain.borders import Borders, LabelNetwork
from diff_medical.brain.folds import Folds, Lobes
from diff_medical.brain.grid import Grid
from diff_medical.brain.people import People, write_grid

__all__ = ["GRID", "head", "people", "stage", "write_brain", "write_people"]

GRID = Grid(shape=(16, 32, 16), voxel=8.0)


def head(seed: int = 0) -> np.ndarray:
    """Labels (X, Y, Z) uint8 of all classes: shells of fluid, grey and white matter, and within
    them ventricles, deep grey matter and a cerebellum.
    """
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, n) for n in GRID.shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    sides = rng.uniform(0.85, 1.0, 3)

    def inside(at: tuple[float, float, float], *radii: float) -> np.ndarray:
        each = zip((x, y, z), at, radii, sides, strict=True)
        return sum(((v - c) / (r * s)) ** 2 for v, c, r, s in each) < 1

    labels = np.zeros(GRID.shape, np.uint8)
    for label, radius in ((1, 0.95), (2, 0.8), (3, 0.6)):
        labels[inside((0, 0, 0), radius, radius, radius)] = label
    labels[inside((0, -0.55, -0.4), 0.45, 0.3, 0.3)] = 5
    labels[inside((0, 0.1, 0), 0.35, 0.3, 0.3)] = 4
    labels[inside((0, 0, 0.1), 0.2, 0.3 * rng.uniform(0.8, 1.4), 0.25)] = 1
    return labels


def scan(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A scan of a label map, float32, white matter about 1."""
    rng = np.random.default_rng(seed)
    levels = np.array(TYPICAL) * rng.uniform(0.95, 1.05, 6)
    image = levels[labels] + 0.03 * rng.standard_normal(labels.shape)
    return np.where(labels > 0, image, 0).clip(0).astype(np.float32)


def people(count: int, first: int = 0) -> People:
    labels = [head(first + i) for i in range(count)]
    images = [scan(one, first + i) for i, one in enumerate(labels)]
    return People(
        tuple(f"p{first + i}" for i in range(count)),
        torch.from_numpy(np.stack(labels)),
        torch.from_numpy(np.stack(images)).half(),
        torch.linspace(0.95, 1.05, count),
        ("CC0",) * count,
    )


def write_people(folder: Path, train: int = 3, val: int = 1) -> Path:
    """A folder as `brain-prepare` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_grid(folder, GRID)
    rows: list[dict[str, Any]] = []
    for i in range(train + val):
        labels = head(i)
        for name, values in ((f"p{i}_T1w", scan(labels, i)), (f"p{i}_dseg", labels)):
            affine = GRID.in_head(1 + 0.01 * i)
            nib.Nifti1Image(values, affine).to_filename(folder / f"{name}.nii.gz")
        rows.append({"file": f"p{i}_T1w.nii.gz", "labels": f"p{i}_dseg.nii.gz", "subject": f"p{i}",
                     "split": "train" if i < train else "val", "licence": "CC0"})  # fmt: skip
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def stage(name: str, *, silent: bool = False, grid: Grid = GRID) -> Any:
    """A stage with small random networks; silent: one whose network returns 0."""

    def unet(into: int, out: int, given: int, words: int) -> UNet:
        return UNet(3, into, out, (8, 8), blocks=1, embedding=8, magnitude_preserving=True,
                    vector_dim=words, cond_channels=given)  # fmt: skip

    torch.manual_seed(0)
    kinds: dict[str, Any] = {
        "anatomy": Anatomy, "lobes": Lobes, "folds": Folds, "appearance": Appearance,
    }  # fmt: skip
    if name == "borders":
        made: Any = Borders(LabelNetwork(unet(56, 48, 17, 0)), grid)
    else:
        kind = kinds[name]
        network = unet(kind.count, 2 * kind.count, kind.given, kind.words)
        made = kind(network, grid, Edm(80.0))
    if not silent:
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.ndim == 0:  # the gains of what begins as nothing
                    parameter.fill_(0.5)
    return made.eval()


def write_brain(
    folder: Path,
    names: tuple[str, ...] = ("anatomy", "lobes", "folds", "borders", "appearance"),
    of: People | None = None,
    grid: Grid = GRID,
) -> Path:
    """A folder of stages, fitted to people on a grid, not trained."""
    from diff_medical.brain.training.statistics import fit

    folder.mkdir(parents=True, exist_ok=True)
    choice = {"modality": "t1", "body": "brain", "plane": "", "scans": 5, "subjects": 5,
              "positions": [], "view": 192.0}  # fmt: skip
    for name in names:
        made = stage(name, grid=grid)
        fit(made, people(5) if of is None else of)
        card = Card(name="brain", signal={"subjects": 5, "choices": [choice]})
        save(folder / f"brain-{name}.safetensors", made, card)
    return folder
