"""Recipe, card and use are one chain: every key of a recipe that is changed is found again."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from diff_core.io import load
from diff_core.train.recipe import make_recipe, read_recipe
from diff_medical.enhance import main as enhance
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.training.job import Recipe as EnhanceRecipe
from diff_medical.generator.model import Generator, Sampling
from diff_medical.generator.training.job import Recipe as GenerateRecipe
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.network import NETWORK_TYPES
from diff_medical.train import RECIPES, app

pytestmark = pytest.mark.slow

# These name the machine that trains, not what is trained.
MACHINE = {"train.device", "train.compile", "train.workers"}
TRAIN = [
    "steps=2", "batch_size=3", "accumulate=2", "optimizer=adam", "learning_rate=2e-3",
    "schedule=constant", "warmup=1", "final_rate=2e-5", "weight_decay=0.01", "momentum=0.8",
    "beta2=0.95", "clip=0.7", "ema=0.4", "snapshot_every=1", "precision=float32", "seed=5",
    "validate_every=1", "checkpoint_every=1", "keep=2", "better=lower", "stop_after=9",
    "log_every=1", "patience=7",
]  # fmt: skip
ENHANCE = [
    "train.best=psnr 5%", "network.slices=7", "network.channels=[4,6]", "network.blocks=[1,2]",
    "network.shuffle=2", "objective.low=0.01", "objective.high=0.8", "objective.middle=[0.1,0.4]",
    "objective.outer=0.5", "objective.correlated=0.4", "objective.sigma_data=0.7",
    "objective.zero_filled=0.5", "objective.shading=0.5", "objective.lesions.share=0.5",
    "objective.lesions.count=[2,3]", "objective.lesions.width=[2,4]",
    "objective.lesions.depth=[2,3]", "objective.lesions.contrast=[1,2]",
    "objective.lesions.weight=1",
    "patches.size=16", "patches.ct=0.4", "patches.background=0.2", "patches.thin=0.3",
    "degradation.noise=rician", "degradation.sigma=[0.02,0.1]", "degradation.coils=4",
    "degradation.bias=0.5", "degradation.bias_sd=0.1", "degradation.motion=0.5",
    "degradation.shift=1", "degradation.turn=1", "degradation.poses=3", "degradation.blur=0.5",
    "degradation.factor=1.5", "degradation.low_dose=0.5", "degradation.share=[0.1,0.4]",
    "degradation.dose.photons=5e5", "degradation.dose.electronic=5", "reading.missing=zero",
    "reading.orientation=RAS", "reading.spacing=1.2", "synthetic=true",
]  # fmt: skip
GENERATE = [
    "train.best=training loss", "subbands.outer=1", "subbands.whiten=0.25",
    "coarse.channels=[8,8]", "coarse.blocks=1", "coarse.attention=[0]", "coarse.embedding=16",
    "coarse.places=1", "coarse.rank=2", "coarse.sigma_max=60", "detail.channels=[8,12]",
    "detail.blocks=1", "detail.attention=[1]", "detail.embedding=24", "detail.places=2",
    "detail.rank=1", "detail.sigma_max=15", "noise.coarse.mean=-0.1",
    "noise.coarse.deviation=1.0", "noise.detail.mean=0.1", "noise.detail.deviation=0.9",
    "noise.share=0.75", "corpus.size=32", "corpus.step=6", "corpus.margin=1.1", "corpus.fine=1.2",
    "scans.modalities=[t1]", "scans.bodies=[head]", "scans.subject=^(p[0-9])", "scans.rare=2",
    "channels.suffix=seg", "channels.labels=2", "augment.told=0.5", "augment.mirror=false",
    "augment.turn=10", "augment.zoom=0.1", "augment.shift=0.05", "augment.gamma=0.2",
    "augment.own_turn=2", "augment.own_zoom=0.03", "augment.own_gamma=0.05", "augment.bend=0.01",
    "augment.field=0.2", "balance.power=0.7", "balance.drop=0.2", "synthetic=true",
    "judging.steps=1",
]  # fmt: skip


def flat(recipe: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a recipe with its value."""
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if dataclasses.is_dataclass(value):
            yield from flat(value, f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}", value


def trained(
    model: str, kind: type, settings: list[str], data: Path, fixed: set[str]
) -> tuple[Any, Path]:
    """A recipe with every key changed but the `fixed` ones, and the model that it makes."""
    settings = [*(f"train.{one}" for one in TRAIN), *settings]
    name = model.replace("-", "_")
    shipped = dict(flat(read_recipe(kind, RECIPES / f"{name}.yaml")))
    recipe = read_recipe(kind, RECIPES / f"{name}.yaml", settings)
    same = {key for key, value in flat(recipe) if shipped[key] == value}
    assert same == MACHINE | fixed
    out = data.parent / "run"
    options = ["--data", data, "--out", out, "--device", "cpu"]
    done = CliRunner().invoke(app, [model, *map(str, options), *settings])
    assert done.exit_code == 0, done.output
    return recipe, out / f"{model}.safetensors"


