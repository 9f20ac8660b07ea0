"""Memory that runs out: the same result, in smaller tiles, and the user is told."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.io import load
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.jobs.enhance import enhance_file
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.memory import is_out_of_memory
from diff_medical.slices.network import NETWORK_TYPES, SlabNetwork, slab_denoiser

Make = Callable[..., np.ndarray]
ERRORS = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB."),
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 40 bytes."
    ),
    "windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4"),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"),
    "python": MemoryError(),
}


def short_of(network: SlabNetwork, edge: int, error: BaseException) -> list[int]:
    """Makes `network` run out of memory beyond that edge; what it was asked for comes back."""
    asked: list[int] = []
    forward = network.forward

    def limited(x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        asked.append(max(x.shape[-2:]))
        if asked[-1] > edge:
            raise error
        return forward(x, time, cond)

    network.forward = limited
    return asked


@pytest.mark.parametrize("device", ERRORS)
def test_smaller_tiles_give_the_same(device: str) -> None:
    torch.manual_seed(0)
    denoiser = slab_denoiser(channels=(6, 8), blocks=1)
    torch.nn.init.normal_(denoiser.network.unet.head.weight, std=0.15)
    x = torch.rand(7, 150, 61, generator=torch.Generator().manual_seed(1))
    whole = posterior_mean(denoiser, x, 0.1, axes=[0])
    halo = 2 * denoiser.network.reach
    asked = short_of(denoiser.network, 40 + halo, ERRORS[device])
    torch.testing.assert_close(posterior_mean(denoiser, x, 0.1, axes=[0]), whole, atol=1e-5,
                               rtol=0)  # fmt: skip
    assert denoiser.network.tile == 37  # 150 and 75 did not fit
    failed = len([edge for edge in asked if edge > 40 + halo])
    posterior_mean(denoiser, x, 0.1, axes=[0])
    assert len([edge for edge in asked if edge > 40 + halo]) == failed  # tried once


def test_what_never_fits_is_told() -> None:
    denoiser = slab_denoiser(channels=(6, 8), blocks=1)
    short_of(denoiser.network, 0, ERRORS["cuda"])
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        posterior_mean(denoiser, torch.rand(6, 40, 40), 0.1)


def test_other_errors_are_not_tried_again() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    denoiser = slab_denoiser(channels=(6, 8), blocks=1)
    asked = short_of(denoiser.network, 0, RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        posterior_mean(denoiser, torch.rand(6, 40, 40), 0.1)
    assert len(asked) == 1


def test_the_user_is_told(
    make_head: Make, write_scan: Callable[..., Path], weights: Path, tmp_path: Path
) -> None:
    denoiser, card = load(weights, types=NETWORK_TYPES)
    volume = make_head((90, 84, 6)) + np.random.default_rng(0).normal(0, 30, (90, 84, 6))
    scan = write_scan(volume.astype(np.float32), affine=np.diag([1.0, 1, 4, 1]))
    settings = Settings(sigma=30)
    plenty = enhance_file(Enhancer(denoiser, card), scan, tmp_path / "a.nii", settings)
    short_of(denoiser.network, 80, ERRORS["cuda"])
    little = enhance_file(Enhancer(denoiser, card), scan, tmp_path / "b.nii", settings)
    assert not [note for note in plenty.notes if "memory" in note]
    assert [note for note in little.notes if note.startswith("memory ran out, so planes were cut")]
    assert json.dumps(little.notes)
    a, b = (np.asarray(nib.load(tmp_path / name).dataobj) for name in ("a.nii", "b.nii"))
    np.testing.assert_allclose(a, b, rtol=1e-5)
