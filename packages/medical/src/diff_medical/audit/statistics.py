r"""Are samples nearer to the scans of training than to others? And is one of them a copy?

**Nearer.** Let train scans and held-out scans be as many, of as many people. For a generator that
has learned what scans look like, and not these scans, both kinds are alike, and a sample's nearest
scan is a train scan as often as not: P = 1/2. A generator that remembers has P > 1/2. (R. Webster
et al., "Detecting overfitting of deep generative networks via latent recovery", 2019, set train
beside held-out images in the same way.) Of n samples of which k are nearer to train, the interval
of P is exact (C. Clopper and E. Pearson, "The use of confidence or fiducial limits illustrated in
the case of the binomial", 1934), and so is the one-sided probability P(K >= k | n, 1/2).

The binomial takes the scans as given. With few of them, some are near to many samples by chance,
and which of those are train scans is chance too. So the people are exchanged: with the labels
"train" and "held-out" dealt anew to the people of each kind of scan, how often do as many samples
come out nearer to "train"? Where nothing was remembered every deal is as likely (E. Edgington,
"Randomization tests", 1980). Both probabilities must be low, unless there are too few people for
the second ever to be low: then the first decides alone.

**Copies.** For each held-out scan, the correlation with its most alike train scan says how alike
scans of different people are. The largest of many correlations follows, as z = artanh(ncc), nearly
Gumbel's law (E. Gumbel, "Statistics of extremes", 1958), here fitted by its quartiles, so that a
few doubles among the scans do not matter:

    z_q = median + scale (ln ln 2 - ln(-ln q)) ,  scale = (Q_3 - Q_1) / ln(ln 4 / ln(4/3)) .

What exceeds z_q at q = 99.9 % is a copy; of more than ten samples at the higher q that only one
set in a hundred without copies exceeds anywhere: 1 - 0.01 / samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVEL", "Nearer", "copy_limit", "exchange", "nearer"]

Array = NDArray[np.floating]

LEVEL = 0.01
"""The level of significance."""
DEALS = 4_999
COPY_QUANTILE = 0.999


@dataclass(frozen=True)
class Nearer:
    """The test of whether samples are nearer to train than to held-out scans.

    share:     k / n
    low, high: the 95 % interval of P
    chance:    P(K >= k | n, 1/2)
    exchanged: probability of as much under exchange of people, never below 1 / (DEALS + 1);
               1 where the votes all go to people who cannot tell it (see `decisive`)
    decisive:  whether there are people enough for `exchanged` to be below `LEVEL`
    """

    k: int
    n: int
    share: float
    low: float
    high: float
    chance: float
    exchanged: float
    decisive: bool

    @property
    def probability(self) -> float:
        """The probability that fresh samples would come out like this: the larger of both, if both
        can tell.
        """
        return max(self.chance, self.exchanged) if self.decisive else self.chance


def exchange(
    votes: Sequence[NDArray[np.int64]], trained: Sequence[NDArray[np.bool_]], seed: int = 0
) -> tuple[float, float]:
    """Return the probability of as many votes for trained people, and the least that it could be.

    votes:   for each kind of scan, (G,) the samples whose nearest scan is of that person
    trained: for each kind, (G,) whether the person is one of training; as many as not

    The least is what it would be if all votes were for trained people, as many as voted.
    """
    rng = np.random.default_rng(seed)
    totals = np.zeros(DEALS, np.int64)
    seen, least = 0, 1.0
    for counts, labels in zip(votes, trained, strict=True):
        seen += int(counts[labels].sum())
        size, chosen, voted = len(labels), int(labels.sum()), int((counts > 0).sum())
        order = rng.random((DEALS, size)).argsort(1)[:, :chosen]
        totals += counts[order].sum(1)
        fits = math.comb(size - voted, chosen - voted) if voted <= chosen else 1
        least *= fits / math.comb(size, chosen)
    return float((1 + (totals >= seen).sum()) / (DEALS + 1)), least


def nearer(
    votes: Sequence[NDArray[np.int64]],
    trained: Sequence[NDArray[np.bool_]],
    *,
    tests: int = 1,
    seed: int = 0,
) -> Nearer:
    """The test, of votes as for `exchange`; `tests` is how many such tests share `LEVEL`."""
    from scipy.stats import binomtest

    n = int(sum(v.sum() for v in votes))
    k = int(sum(v[t].sum() for v, t in zip(votes, trained, strict=True)))
    if n == 0:
        raise ValueError("votes is empty; expected at least one")
    both = binomtest(k, n).proportion_ci(0.95, "exact")
    exchanged, least = exchange(votes, trained, seed)
    return Nearer(
        k, n, k / n, float(both.low), float(both.high),
        chance=float(binomtest(k, n, 0.5, "greater").pvalue),
        exchanged=exchanged,
        decisive=max(least, 1 / (DEALS + 1)) < LEVEL / tests,
    )  # fmt: skip


def copy_limit(real: Array, samples: int) -> float:
    """The correlation above which a sample is a copy.

    real:    (n,) largest correlation of each held-out scan with a train scan
    samples: how many samples are judged, times the number of searches that judge them

    Raises ValueError for fewer than 8 scans.
    """
    if len(real) < 8:
        raise ValueError(f"real has {len(real)} values; expected at least 8")
    z = np.arctanh(np.clip(real.astype(np.float64), -0.999999, 0.999999))
    q = max(COPY_QUANTILE, 1 - LEVEL / max(samples, 1))
    low, median, high = np.quantile(z, [0.25, 0.5, 0.75])
    scale = (high - low) / math.log(math.log(4) / math.log(4 / 3))
    return math.tanh(float(median + scale * (math.log(math.log(2)) - math.log(-math.log(q)))))
