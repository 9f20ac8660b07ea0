"""The settings of the denoiser: passes, views, samples, and the share of the input that stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MAX_STEPS", "MAX_VIEWS", "QUALITIES", "Quality", "Settings", "step_times"]

Quality = Literal["draft", "default", "best"]
"""The amount of work to put into a recording."""

QUALITIES: dict[Quality, dict[str, Any]] = {
    "draft": {"draft": True},
    "default": {},
    "best": {"views": 4},
}
"""The fields of `Settings` that each quality sets."""

MAX_STEPS, MAX_VIEWS = 64, 64


def step_times(steps: int) -> Tensor:
    """Return the times of `steps` passes, (steps + 1,), from 1 to 0 and denser near 0.

    t_i = (1 - i / steps)^1.7. Raises ValueError unless steps is 1 to 64.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {steps}")
    import torch  # not above: the command reads `Quality` from here

    return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64) ** 1.7


@dataclass(frozen=True)
class Settings:
    """The settings of the denoiser.

    steps:    network passes, 1 to 64; 1 is the posterior mean, an ordinary enhancer
    samples:  posterior samples to average; more than 1 needs steps of 2 or more
    seed:     the seed of the samples' noise
    limit_db: the most to remove, dB >= 0; None sets no limit
    mix:      share of the result in the output, 0 to 1; the rest is the input
    room:     share of the input that stays in a recording made in a room that echoes, 0 to 1: the
              network removes late reverberation, and words with it. Elsewhere it has no effect
    views:    estimates to average, 1 to 64, on frame grids in between; more than 1 needs 1 sample
    draft:    compute the network in bfloat16 where the processor is fast at it: less time, and a
              result that differs by about -58 dB
    linked:   one level and one mask for all channels, so that no sound moves between them; else
              each channel has its own, as for microphones that hear different things
    """

    steps: int = 1
    samples: int = 1
    seed: int = 0
    limit_db: float | None = None
    mix: float = 1.0
    room: float = 0.4
    views: int = 1
    draft: bool = False
    linked: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {self.steps}")
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")
        if self.samples > 1 and self.steps == 1:
            raise ValueError(
                f"samples is {self.samples}; above 1 it needs steps of 2 or more: "
                "a single pass is not random"
            )
        if not 1 <= self.views <= MAX_VIEWS:
            raise ValueError(f"views must be 1 to {MAX_VIEWS}, got {self.views}")
        if self.views > 1 and self.samples > 1:
            raise ValueError(f"views is {self.views}; above 1 needs 1 sample, got {self.samples}")
        if self.limit_db is not None and not self.limit_db >= 0:
            raise ValueError(f"limit_db must be a number of dB, 0 or more, got {self.limit_db}")
        if not 0 <= self.mix <= 1:
            raise ValueError(f"mix must be a share, 0 to 1, got {self.mix}")
        if not 0 <= self.room <= 1:
            raise ValueError(f"room must be a share, 0 to 1, got {self.room}")

    @classmethod
    def of(cls, quality: str, **others: Any) -> Settings:
        """Return the settings of a quality, "draft", "default" or "best", and others beside them.

        Raises ValueError for another name, and for samples with "best".
        """
        if quality not in QUALITIES:
            raise ValueError(f"quality must be {', '.join(QUALITIES)}, got {quality!r}")
        if QUALITIES[quality].get("views", 1) > 1 and others.get("samples", 1) > 1:
            raise ValueError(
                f"quality is {quality!r}; it and `samples` above 1 exclude each other"
            )
        return cls(**{**QUALITIES[quality], **others})

    @property
    def calls(self) -> int:
        """Return the number of calls of the network."""
        return self.steps * self.samples * self.views

    @property
    def dry(self) -> float:
        """Return the share of the input in the output, 0 to 1, outside of rooms."""
        floor = 0.0 if self.limit_db is None else 10.0 ** (-self.limit_db / 20.0)
        return 1.0 - self.mix * (1.0 - floor)
