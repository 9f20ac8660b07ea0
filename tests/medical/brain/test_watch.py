"""Samples of a stage measured against held-out people, on heads of ellipsoids."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from diff_core.evaluate import energy_distance
from diff_core.train.recipe import make_recipe
from diff_medical.brain.model import STAGES
from diff_medical.brain.people import People
from diff_medical.brain.training.job import Recipe
from diff_medical.brain.training.statistics import fit
from diff_medical.brain.training.watch import Describe, apart, brain_watch
from diff_medical.generator.training.judge import Judging
from diff_medical.image_sets.brain_features import brain_features
from tiny_brain import people, stage

JUDGING = Judging(4, 2)


def watched(name: str, held: People, describe: Describe | None) -> Mapping[str, float]:
    model, known = stage(name), people(4)
    fit(model, known)
    watch = brain_watch(model, known, held, JUDGING, describe)
    assert watch is not None and watch.names == ("sample distance", "frechet")
    numbers = watch.look(model, 4).numbers
    assert numbers == watch.look(model, 8).numbers  # the seeds are the same
    return numbers


def levels(scan: np.ndarray, labels: np.ndarray, voxel: float) -> dict[str, float]:
    """Features that every label map has, also the noise of a network that has not been trained."""
    found = {f"share {k}": float((labels == k).mean()) for k in range(1, 6)}
    return found | {"grey": float(scan[labels == 3].mean()), "voxel": voxel}


@pytest.mark.parametrize("name", list(STAGES))
def test_every_stage_is_measured(name: str) -> None:
    numbers = watched(name, people(3, 10), levels if name == "borders" else None)
    assert set(numbers) == {"sample distance", "frechet"}
    assert numbers["frechet"] > 0


def test_people_who_differ_are_farther_from_what_a_stage_makes() -> None:
    """Scans drawn for the label maps of people, once with their own scans and once with others."""
    held = people(4, 10)
    images = torch.where(held.labels > 0, 3 * (1.5 - held.images), 0)
    other = replace(held, images=images.half())
    near, far = (watched("appearance", one, brain_features) for one in (held, other))
    assert all(far[name] > 1.2 * near[name] for name in near)


def test_samples_made_for_people_are_0_from_them_on_average() -> None:
    """Person and sample have most in common, which the plain distance takes for likeness."""
    found = []
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        common = torch.randn(5, 3, generator=generator)
        y = common + 0.3 * torch.randn(5, 3, generator=generator)
        x = common.repeat(2, 1) + 0.3 * torch.randn(10, 3, generator=generator)
        found.append((apart(x, y), energy_distance(x, y)))
    mean, error = np.mean(found, 0), np.std(found, 0) / 200**0.5
    assert abs(mean[0]) < 3 * error[0]
    assert mean[1] < -10 * error[1]
    x, y = torch.tensor([[0.0], [3.0]]), torch.tensor([[1.0], [7.0]])
    # across |0 - 7| and |3 - 1|, within 3 and 6
    assert apart(x, y) == pytest.approx(9 - 3 - 6)
    assert apart(torch.cat([x, x + 1]), y) == pytest.approx(2 * (7 + 2 + 6 + 3) / 4 - 3 - 6)


def test_what_has_no_features_has_no_distance() -> None:
    def describe(scan: np.ndarray, labels: np.ndarray, voxel: float) -> dict[str, float]:
        if not any(np.array_equal(labels, one) for one in real):
            raise ValueError("no brain")
        return {"volume": float((labels > 0).sum()), "voxel": voxel}

    real = [one.numpy() for one in (*people(4).labels, *people(3, 10).labels)]
    numbers = watched("borders", people(3, 10), describe)
    assert all(map(math.isnan, numbers.values()))


def test_nobody_is_watched_without_samples_or_two_people() -> None:
    model, known = stage("lobes"), people(3)
    assert brain_watch(model, known, people(3, 10), Judging()) is None
    assert brain_watch(model, known, people(1, 10), JUDGING) is None


def test_best_is_the_lowest_of_losses_and_distances() -> None:
    def better(best: str) -> str:
        return make_recipe(Recipe, {"train": {"steps": 2, "best": best}}).train.better

    assert [better(n) for n in ("frechet", "held-out loss", "error")] == ["lower"] * 3
    assert better("right") == "higher"
