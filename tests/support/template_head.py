"""Heads of ellipsoids of which the tissue is known at every point of a template's space."""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from diff_medical.brain.grid import Grid
from diff_medical.brain.people import People
from tiny_brain import write_brain

__all__ = ["FAR", "GRID", "LEVELS", "head", "place", "tissue", "truth", "write_stages"]

GRID = Grid(shape=(64, 80, 64), voxel=2.25)
LEVELS = np.array([0.0, 0.3, 0.66, 1.0, 0.76, 0.7])
FAR = np.array([[60, 0, 0, 1], [-60, -20, 0, 1], [0, 60, 0, 1], [0, -90, 0, 1], [0, 0, 60, 1.0]])


def tissue(points: np.ndarray) -> np.ndarray:
    """Labels (...) at points (..., 3), mm of the template."""

    def radius(centre: tuple[float, ...], *sides: float) -> np.ndarray:
        return np.linalg.norm((points - np.array(centre)) / np.array(sides), axis=-1)

    out = radius((0, -17, 6.5), 66, 84, 62)
    labels = np.select([out < 0.74, out < 0.93, out < 1], [3, 2, 1], 0)
    back = radius((0, -60, -28), 36, 26, 18)
    labels[(back < 1) & (out < 1)] = 5
    for side in (-1, 1):
        labels[radius((side * 20, -10, 4), 11, 18, 12) < 1] = 4
        labels[radius((side * 8, -12, 20), 6, 24, 8) < 1] = 1
    return labels


def place() -> np.ndarray:
    """From mm of the template to mm of a person: a turn, a shift and a scale."""
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", [6, -4, 5], degrees=True).as_matrix()
    matrix[:3, :3] = 0.9 * turn
    matrix[:3, 3] = [5, -8, 3]
    return matrix


def head(matrix: np.ndarray, seed: int, step: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """The scan (X, Y, Z) of a person, white matter near 800, and its affine."""
    affine = np.diag([step, step, step, 1.0])
    shape = tuple(int(mm / step) for mm in (150, 190, 150))
    affine[:3, 3] = -step * np.array(shape) / 2 + [0, -15, 5]
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    to_template = np.linalg.inv(matrix) @ affine
    labels = tissue(places @ to_template[:3, :3].T + to_template[:3, 3])
    noise = 0.02 * np.random.default_rng(seed).standard_normal(labels.shape)
    values = 800 * (LEVELS[labels] + np.where(labels > 0, noise, 0)).clip(0)
    return values.astype(np.float32), affine


def truth(grid: Grid) -> np.ndarray:
    places = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    affine = grid.in_template()
    return tissue(places @ affine[:3, :3].T + affine[:3, 3])


def write_stages(folder: Path) -> Path:
    """Stages without training, of heads in which an atlas can be seen."""
    labels = torch.from_numpy(truth(GRID).astype(np.uint8))[None].repeat(2, 1, 1, 1)
    images = torch.tensor(LEVELS)[labels.long()].half()
    two = People(("a", "b"), labels, images, torch.ones(2), ("CC0", "CC0"))
    return write_brain(folder, of=two, grid=GRID)
