"""Generators made to copy, and one that does not: what the audit says of each."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diff_medical.audit.compare import Settings, Verdict, compare
from diff_medical.generator.data.corpus import Entry
from diff_medical.generator.request import Request
from diff_medical.image_sets.images import Images, Pools

SETTINGS = Settings(patch=16, draws=3)
TRAIN, HELDOUT, SAMPLES = range(3)


def anatomy(count: int, seed: int, shape: tuple[int, ...] = (40, 40)) -> np.ndarray:
    """Pictures of one distribution: a common part, and as much of their own."""

    def smooth(rng: np.random.Generator, n: int) -> np.ndarray:
        found = gaussian_filter(rng.standard_normal((n, *shape)), (0.0, *(2.0,) * len(shape)))
        return found / found.std()

    own, common = smooth(np.random.default_rng(seed), count), smooth(np.random.default_rng(99), 1)
    return (0.5 + 0.15 * (own + 0.7 * common)).astype(np.float32)


def images(values: np.ndarray, name: str, body: str = "head", each: int = 1) -> Images:
    plane = "axial" if values.ndim == 3 else ""
    entries = (
        Entry(Request("t1", body, plane), f"{name}{i // each}", f"{name}{i}", name, 240.0)
        for i in range(len(values))
    )
    return Images(values.astype(np.float32), tuple(entries))


def judged(samples: np.ndarray, train: np.ndarray) -> Verdict:
    shape = train.shape[1:]
    heldout = anatomy(24, HELDOUT, shape)
    return compare(
        images(samples, "sample"), images(train, "train"), images(heldout, "held"),
        lambda part: part.values.reshape(len(part), -1)[:, ::7], SETTINGS,
    )  # fmt: skip


def altered(train: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(5)
    moved = np.roll(train, (2, -3), (1, 2))[:, ::-1]
    return 0.8 * moved + 0.1 + 0.02 * rng.standard_normal(train.shape)


def patched(train: np.ndarray) -> np.ndarray:
    made = anatomy(len(train), SAMPLES)
    made[:, 6:34, 8:36] = train[:, 6:34, 8:36]
    return made


@pytest.mark.parametrize("copier", [np.copy, altered, patched])
def test_generators_that_copy_fail(copier: Callable[[np.ndarray], np.ndarray]) -> None:
    train = anatomy(24, TRAIN)
    found = judged(copier(train)[:20], train)
    assert not found.passed
    assert len(found.copies["patches"]) >= 19
    if copier is not patched:
        assert len(found.copies["whole images"]) == 20
        assert all(pair.sample == pair.scan for pair in found.worst)
        assert found.nearer["whole images"].k == 20
        assert found.distinct == 20
    assert len(found.worst) == 8
    assert any("copies by patches" in reason for reason in found.reasons)


def test_one_copy_among_fresh_samples_fails() -> None:
    train, samples = anatomy(24, TRAIN), anatomy(20, SAMPLES)
    samples[7] = np.roll(train[3], 2, 1)
    found = judged(samples, train)
    assert found.copies["whole images"] == (7,)
    assert found.reasons == tuple(r for r in found.reasons if "copies" in r)
    assert (found.worst[0].sample, found.worst[0].scan) == (7, 3)


def test_fresh_samples_pass() -> None:
    found = judged(anatomy(20, SAMPLES), anatomy(24, TRAIN))
    assert found.passed, found.reasons
    assert found.copied == 0
    assert set(found.nearer) == {"features", "whole images", "patches"}
    assert found.tested == {"t1 head axial": (20, 24)}


@pytest.mark.slow
def test_volumes_that_are_copies_fail() -> None:
    shape = (20, 20, 20)
    train = anatomy(24, TRAIN, shape)
    assert not judged(np.roll(train[:8], 2, 3), train).passed
    assert judged(anatomy(8, SAMPLES, shape), train).copied == 0


def test_both_sides_are_cut_to_as_many_people_and_scans_of_each() -> None:
    train = images(anatomy(30, TRAIN), "train", each=5)
    heldout = images(anatomy(6, HELDOUT), "held", each=3)
    pools = Pools.of(images(anatomy(4, SAMPLES), "sample"), train, heldout)
    draw = pools.kinds["t1 head axial"].draw(np.random.default_rng(0))
    assert draw.train.shape == draw.heldout.shape == (2, 3)
    assert len({train.entries[i].subject for i in draw.train[0].tolist()}) == 1
    assert pools.sizes() == {"t1 head axial": (4, 2)}


def test_kinds_that_nobody_holds_out_are_told_and_only_searched_for_copies() -> None:
    train = anatomy(24, TRAIN)
    both = np.concatenate([train[:12], anatomy(8, SAMPLES)])
    samples = images(both, "sample", body="knee")
    found = compare(
        samples, images(train, "train"), images(anatomy(24, HELDOUT), "held"), None, SETTINGS
    )
    assert found.untested == {"t1 knee axial": 20}
    assert not found.nearer
    assert len(found.copies["whole images"]) == 12
    assert not found.passed


def test_images_of_different_sizes_are_refused() -> None:
    train = images(anatomy(24, TRAIN), "train")
    with pytest.raises(ValueError, match="expected images of one size"):
        compare(images(anatomy(9, SAMPLES, (32, 32)), "sample"), train, train)
