"""Training the stages through the command, on heads of ellipsoids."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from diff_core.io import load, read_card
from diff_core.train.curves import read_curves
from diff_core.train.recipe import make_recipe, read_recipe
from diff_medical.brain.fractions import fractions
from diff_medical.brain.model import NETWORK_TYPES, STAGES, BrainGenerator
from diff_medical.brain.training.augment import Augmentation, joined
from diff_medical.brain.training.job import Recipe
from diff_medical.brain.training.samples import Crops, CropSamples, HeadSamples, collate
from diff_medical.marks.told import tell
from diff_medical.train import RECIPES, app
from tiny_brain import GRID, people, stage, write_people

SMALL = [
    "network.channels=[8,8]", "network.blocks=1", "network.attention=[]", "network.embedding=8",
    "crops.side=4", "crops.wide=0.5", "train.batch_size=8", "train.warmup=1", "train.ema=0.5",
    "train.precision=float32", "train.learning_rate=0.01", "preview.steps=2", "preview.heads=1",
    "train.checkpoint_every=1", "train.validate_every=4",
]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people") / "prepared")


def invoke(name: str, data: Path, out: Path, *settings: str) -> Result:
    options = ["--data", str(data), "--out", str(out), "--device", "cpu"]
    # the anatomy has two cells here, of which a second level would leave one
    one_level = ["network.channels=[8]"] if name == "anatomy" else []
    given = [*options, *SMALL, *one_level, *settings]
    return CliRunner().invoke(app, [f"brain-{name}", *given])


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """trained(name) is the folder of a stage of four steps, trained once."""
    out = tmp_path_factory.mktemp("trained")

    def train(name: str) -> Path:
        if not (out / name).exists():
            done = invoke(name, prepared, out / name, "train.steps=4", "train.schedule=constant")
            assert done.exit_code == 0, done.stderr
            assert f"{name}: 3 people, 1 held out, voxels of 8 mm" in done.stdout
        return out / name

    return train


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STAGES))
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    name: str, prepared: Path, trained: Callable[[str], Path], tmp_path: Path
) -> None:
    # a constant rate, so that the first run does not know how long the second is
    for steps, more in (("2", []), ("4", ["--resume"])):
        done = invoke(name, prepared, tmp_path, f"train.steps={steps}",
                      "train.schedule=constant", *more)  # fmt: skip
        assert done.exit_code == 0, done.stderr
    path = trained(name) / f"brain-{name}.safetensors"
    whole, halves = load_file(path), load_file(tmp_path / path.name)
    assert whole.keys() == halves.keys()
    assert all(torch.equal(value, halves[key]) for key, value in whole.items())

    model, card = load(path, types=NETWORK_TYPES)
    assert isinstance(model, STAGES[name]) and model.grid == GRID
    assert make_recipe(Recipe, card.recipe).stage == name
    assert card.data == ("p0", "p1", "p2") and card.licences == ("CC0",) * 3
    assert {"held-out loss", "training loss"} < set(card.scores)
    sheet = path.parent / "previews" / "0000004.png"
    assert tell(sheet).synthetic
    assert sheet.read_bytes() == (tmp_path / "previews" / "0000004.png").read_bytes()


@pytest.mark.slow
def test_trained_stages_are_a_generator(trained: Callable[[str], Path]) -> None:
    (folder,) = {trained(name).parent for name in STAGES}
    generator = BrainGenerator.from_pretrained(folder, device="cpu")
    assert generator.stages == tuple(STAGES) and generator.card.signal["subjects"] == 3
    first = read_card(folder / "anatomy" / "brain-anatomy.safetensors")
    assert generator.card == first


@pytest.mark.slow
def test_the_best_anatomy_is_chosen_by_its_samples(tmp_path: Path) -> None:
    data = write_people(tmp_path / "prepared", train=3, val=2)
    settings = ["train.steps=3", "train.validate_every=1", "train.best=frechet", "preview.heads=2"]
    done = invoke("anatomy", data, tmp_path / "out", *settings)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "train.best is 'frechet', a distance of samples; expected judging.count" in done.stderr
    done = invoke("anatomy", data, tmp_path / "out", *settings, "judging.count=4",
                  "judging.steps=2")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    curves = read_curves(tmp_path / "out" / "log.jsonl")
    card = read_card(tmp_path / "out" / "brain-anatomy.safetensors")
    assert card.steps == min(curves["frechet"], key=curves["frechet"].__getitem__)
    assert card.scores["frechet"] == pytest.approx(curves["frechet"][card.steps], rel=1e-3)
    assert sorted(curves["sample distance"]) == sorted(curves["nearest"]) == [1, 2, 3]


@pytest.mark.slow
def test_borders_learn_what_the_cells_say(prepared: Path, tmp_path: Path) -> None:
    losses = []
    for steps in (1, 50):
        done = invoke("borders", prepared, tmp_path / str(steps), f"train.steps={steps}",
                      "preview.steps=0", "train.validate_every=50", "crops.wide=0",
                      "train.checkpoint_every=50", "train.learning_rate=0.02")  # fmt: skip
        assert done.exit_code == 0, done.stderr
        card = read_card(tmp_path / str(steps) / "brain-borders.safetensors")
        losses.append(card.scores["held-out loss"])  # of the same items
    assert losses[1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", list(STAGES))
def test_the_recipe_that_comes_along_is_of_its_stage(name: str) -> None:
    recipe = read_recipe(Recipe, RECIPES / f"brain_{name}.yaml")
    assert recipe.stage == name
    assert recipe.train.optimizer == "muon" and not recipe.network.magnitude_preserving


def samples(name: str, **given: object) -> CropSamples:
    crops = Crops(4, given.pop("wide", 0.0), 0.1)  # type: ignore[arg-type]
    return CropSamples(stage(name), people(3), Augmentation(), crops, 16, seed=1)


@pytest.mark.parametrize("name", ["folds", "borders", "appearance"])
def test_an_item_is_a_function_of_its_number(name: str) -> None:
    one, other = samples(name), samples(name)
    for index in (0, 5, 40):
        again = other[index]
        assert all(torch.equal(value, again[key]) for key, value in one[index].items())
    assert not torch.equal(one[0]["x_0"], one[5]["x_0"])
    assert one.name(3) in ("p0", "p1", "p2")


def test_batches_of_large_crops_are_an_eighth_as_many() -> None:
    wide = samples("borders", wide=0.5)
    shapes = set()
    for step in range(8):
        batch = collate([wide[16 * step + i] for i in range(16)])
        shapes.add(tuple(batch["x_0"].shape))
    assert shapes == {(16, 8, 8, 8), (2, 16, 16, 16)}
    with pytest.raises(ValueError, match="a part of a batch of large crops is empty"):
        collate([{}, {}])


def test_borders_items_hold_labels_and_the_fractions_of_their_cells() -> None:
    item = samples("borders")[3]
    shares = item["channels"][:5] * 0.35 + 0.2
    cells = torch.stack([(item["x_0"] == k).float() for k in range(1, 6)])
    exact = torch.nn.functional.avg_pool3d(cells[None], 2)[0]
    assert (shares - exact).std().item() == pytest.approx(0.06, rel=0.2)


def test_words_are_dropped_in_their_share() -> None:
    made = HeadSamples(stage("anatomy"), people(3), Augmentation(), 0.25, 0)
    gone = sum(not made[i]["vector"].any() for i in range(200))
    assert 30 <= gone <= 70  # 50 in the mean, 6 deviation


def test_items_of_lobes_hold_the_detail_of_their_cells() -> None:
    lobes = stage("lobes")
    made = HeadSamples(lobes, people(3), Augmentation(bent=0, joined=0), 0, 0)
    item, again = made[3], made[3]
    assert all(torch.equal(value, again[key]) for key, value in item.items())
    who = people(3).labels[int(made.name(3)[1:])]
    own = fractions(torch.stack([who, who.flip(0)]), 4)
    coarse, x_0 = lobes.encode(own)
    nearest = (x_0 - item["x_0"]).abs().amax((1, 2, 3, 4))
    assert nearest.min() < 0.01  # half precision
    shares = item["channels"][:5] * 0.35 + 0.2 - coarse[nearest.argmin()]
    assert shares.std().item() == pytest.approx(0.04, rel=0.2)  # what is added


def test_halves_of_two_people_meet_in_the_middle() -> None:
    left, right = torch.zeros(1, 5, 16, 4, 4), torch.ones(1, 5, 16, 4, 4)
    both = joined(left, right)
    assert both[0, 0, 0].max() < 0.01 and both[0, 0, -1].min() > 0.99
    torch.testing.assert_close(both + both.flip(2), torch.ones_like(both))


def test_bad_data_is_one_line(prepared: Path, tmp_path: Path) -> None:
    import shutil

    import nibabel as nib
    import numpy as np

    def copied(name: str) -> Path:
        return Path(shutil.copytree(prepared, tmp_path / name))

    rows = [json.loads(line) for line in (prepared / "manifest.jsonl").read_text().splitlines()]
    alone = copied("alone")
    (alone / "manifest.jsonl").write_text(json.dumps(rows[0]) + "\n")
    bare = copied("bare")
    del rows[1]["labels"]
    (bare / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    other, wrong = copied("other"), copied("wrong")
    nib.Nifti1Image(np.ones((8, 8, 8), np.uint8), np.eye(4)).to_filename(other / "p0_dseg.nii.gz")
    values = np.full(GRID.shape, 9, np.uint8)
    nib.Nifti1Image(values, GRID.in_head()).to_filename(wrong / "p0_dseg.nii.gz")
    damaged = copied("damaged")
    (damaged / "grid.json").write_text('{"shape": 3}')
    for data, says in (
        (tmp_path / "none", "holds no prepared people (grid.json is missing)"),
        (alone, "holds 1 people to train on; expected at least 2"),
        (bare, "line 2: labels is missing"),
        (other, "p0_dseg.nii.gz: has shape (8, 8, 8); expected (16, 32, 16)"),
        (wrong, "p0_dseg.nii.gz: labels holds 9; expected whole numbers from 0 to 5"),
        (damaged, "grid.json: is no grid"),
    ):
        done = invoke("anatomy", data, tmp_path / "out", "train.steps=1")
        assert done.exit_code == 1
        assert says in done.stderr and done.stderr.count("\n") == 1, done.stderr
