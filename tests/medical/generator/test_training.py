"""Training the generator through the command, on toy scans."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from diff_core.io import load, read_card
from diff_core.train.curves import read_curves
from diff_core.train.recipe import make_recipe, read_recipe
from diff_medical.generator.cascade import NETWORK_TYPES
from diff_medical.generator.model import Generator, Sampling
from diff_medical.generator.request import Request
from diff_medical.generator.training.job import Recipe
from diff_medical.marks.told import tell
from diff_medical.train import RECIPES, app
from diff_medical.weights import path_of

SMALL = [
    "coarse.channels=[8,8]", "coarse.blocks=1", "coarse.attention=[1]", "coarse.embedding=16",
    "detail.channels=[8,8]", "detail.blocks=1", "detail.embedding=16", "subbands.outer=1",
    "train.warmup=1", "train.precision=float32", "train.ema=0.5",
]  # fmt: skip


def invoke(command: str, tmp_path: Path, *settings: str) -> Result:
    arguments = [
        command,
        "--data",
        tmp_path / "data",
        "--out",
        tmp_path / "out",
        "--device",
        "cpu",
    ]
    return CliRunner().invoke(app, [*map(str, arguments), *SMALL, *settings])


@pytest.fixture
def scans(
    make_head: Callable[..., np.ndarray], write_scan: Callable[..., Path]
) -> Callable[..., None]:
    def write(*names: str, labels: bool = False) -> None:
        affine = np.diag([6.0, 6.0, 6.0, 1.0])
        for seed, name in enumerate(names):
            volume = make_head((32, 32, 32), seed)
            write_scan(volume, f"data/{name}.nii.gz", affine=affine)
            if labels:
                bright = (volume > 400).astype(np.uint8)
                write_scan(bright, f"data/{name}_seg.nii.gz", affine=affine)

    return write


@pytest.mark.slow
def test_a_label_to_image_model_learns_what_the_labels_mean(
    tmp_path: Path, scans: Callable[..., None]
) -> None:
    scans(*(f"p{i}_t1_head" for i in range(6)), labels=True)
    recipe = [
        "corpus.size=16", "channels.suffix=seg", "channels.labels=1", "train.steps=100",
        "train.batch_size=16", "train.learning_rate=0.01", "train.validate_every=100",
        "scans.modalities=[]", "scans.subject=^(p[0-9])", "train.ema=0.9",
        "coarse.rank=0", "noise.share=1",
    ]  # fmt: skip
    done = invoke("generate", tmp_path, *recipe)
    assert done.exit_code == 0, done.stderr
    assert "with 5 people: samples will be variations of these people" in done.stdout
    generator = Generator.from_pretrained(tmp_path / "out" / "generate.safetensors", device="cpu")
    assert generator.card.signal["subjects"] == 5
    assert len(generator.card.data) == 5
    assert any(name.startswith("held-out loss") for name in generator.card.scores)
    half = np.zeros((16, 16))
    half[3:8, 3:13] = 1
    asked = [Request("t1", position=0.5)] * 8
    made = generator(asked, Sampling(steps=8), channels=[half] * 8)
    mean = np.mean([one.values for one in made], 0)
    assert mean[4:7, 5:11].mean() > 1.2 * mean[9:12, 5:11].mean()


@pytest.mark.slow
def test_volumes_are_trained_by_the_same_command(
    tmp_path: Path, scans: Callable[..., None]
) -> None:
    scans(*(f"p{i}_t1_head" for i in range(3)))
    done = invoke(
        "generate-volume", tmp_path, "corpus.size=16", "train.steps=2", "train.batch_size=2",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    path = tmp_path / "out" / "generate-volume.safetensors"
    (made,) = Generator.from_pretrained(path, device="cpu")([Request("t1")], Sampling(steps=2))
    assert made.values.shape == (16, 16, 16)


@pytest.mark.slow
def test_samples_are_judged_and_may_choose_the_model(
    tmp_path: Path, scans: Callable[..., None]
) -> None:
    scans(*(f"p{i}_t1_head" for i in range(3)))
    recipe = [
        "corpus.size=16", "train.steps=3", "train.batch_size=2", "train.validate_every=1",
        "judging.count=3", "judging.steps=2", "train.best=frechet",
    ]  # fmt: skip
    done = invoke("generate", tmp_path, *recipe)
    assert done.exit_code == 0, done.stderr
    curves = read_curves(tmp_path / "out" / "log.jsonl")
    scores = curves["frechet"]
    assert set(scores) == {1, 2, 3}
    card = read_card(tmp_path / "out" / "generate.safetensors")
    assert card.steps == min(scores, key=scores.__getitem__)
    assert card.scores["frechet"] == pytest.approx(scores[card.steps], rel=1e-3)
    assert card.scores["sample distance"] == pytest.approx(
        curves["sample distance"][card.steps], rel=1e-3
    )
    sheets = sorted((tmp_path / "out" / "previews").iterdir())
    assert [sheet.name for sheet in sheets] == [f"{step:07d}.png" for step in (1, 2, 3)]
    assert all(tell(sheet).synthetic for sheet in sheets)


def test_the_best_by_samples_needs_samples(tmp_path: Path, scans: Callable[..., None]) -> None:
    scans(*(f"p{i}_t1_head" for i in range(3)))
    done = invoke("generate", tmp_path, "corpus.size=16", "train.steps=2", "train.best=frechet")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "train.best is 'frechet', a distance of samples; expected judging.count" in done.stderr


def test_every_best_of_a_generator_is_the_lowest() -> None:
    for best in ("sample distance", "held-out loss"):
        recipe = make_recipe(Recipe, {"train": {"steps": 2, "best": best}})
        assert recipe.train.better == "lower"


def test_one_subject_is_refused_in_one_line(tmp_path: Path, scans: Callable[..., None]) -> None:
    scans("p1_t1_head", "p1_t2_head")
    done = invoke("generate", tmp_path, "scans.subject=^(p[0-9])", "train.steps=2")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "are of one subject, p1: a model would make copies" in done.stderr


def test_a_wrong_setting_is_named(tmp_path: Path, scans: Callable[..., None]) -> None:
    scans("p1_t1_head", "p2_t1_head")
    for setting, said in (
        ("corpus.size=20", "size is 20; expected a multiple of 8"),
        ("channels.labels=2", "labels is 2"),
        ("subbands.whitten=1", "did you mean subbands.whiten?"),
        ("scans.subject=(", "no regular expression"),
    ):
        done = invoke("generate", tmp_path, setting)
        assert done.exit_code == 1
        assert said in done.stderr


@pytest.mark.parametrize("name", ["generate", "generate_volume"])
def test_the_shipped_recipe_is_of_the_shipped_weights(name: str) -> None:
    recipe = read_recipe(Recipe, RECIPES / f"{name}.yaml")
    shipped, _ = load(path_of(name), types=NETWORK_TYPES)
    for stage in ("coarse", "detail"):
        asked, made = asdict(getattr(recipe, stage)), getattr(shipped, stage)
        assert made.schedule.sigma_max == asked.pop("sigma_max")
        assert {key: made.network.config[key] for key in asked} == asked
    levels = (shipped.outer.levels, shipped.inner.levels)
    assert levels == (recipe.subbands.outer, recipe.subbands.inner)
