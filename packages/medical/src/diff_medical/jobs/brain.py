"""Synthetic brains in files: scans with or without their label maps, from seeds or label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.files import refuse_existing, replacing, write_json
from diff_medical.jobs.generate import Plan, write
from diff_medical.marks.mark import Mark
from diff_medical.scan.bids import sidecar_path
from diff_medical.scan.names import labels_beside

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diff_medical.brain.model import Brain, BrainGenerator
    from diff_medical.brain.sampling import BrainSampling
    from diff_medical.brain.source import Source
    from diff_medical.generator.model import Made

__all__ = ["BrainPlan", "Drawn", "make_brains", "mark_of_brain", "write_labels_beside"]


Drawn = Iterator[tuple[Path, "Made", Mark, Mapping[str, float]]]
"""Scans that are written: the file, the scan, its mark, and the processor seconds by stage."""


@dataclass(frozen=True)
class BrainPlan(Plan):
    """The brains to make, and their files.

    sampling:    brain i has the seed sampling.seed + i
    with_labels: write the label map of each scan beside it
    labels:      (X, Y, Z) uint8 that all scans follow, and their `affine`; None draws them
    source:      a brain of which all are relatives
    """

    sampling: BrainSampling  # type: ignore[assignment]
    labels: NDArray[np.uint8] | None = None  # type: ignore[assignment]
    affine: NDArray[np.float64] | None = None
    with_labels: bool = False
    source: Source | None = None

    def refuse_existing(self, picture: Path, *, overwrite: bool) -> None:
        """Raise FileExistsError for an output that is there, as `Plan` does; label maps too."""
        super().refuse_existing(picture, overwrite=overwrite)
        for target in self.targets() if self.with_labels else ():
            beside = labels_beside(target)
            refuse_existing(beside, sidecar_path(beside), overwrite=overwrite)


def make_brains(
    generator: BrainGenerator, plan: BrainPlan, progress: Callable[[float], None] | None = None
) -> Drawn:
    """Make and write the brains one by one; yield each with its file when it is written.

    The label map and its sidecar are there before the scan. progress: called with the number of
    brains that are done, and shares of them.
    """
    for number, (path, seed) in enumerate(zip(plan.targets(), plan.seeds, strict=True)):

        def share(done: float, number: int = number) -> None:
            if progress:
                progress(number + done)

        brain = generator(
            seed, plan.sampling,
            labels=plan.labels, affine=plan.affine, source=plan.source, progress=share,
        )  # fmt: skip
        mark = mark_of_brain(generator, brain, plan)
        if plan.with_labels:
            write_labels_beside(labels_beside(path), brain.labels, brain.scan.affine, mark)
        write(path, brain.scan, mark)
        yield path, brain.scan, mark, brain.seconds


def mark_of_brain(generator: BrainGenerator, brain: Brain, plan: BrainPlan) -> Mark:
    """The mark of a brain: of the scan and of its label map alike."""
    asked, sampling = brain.scan.request, plan.sampling
    conditions: dict[str, Any] = {"modality": asked.modality, "body": asked.body}
    if not brain.drawn:
        conditions["labels"] = "given"
    elif sampling.ventricles is not None:
        conditions["ventricles"] = sampling.ventricles
    if plan.source is not None:
        conditions |= {"relative of": plan.source.name, "strength": sampling.strength}
    drawn = {
        "steps": str(sampling.steps),
        "guidance": sampling.guidance,
        "temperature": sampling.temperature,
    }
    return Mark(generator.fingerprint, brain.scan.seed, generator.card.name, conditions, drawn)


def write_labels_beside(
    path: Path, labels: NDArray[np.uint8], affine: NDArray[np.float64], mark: Mark
) -> None:
    """Write a label map (X, Y, Z) and its sidecar, which is there first; each whole or absent."""
    from diff_medical.brain.grid import CLASSES
    from diff_medical.brain.maps import write_labels

    names = {str(number): name for number, name in enumerate(CLASSES)}
    write_json(sidecar_path(path), {**mark.record(), "Labels": names})
    with replacing(path) as partial:
        write_labels(partial, labels, affine, mark)
