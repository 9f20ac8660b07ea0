"""The model, the settings and the plan that the options of `generate` ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diff_medical.generator.model import Made
    from diff_medical.marks.mark import Mark

__all__ = ["draw", "follow", "is_of_brains", "model", "plan", "settings"]

Scans = Iterator[tuple[Path, "Made", "Mark"]]


def is_of_brains(weights: Path | None, modality: Sequence[str], body: str) -> bool:
    """Return whether the volumes are to be made by a model of brains."""
    if weights is not None:
        return weights.is_dir()
    if {word.lower() for word in modality} - {"t1"} or body.lower() not in ("", "brain"):
        return False
    from diff_medical.weights import brain_paths

    return bool(brain_paths())


def settings(
    drawing: dict[str, Any], seed: int, batch: int, brains: bool, quality: str, ventricles: str
) -> Any:
    """Return `Sampling` or `BrainSampling`; `drawing` holds what differs from their defaults.

    Raises ValueError for a number out of range and ventricles that are neither a word nor one.
    """
    if not brains:
        from diff_medical.generator.model import Sampling

        return Sampling(**drawing, seed=seed, batch=batch)
    from diff_medical.brain.sampling import QUALITIES, VENTRICLES, BrainSampling, Steps

    steps = QUALITIES[quality]
    if each := drawing.pop("steps", None):
        steps = Steps(each, each, each, each)
    size: float | None = None
    if ventricles:
        try:
            size = VENTRICLES.get(ventricles.lower(), None)
            size = float(ventricles) if size is None else size
        except ValueError:
            known = ", ".join(VENTRICLES)
            raise ValueError(
                f"ventricles is {ventricles!r}; expected {known}, or a number from -3 to 3"
            ) from None
    return BrainSampling(**drawing, steps=steps, ventricles=size, seed=seed)


def model(weights: Path | None, volume: bool, brains: bool, device: str) -> Any:
    """Load a `Generator` or a `BrainGenerator`."""
    if brains:
        from diff_medical.brain.model import BrainGenerator

        return BrainGenerator.from_pretrained(weights, device=device)
    from diff_medical.generator.model import Generator

    return Generator.from_pretrained(weights, volume=volume, device=device)


def plan(
    brains: bool, requests: Any, sampling: Any, output: Path, *, dicom: bool, with_labels: bool
) -> Any:
    """Return a `Plan` or a `BrainPlan`."""
    if brains:
        from diff_medical.jobs.brain import BrainPlan

        return BrainPlan(requests, sampling, output, dicom, with_labels=with_labels)
    from diff_medical.jobs.generate import Plan

    return Plan(requests, sampling, output, dicom)


def follow(
    plan: Any, generator: Any, *, brains: bool, labels: Path | None, source: Path | None
) -> Any:
    """Return the plan for scans of a label map, or relatives of a scan.

    Raises ValueError, one line, for a file that cannot be used.
    """
    if source is not None:
        from diff_medical.brain.preparation.mean_head import read_source

        try:
            return replace(plan, source=read_source(source, generator.stage("anatomy")))
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
    if labels is None:
        return plan
    if brains:
        from diff_medical.brain.maps import read_labels

        values, affine = read_labels(labels, generator.grid)
        return replace(plan, labels=values, affine=affine)
    from diff_medical.jobs.generate import read_labels as read_channels

    return replace(plan, labels=read_channels(labels, generator, plan.requests[0]))


def draw(
    generator: Any,
    plan: Any,
    brains: bool,
    spent: Counter[str],
    progress: Callable[[float], None],
) -> Scans:
    """Make and write the scans; add the processor seconds of each stage of brains to `spent`."""
    if not brains:
        from diff_medical.jobs.generate import make

        yield from make(generator, plan, progress)
        return
    from diff_medical.jobs.brain import make_brains

    for path, brain, mark in make_brains(generator, plan, progress):
        spent.update(brain.seconds)
        yield path, brain.scan, mark
