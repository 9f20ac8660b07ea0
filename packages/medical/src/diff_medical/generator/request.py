"""A request to the generator."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NORMAL", "PLANES", "Choice", "Request"]

NORMAL = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The RAS axis that is normal to a plane."""

PLANES = tuple(sorted(NORMAL))
"""The names of the planes of slices."""


@dataclass(frozen=True)
class Request:
    """One synthetic scan.

    modality: "t1", "t2", "pd", "flair", "ct": what the card of the weights lists
    body:     "head", "knee", "chest"; "" for the commonest of that modality
    plane:    "axial", "coronal" or "sagittal"; "" for the commonest. Of no meaning for volumes
    position: 0 to 1 along the plane's normal, right to left, back to front, bottom to top; None to
              draw it as it is distributed in the training data

    Raises ValueError for a plane of another name or a position outside [0, 1].
    """

    modality: str
    body: str = ""
    plane: str = "axial"
    position: float | None = None

    def __post_init__(self) -> None:
        if self.plane not in (*PLANES, ""):
            raise ValueError(f"plane is {self.plane!r}; expected {', '.join(PLANES)}")
        if self.position is not None and not 0 <= self.position <= 1:
            raise ValueError(f"position is {self.position}; expected 0 to 1, or None")


@dataclass(frozen=True)
class Choice:
    """One kind of scan that a generator was trained on.

    plane:     "" for volumes
    scans:     slices, or volumes, of it in the training data
    subjects:  people they are of
    positions: nine quantiles of their positions, 0 to 1; empty where positions are not known
    view:      field of view, mm, along each axis
    """

    modality: str
    body: str
    plane: str
    scans: int
    subjects: int
    positions: tuple[float, ...]
    view: float
