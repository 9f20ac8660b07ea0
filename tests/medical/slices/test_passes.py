"""Quality: which planes, how often, what it costs, and that only the number of looks differs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from diff_core.io import Card, save
from diff_medical.enhance import main
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.network import slab_denoiser
from diff_medical.slices.passes import QUALITIES, Passes, Quality, passes_for
from diff_medical.slices.slabs import slabs
from diff_medical.slices.timing import predicted_seconds

CUBE, FLAT = (20, 18, 16), (20, 18, 12)


@pytest.mark.parametrize(
    ("quality", "near_isotropic", "thick"),
    [
        ("draft", Passes((2,), 3), Passes((2,), 3)),
        ("default", Passes((0, 1, 2), 2), Passes((2,), 1)),
        ("best", Passes((0, 1, 2), 1), Passes((2,), 1, 4)),
    ],
)
def test_planes_follow_the_voxels(quality: str, near_isotropic: Passes, thick: Passes) -> None:
    assert passes_for(quality, CUBE, (1, 1, 1.2), 5) == near_isotropic  # type: ignore[arg-type]
    assert passes_for(quality, FLAT, (1, 1, 5), 5) == thick  # type: ignore[arg-type]
    assert passes_for(quality, (20, 5, 18), (1, 1, 1), 5).axes == (1,)  # type: ignore[arg-type]


@pytest.mark.parametrize("slices", [3, 5, 7, 9, 11])
@pytest.mark.parametrize("spacing", [(1, 1, 1.2), (1, 1, 5)])
@pytest.mark.parametrize("quality", QUALITIES)
def test_looks_are_those_that_a_voxel_gets(
    quality: Quality, spacing: tuple[float, float, float], slices: int
) -> None:
    depth = 2000
    passes = passes_for(quality, (depth, depth, depth), spacing, slices)
    kept = [
        slab.slices[k] for slab in slabs(depth, slices, stride=passes.stride) for k in slab.kept
    ]
    inner = sum(100 <= index < 1900 for index in kept) / 1800
    assert passes.looks == pytest.approx(inner * len(passes.axes) * passes.turns, rel=0.01)
    # as near to those of a network of five slices as whole strides and turns allow
    looks = {"draft": (1, 1), "default": (4.5, 3), "best": (9, 12)}[quality][max(spacing) > 2]
    assert passes.looks <= looks * (4 if slices == 3 else 3.5) / 3
    assert passes.looks >= looks * 5 / 6 or (slices, quality, passes.looks) == (3, "best", 4)


@pytest.mark.parametrize("slices", [3, 7])
def test_networks_of_other_slices_enhance_and_say_how_often(slices: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "other.safetensors"
    save(path, slab_denoiser(slices, channels=(4, 6), blocks=1), Card(name="other"))
    enhancer = Enhancer.from_pretrained(path, device="cpu")
    volume = np.random.default_rng(0).normal(100, 5, CUBE).astype(np.float32)
    for quality in QUALITIES:
        found = enhancer(volume, (1, 1, 1), Settings(sigma=5.0, quality=quality))
        assert not found.unchanged
    said = str(passes_for("draft", CUBE, (1, 1, 1), slices))
    assert said == "1 plane (across z), each voxel seen once"


@pytest.mark.parametrize("slices", [3, 5, 7])
def test_better_costs_more(slices: int) -> None:
    for shape, spacing in ((CUBE, (1, 1, 1)), (FLAT, (1, 1, 5))):
        costs = [passes_for(q, shape, spacing, slices).pixels(shape) for q in QUALITIES]
        assert costs == sorted(set(costs))


def test_pixels_are_those_of_the_slabs() -> None:
    shape = (11, 9, 13)
    passes = Passes((0, 2), 2, 3)
    counted = len(slabs(11, 5, stride=2)) * 9 * 13 + len(slabs(13, 5, stride=2)) * 11 * 9
    assert passes.pixels(shape) == 3 * counted


def test_what_is_said_of_planes() -> None:
    said = str(passes_for("default", CUBE, (1, 1, 1), 5))
    assert said == "3 planes (across x, y, z), each voxel seen 4.5 times"
    said = str(passes_for("draft", FLAT, (1, 1, 5), 5))
    assert said == "1 plane (across z), each voxel seen once"


@pytest.fixture(scope="module")
def denoiser() -> nn.Module:
    torch.manual_seed(0)
    made = slab_denoiser(channels=(6, 8), blocks=1)
    for parameter in made.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.15)
    return made


@pytest.mark.parametrize("turns", [2, 4])
def test_turns_are_the_mean_over_turned_volumes(denoiser: nn.Module, turns: int) -> None:
    x = torch.rand(9, 10, 14, generator=torch.Generator().manual_seed(1))
    each = [
        posterior_mean(denoiser, x.rot90(k, (1, 2)), 0.1, axes=[0]).rot90(-k, (1, 2))
        for k in range(turns)
    ]
    found = posterior_mean(denoiser, x, 0.1, axes=[0], turns=turns)
    torch.testing.assert_close(found, torch.stack(each).mean(0), atol=1e-5, rtol=0)
    assert (found - each[0]).abs().max() > 1e-3


def test_four_turns_do_not_know_which_way_up(denoiser: nn.Module) -> None:
    x = torch.rand(6, 12, 10, generator=torch.Generator().manual_seed(2))
    straight = posterior_mean(denoiser, x, 0.1, axes=[0], turns=4)
    turned = posterior_mean(denoiser, x.rot90(1, (1, 2)), 0.1, axes=[0], turns=4)
    torch.testing.assert_close(turned, straight.rot90(1, (1, 2)), atol=1e-5, rtol=0)


def test_prediction_grows_with_the_work(denoiser: nn.Module) -> None:
    assert predicted_seconds(denoiser, Passes((2,), 1), (64, 64, 64)) > 0  # type: ignore[arg-type]


def test_bfloat16_stays_within_a_few_hundredths_of_the_noise(denoiser: nn.Module) -> None:
    x = torch.rand(9, 24, 24, generator=torch.Generator().manual_seed(3))
    exact = posterior_mean(denoiser, x, 0.1, axes=[0])  # type: ignore[arg-type]
    denoiser.network.narrow = torch.bfloat16
    try:
        narrow = posterior_mean(denoiser, x, 0.1, axes=[0])  # type: ignore[arg-type]
    finally:
        denoiser.network.narrow = None
    assert narrow.dtype == torch.float32
    assert 0 < (narrow - exact).abs().max() < 0.05 * 0.1
    with pytest.raises(ValueError, match="turns is 5"):
        posterior_mean(denoiser, x, 0.1, axes=[0], turns=5)  # type: ignore[arg-type]


def test_the_command_says_which_planes_it_used(
    make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path], weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    noise = np.random.default_rng(0).standard_normal(CUBE)
    source = write_scan((make_head(CUBE) + 60 * noise).astype(np.float32))
    common = (str(source), "--weights", str(weights), "--sigma", "60", "--threads", "1")
    assert main([*common, "--quality", "draft"]) == 0
    assert "1 plane (across z), each voxel seen once" in capsys.readouterr().out
    assert main([*common, "--overwrite", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["quality"] == "default"
    assert said["planes"] == "3 planes (across x, y, z), each voxel seen 4.5 times"


def test_another_quality_is_refused() -> None:
    with pytest.raises(ValueError, match="quality is 'fast'; expected draft, default or best"):
        Settings(quality="fast")  # type: ignore[arg-type]
