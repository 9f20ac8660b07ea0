"""What the few-step objectives refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from diff_core import Cosine, Denoiser, FromV, RectifiedFlow, uniform
from diff_core.distil import (
    AdversarialDistillation,
    ConsistencyDistillation,
    ProgressiveDistillation,
    Reflow,
    WithTarget,
    straightness,
)
from students import BATCH, Linear, seeded


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: ConsistencyDistillation(uniform(4, 1.0, 0.1), m), "times ends at 0.1"),
        (lambda m: ConsistencyDistillation(uniform(4).flip(0), m), "decreasing|expected it in"),
        (lambda m: ConsistencyDistillation(uniform(4), m, order=3), "order is 3"),
        (lambda m: ProgressiveDistillation(m, uniform(3)), "3 steps; expected an even"),
        (lambda m: Reflow(t_min=1.0), "t_min is 1.0"),
        (lambda m: AdversarialDistillation(uniform(1), penalty=-1.0), "penalty is -1.0"),
        (lambda m: AdversarialDistillation(uniform(1), teaching=math.nan), "teaching is nan"),
        (lambda m: AdversarialDistillation(uniform(1), t_min=1.0), "t_min is 1.0"),
        (lambda m: WithTarget(m, decay=1.0), "decay is 1.0"),
        (lambda m: straightness(m, BATCH["x_0"], uniform(2, 1.0, 0.5)), "times ends at 0.5"),
        (lambda m: Reflow()(m, BATCH, seeded()), "expected noise"),
        (lambda m: AdversarialDistillation(uniform(1))(m, BATCH, seeded()), "is a FromV"),
        (
            lambda m: ProgressiveDistillation(FromV(Linear(), RectifiedFlow()), uniform(2))(
                m, BATCH, seeded()
            ),
            "expected the teacher's",
        ),
    ],
)
def test_misuse_is_named(make: Callable[[Denoiser], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(FromV(Linear(), Cosine()))