def test_enhance(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_scan(make_head((32, 30, 28)), "data/a.nii.gz")
    ct = np.where(make_head((32, 28, 9), seed=2) > 0, 40, -1000)
    write_scan(ct.astype(np.int16), "data/c.nii.gz")
    write_scan(make_head((26, 24, 24), seed=3), "data/val/d.nii.gz")
    recipe, path = trained("enhance", EnhanceRecipe, ENHANCE, tmp_path / "data", set())

    model, card = load(path, types=NETWORK_TYPES)
    assert make_recipe(EnhanceRecipe, card.recipe) == recipe
    assert card.signal["slices"] == 7
    assert card.signal["sigma_max"] == 0.8
    assert "low-dose CT" in card.limits
    asked = dataclasses.asdict(recipe.network)
    assert {key: model.network.config[key] for key in asked} == asked
    # the levels of the noise that it was trained with are those at which it is used
    assert model.schedule.sigma_max == recipe.objective.high
    assert model.sigma_data == recipe.objective.sigma_data
    noisy = 0.7 * torch.randn(9, 16, 16, generator=torch.Generator().manual_seed(0))
    t = torch.tensor(0.7 / 0.8)
    direct = model(noisy[:7][None], t)[0, :2]
    torch.testing.assert_close(posterior_mean(model, noisy, 0.7, axes=[0], stride=5)[:2], direct)

    scan = write_scan((make_head((20, 18, 16)) + 40).astype(np.float32), "in.nii.gz")
    looks = []
    for quality in ("draft", "default", "best"):
        options = ["--quality", quality, "--sigma", "60", "--json", "--overwrite"]
        assert enhance([str(scan), "--weights", str(path), *options]) == 0
        said = json.loads(capsys.readouterr().out)
        looks.append(said["planes"].split("each voxel seen ")[1])
        assert np.isfinite(nib.load(said["output"]).get_fdata()).all()
    assert looks == ["once", "5 times", "7.5 times"]
    assert Enhancer.from_pretrained(path, device="cpu").card == card


@pytest.mark.parametrize("model", ["generate", "generate-volume"])
def test_generate(
    tmp_path: Path, make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path],
    model: str,
) -> None:  # fmt: skip
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    for seed in range(5):
        volume = make_head((32, 32, 32), seed)
        write_scan(volume, f"data/p{seed}_t1_head.nii.gz", affine=affine)
        labels = (volume > 400).astype(np.uint8) + (volume > 600)
        write_scan(labels.astype(np.uint8), f"data/p{seed}_t1_head_seg.nii.gz", affine=affine)
    spatial = 2 if model == "generate" else 3
    other = ["subbands.inner=2", "corpus.views={head: 200.0}", "coarse.gains=true"]
    other += [f"detail.gains={'true' if spatial == 2 else 'false'}"]
    # one is of slices, the other of volumes; a model of pairs makes no scan alone to judge;
    # and the lowest loss is the best
    fixed = {"corpus.spatial", "judging.count", "train.better"}
    recipe, path = trained(model, GenerateRecipe, [*GENERATE, *other], tmp_path / "data", fixed)

    generator = Generator.from_pretrained(path, device="cpu")
    card, cascade = generator.card, generator.model
    assert make_recipe(GenerateRecipe, card.recipe) == recipe
    assert (generator.size, generator.thickness, generator.spatial) == (32, 6.0, spatial)
    assert generator.pairing == recipe.channels
    assert (cascade.outer.levels, cascade.inner.levels) == (1, 2)
    for stage in ("coarse", "detail"):
        asked, made = dataclasses.asdict(getattr(recipe, stage)), getattr(cascade, stage)
        assert made.schedule.sigma_max == asked.pop("sigma_max")
        assert {key: made.network.config[key] for key in asked} == asked
    (choice,) = {(c.modality, c.body, c.view) for c in generator.kinds.choices}
    assert choice == ("t1", "head", 200.0)
    request = generator.choices()[0]
    drawn = np.zeros((32,) * spatial)
    drawn[8:24] = 2
    (made,) = generator([request], Sampling(steps=2), channels=[drawn])
    assert made.values.shape == (32,) * spatial
    sides = np.linalg.norm(made.affine[:3, :3], axis=0)
    expected = sorted([200 / 32] * spatial + [6.0] * (3 - spatial))
    assert sorted(sides) == pytest.approx(expected)
