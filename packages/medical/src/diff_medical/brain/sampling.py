"""The settings of a sampling of brains."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

__all__ = [
    "QUALITIES", "VENTRICLES", "Autoguided", "BrainSampling", "Steps", "check_strength",
]  # fmt: skip

VENTRICLES = {"small": -1.5, "normal": 0.0, "large": 1.5}
"""Words for a size of the ventricles, in deviations of the logarithm of their volume."""


@dataclass(frozen=True)
class Steps:
    """Calls of the network of each stage, from 1."""

    anatomy: int = 24
    lobes: int = 16
    folds: int = 10
    borders: int = 4
    appearance: int = 6

    def __post_init__(self) -> None:
        if min(astuple(self)) < 1:
            raise ValueError(f"steps is {self}; expected at least 1 of each stage")

    def __str__(self) -> str:
        return "+".join(map(str, astuple(self)))


@dataclass(frozen=True)
class Autoguided:
    """Weights of the guidance away from a weak version of each stage, 0 to 10; 1 is none.

    They bring the power of the finest cells back to that of people. A stage without a weak version
    is not guided.
    """

    anatomy: float = 2.0
    lobes: float = 2.5
    folds: float = 1.75

    def __post_init__(self) -> None:
        if not all(0 <= weight <= 10 for weight in astuple(self)):
            raise ValueError(f"autoguided is {self}; expected 0 to 10 of each stage")


QUALITIES = {
    "draft": Steps(12, 8, 5, 2, 3),
    "default": Steps(),
    "best": Steps(48, 32, 20, 8, 12),
}
"""Steps by a word."""


@dataclass(frozen=True)
class BrainSampling:
    """The way brains are drawn.

    steps:       of each stage
    guidance:    weight of classifier-free guidance of the anatomy: 1 none
    autoguided:  weights of the guidance away from weak versions of the stages
    temperature: factor on the starting noise of the anatomy: below 1 more typical
    ventricles:  their size in deviations of the logarithm of their volume, -3 to 3; None draws it
                 as it is distributed over the training people
    strength:    how far relatives of a scan are from it, above 0 to 1 (`stage.Near`)
    seed:        of brain 0; brain i has seed + i

    Raises ValueError for a number out of range.
    """

    steps: Steps = field(default_factory=Steps)
    guidance: float = 1.0
    temperature: float = 1.0
    ventricles: float | None = None
    strength: float = 0.5
    seed: int = 0
    autoguided: Autoguided = field(default_factory=Autoguided)

    def __post_init__(self) -> None:
        if not 0 <= self.guidance <= 10:
            raise ValueError(f"guidance is {self.guidance}; expected 0 to 10")
        if not 0 < self.temperature <= 2:
            raise ValueError(f"temperature is {self.temperature}; expected above 0, at most 2")
        if self.ventricles is not None and not -3 <= self.ventricles <= 3:
            raise ValueError(f"ventricles is {self.ventricles}; expected -3 to 3")
        check_strength(self.strength)
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; expected 0 to 2^63 - 1")


def check_strength(strength: float) -> None:
    """Raise ValueError for a distance of relatives from a scan that is out of range."""
    if not 0 < strength <= 1:
        raise ValueError(f"strength is {strength}; expected above 0, at most 1")
