"""Slices of synthetic brains in files, with or without their label maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diff_medical.jobs.brain import BrainPlan, Drawn, mark_of_brain, write_labels_beside
from diff_medical.jobs.generate import write
from diff_medical.scan.names import labels_beside

if TYPE_CHECKING:
    from diff_medical.brain.model import BrainGenerator
    from diff_medical.marks.mark import Mark

__all__ = ["SlicePlan", "make_slices"]


@dataclass(frozen=True)
class SlicePlan(BrainPlan):
    """The slices to make, and their files.

    per_brain: slices of each brain; slice i is of the brain of seed sampling.seed + i // per_brain
    """

    per_brain: int = 1

    @property
    def seeds(self) -> list[int]:  # type: ignore[override]
        """The seeds of the slices: of several of one brain it is the same."""
        return [self.sampling.seed + i // self.per_brain for i in range(len(self.requests))]

    def targets(self) -> list[Path]:
        """Return the files, as in t1_brain_axial_000012_desc-synthetic.nii.gz; of several slices
        of one brain as in t1_brain_axial_000012-2_desc-synthetic.nii.gz.
        """
        found = super().targets()
        if self.per_brain == 1:
            return found
        return [
            path.with_name(path.name.replace(f"_{seed:06d}", f"_{seed:06d}-{self.number(i) + 1}"))
            for i, (path, seed) in enumerate(zip(found, self.seeds, strict=True))
        ]

    def number(self, index: int) -> int:
        """Return the number of a slice within its brain, from 0."""
        return index % self.per_brain


def make_slices(
    generator: BrainGenerator, plan: SlicePlan, progress: Callable[[float], None] | None = None
) -> Drawn:
    """Make the brains one by one, and write the slices; yield each with its file when it is
    written. The first slice of a brain has the seconds of the brain.

    The label map and its sidecar are there before the scan. progress: called with the number of
    slices that are done, and shares of them.
    """
    from diff_medical.brain.slices import cut, drawn_position, voxel

    targets, brain = plan.targets(), None
    for index, (path, request) in enumerate(zip(targets, plan.requests, strict=True)):
        if plan.number(index) == 0:

            def share(done: float, first: int = index) -> None:
                if progress:
                    progress(first + done * min(plan.per_brain, len(targets) - first))

            brain = generator(
                plan.seeds[index], plan.sampling,
                labels=plan.labels, affine=plan.affine, source=plan.source, progress=share,
            )  # fmt: skip
        assert brain is not None  # the first slice has the number 0
        position = request.position
        if position is None:
            position = drawn_position(brain, request.plane, plan.number(index))
        made, labels = cut(brain, request.plane, position)
        mark = mark_of_brain(generator, brain, plan)
        mark = replace(
            mark,
            conditions=_conditions(mark, request.plane, position),
            sampling={**mark.sampling, "drawn in voxels of mm": round(voxel(brain), 3)},
        )
        if plan.with_labels:
            whole = np.expand_dims(labels, made.volume.shape.index(1))
            write_labels_beside(labels_beside(path), whole, made.affine, mark)
        write(path, made, mark)
        yield path, made, mark, brain.seconds if plan.number(index) == 0 else {}


def _conditions(mark: Mark, plane: str, position: float) -> dict[str, Any]:
    """Those of the brain and of the slice, in the order in which the header cuts them off."""
    first = {name: mark.conditions[name] for name in ("modality", "body")}
    return {**first, "plane": plane, "position": position, **mark.conditions}
