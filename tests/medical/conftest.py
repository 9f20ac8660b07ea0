"""Volumes and a network without training, for the tests that need no trained one."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from diff_core.io import Card, save
from diff_medical.slices.network import slab_denoiser


def head(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Noise-free ellipsoids with smooth texture and shading, 0 to about 1000, float32."""
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    rng = np.random.default_rng(seed)
    volume = np.zeros(shape)
    volume[x**2 + y**2 + z**2 < 0.9] = 400
    for _ in range(6):
        centre = rng.uniform(-0.5, 0.5, 3)
        size = rng.uniform(0.15, 0.4, 3)
        near = sum(((v - c) / s) ** 2 for v, c, s in zip((x, y, z), centre, size, strict=True))
        volume[near < 1] = rng.uniform(200, 900)
    texture = np.sin(5 * x + seed) * np.cos(4 * y) + np.sin(6 * z + x)
    return (volume * (1 + 0.1 * y + 0.02 * texture)).astype(np.float32)


@pytest.fixture(scope="session")
def make_head() -> Callable[..., np.ndarray]:
    return head


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose last layer is 0: D(x; sigma) = x s_d^2 / (s_d^2 + sigma^2), in closed
    form.
    """
    torch.manual_seed(0)
    denoiser = slab_denoiser(channels=(8, 8), blocks=1)
    for parameter in denoiser.network.unet.head.parameters():
        torch.nn.init.zeros_(parameter)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save(path, denoiser, Card(name="zero"))
    return path


@pytest.fixture
def write_scan(tmp_path: Path) -> Callable[..., Path]:
    """write_scan(array, name, affine=..., slope=...) -> path of a NIfTI file."""

    def write(
        array: np.ndarray,
        name: str = "scan.nii.gz",
        *,
        affine: np.ndarray | None = None,
        slope: float | None = None,
        inter: float = 0.0,
    ) -> Path:
        image = nib.Nifti1Image(array, np.diag([1.0, 1, 1, 1]) if affine is None else affine)
        if slope is not None:
            image.header.set_slope_inter(slope, inter)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.to_filename(path)
        return path

    return write
