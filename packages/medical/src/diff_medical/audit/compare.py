"""The memorisation audit of images in memory: `diff_medical.audit` is its command.

Samples are compared with scans of training and with held-out ones by three measures: the distance
of the network's own features, the registered correlation of whole images, and that of their most
alike patches (`diff_medical.audit.screen`). Copies are also sought among turned and zoomed images
(`diff_medical.audit.registered`) and halves (`diff_medical.audit.halves`). What is decided from
them is in `diff_medical.audit.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_medical.audit.halves import halves
from diff_medical.audit.match import BODY, detail
from diff_medical.audit.registered import registered
from diff_medical.audit.screen import PATCH, Likeness, likeness, nearest
from diff_medical.audit.statistics import LEVEL, Nearer, copy_limit, nearer
from diff_medical.image_sets.images import Images, Pools

__all__ = ["Pair", "Settings", "Verdict", "compare"]

Array = NDArray[np.float32]
WORST = 8
LEAST = 8  # held-out scans for a limit


@dataclass(frozen=True)
class Settings:
    """patch: pixels of a patch; draws: of train scans, as many as held-out; seed: of the draws."""

    patch: int = PATCH
    draws: int = 25
    seed: int = 0


@dataclass(frozen=True)
class Pair:
    """A sample and the training scan that it is most like. excess: artanh(ncc) - artanh(limit)."""

    measure: str
    sample: int
    scan: int
    ncc: float
    limit: float
    excess: float


@dataclass(frozen=True)
class Verdict:
    """The findings of an audit.

    nearer:   for each measure, the draw of train scans whose P is the median of all draws
    ranges:   for each measure, least and largest P of the draws
    tested:   kind -> (samples, people of each side), the fewer of train and held-out
    untested: kind -> samples that have no held-out scans of their kind to be compared with
    limits:   for each measure of correlation, what a copy exceeds
    real:     for each, the largest correlations of held-out with train scans
    copies:   for each, the samples that do
    worst:    the pairs that exceed it most, or come nearest to it
    distinct: how many scans are the nearest train scan of some sample, by whole images
    """

    nearer: dict[str, Nearer]
    ranges: dict[str, tuple[float, float]]
    tested: dict[str, tuple[int, int]]
    untested: dict[str, int]
    limits: dict[str, float]
    real: dict[str, tuple[float, ...]]
    copies: dict[str, tuple[int, ...]]
    worst: tuple[Pair, ...]
    distinct: int

    @property
    def copied(self) -> int:
        """The samples that are copies by any measure."""
        return len({index for found in self.copies.values() for index in found})

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the reasons why it fails; empty if it passes."""
        level = LEVEL / max(1, len(self.nearer))
        made = [
            f"samples are nearer to train than to held-out scans by {name}: P = {t.share:.2f} "
            f"(p = {t.probability:.1g})"
            for name, t in self.nearer.items()
            if t.probability < level
        ]
        made += [
            f"{len(found)} copies by {name} (correlation above {self.limits[name]:.3f})"
            for name, found in self.copies.items()
            if found
        ]
        return tuple(made)

    @property
    def passed(self) -> bool:
        return not self.reasons


def compare(
    samples: Images,
    train: Images,
    heldout: Images,
    features: Callable[[Images], Array] | None = None,
    settings: Settings = Settings(),  # noqa: B008
    *,
    progress: Callable[[float], None] | None = None,
) -> Verdict:
    """Audit samples.

    features: (n, D) of n images; None to do without. It is asked for no more train and held-out
              images than the tests draw from

    Raises ValueError for images of different shapes, none, or fewer than LEAST held-out scans.
    """
    if len(heldout) < LEAST:
        raise ValueError(f"heldout has {len(heldout)} images; expected at least {LEAST}")
    shapes = {images.values.shape[1:] for images in (samples, train, heldout)}
    if len(shapes) > 1 or not len(samples) or not len(train):
        raise ValueError(
            f"samples, train and heldout have shapes {samples.values.shape}, "
            f"{train.values.shape} and {heldout.values.shape}; expected images of one size"
        )
    sets = (samples, train, heldout)
    fine = [detail(images.values) for images in sets]
    pools = Pools.of(samples, train, heldout)
    alike: dict[str, tuple[Array, Array]] = {}
    if features is not None and pools.kinds:
        alike["features"] = _feature_likeness(features, samples, train, heldout, pools)
    patches = {"whole images": 0, "patches": settings.patch}
    parts, done = 6, 0
    found: dict[str, tuple[Likeness, Likeness, Likeness]] = {}
    for name, patch in patches.items():
        made: list[Likeness] = []
        for one, others in ((0, 1), (0, 2), (2, 1)):

            def part(share: float, done: int = done) -> None:
                if progress:
                    progress(0.6 * (done + share) / parts)

            body = sets[one].values > BODY
            made.append(likeness(fine[one], fine[others], patch, body=body, progress=part))
            done += 1
        found[name] = (made[0], made[1], made[2])
        alike[name] = made[0].ncc, made[1].ncc
    searched = {
        name: (nearest(fine[0], fine[1], to_train), nearest(fine[2], fine[1], between)[0])
        for name, (to_train, _, between) in found.items()
    }
    searched |= _further(sets, lambda share: progress and progress(0.6 + 0.4 * share))
    limits: dict[str, float] = {}
    real: dict[str, tuple[float, ...]] = {}
    copies: dict[str, tuple[int, ...]] = {}
    pairs: list[Pair] = []
    distinct = 0
    for name, ((ncc, index), control) in searched.items():
        control = control[control > 0]
        if len(control) < LEAST:  # of patches: hardly any lies within the body
            continue
        limit = copy_limit(control, len(samples) * len(searched))
        limits[name] = limit
        real[name] = tuple(round(float(v), 4) for v in np.sort(control)[::-1][:10])
        copies[name] = tuple(int(i) for i in np.flatnonzero(ncc > limit))
        excess = np.arctanh(ncc.clip(-0.9999, 0.9999)) - np.arctanh(limit)
        pairs += [
            Pair(name, i, int(index[i]), float(ncc[i]), limit, float(excess[i]))
            for i in range(len(samples))
        ]
        if name == "whole images":
            distinct = len(set(index.tolist()))
    tests, ranges = _tests(pools, alike, settings)
    if progress:
        progress(1.0)
    return Verdict(
        tests, ranges, pools.sizes(), pools.untested, limits, real, copies,
        tuple(_worst(pairs)), distinct,
    )  # fmt: skip


def _further(
    sets: tuple[Images, Images, Images], progress: Callable[[float], object]
) -> dict[str, tuple[tuple[Array, NDArray[np.int64]], Array]]:
    """Search for copies that were turned and zoomed (of slices), and for halves of scans.

    Returns for each search the likeness of the samples with their most alike train scans, and that
    of the held-out scans with theirs.
    """
    samples, train, heldout = (images.values for images in sets)
    searches = {"turned images": registered} if samples.ndim == 3 else {}
    searches |= {"halves": halves}
    made: dict[str, tuple[tuple[Array, NDArray[np.int64]], Array]] = {}
    for number, (name, search) in enumerate(searches.items()):

        def part(share: float, done: int = number) -> None:
            progress((done + share) / len(searches))

        first = search(samples, train, progress=lambda share: part(share / 2))
        second, _ = search(heldout, train, progress=lambda share: part((1 + share) / 2))
        made[name] = first, second
    return made


def _feature_likeness(
    features: Callable[[Images], Array],
    samples: Images,
    train: Images,
    heldout: Images,
    pools: Pools,
) -> tuple[Array, Array]:
    """Minus the Euclidean distances, each feature in units of its deviation over the scans.

    -inf for scans that no test draws.
    """
    from scipy.spatial.distance import cdist

    picked = pools.picked()
    one = features(samples).astype(np.float64)
    first, second = (
        features(images.part(side)).astype(np.float64)
        for images, side in zip((train, heldout), picked, strict=True)
    )
    scans = np.concatenate([first, second])
    deviation = scans.std(0)
    kept = deviation > 1e-6 * max(float(deviation.max()), 1e-12)
    made: list[Array] = []
    for found, images, side in zip((first, second), (train, heldout), picked, strict=True):
        likeness = np.full((len(samples), len(images)), -np.inf, np.float32)
        likeness[:, side] = -cdist(*(x[:, kept] / deviation[kept] for x in (one, found)))
        made.append(likeness)
    return made[0], made[1]


def _worst(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """The worst pair of each of the worst samples."""
    seen: set[int] = set()
    for pair in sorted(pairs, key=lambda pair: -pair.excess):
        if pair.sample not in seen and len(seen) < WORST:
            seen.add(pair.sample)
            yield pair


def _tests(
    pools: Pools, alike: dict[str, tuple[Array, Array]], settings: Settings
) -> tuple[dict[str, Nearer], dict[str, tuple[float, float]]]:
    """Return the draw with the median share for each measure, and the range of the shares."""
    rng = np.random.default_rng(settings.seed)
    results: dict[str, list[Nearer]] = {name: [] for name in alike}
    for number in range(settings.draws if pools.kinds else 0):
        draws = [kind.draw(rng) for kind in pools.kinds.values()]
        for name, (to_train, to_heldout) in alike.items():
            votes, labels = zip(*(d.votes(to_train, to_heldout) for d in draws), strict=True)
            results[name].append(nearer(votes, labels, tests=len(alike), seed=number))
    median: dict[str, Nearer] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for name, found in results.items():
        if found:
            ordered = sorted(found, key=lambda t: (t.share, -t.probability))
            median[name] = ordered[len(ordered) // 2]
            ranges[name] = ordered[0].share, ordered[-1].share
    return median, ranges
