"""The model, the settings and the plan that the options of `generate` ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from diff_medical.generator.kinds import Kinds
    from diff_medical.generator.model import Made
    from diff_medical.generator.request import Choice, Request
    from diff_medical.marks.mark import Mark

__all__ = [
    "choices_of", "draw", "few", "follow", "is_of_brains", "model", "plan", "requests_of",
    "settings", "shipped_brains",
]  # fmt: skip

Scans = Iterator[tuple[Path, "Made", "Mark"]]


def is_of_brains(
    weights: Path | None, modality: Sequence[str], body: str, *, experimental: bool = False
) -> bool:
    """Return whether a model of brains is to make the scans: the one that is named, or the shipped
    one where it is there and nothing else is asked for.
    """
    if weights is not None:
        return weights.is_dir()
    if {word.lower() for word in modality} - {"t1"} or body.lower() not in ("", "brain"):
        return False
    if experimental and not modality and not body:
        return False
    from diff_medical.weights import brain_paths

    return bool(brain_paths())


def few(weights: Path | None, *, brains: bool, experimental: bool) -> Literal["", "say", "refuse"]:
    """Return what is to be done about kinds that are learned from few people.

    A model of one's own makes all that it knows. So does the package while no model of it is
    learned from more people, and says so.
    """
    from diff_medical.weights import brain_paths

    if weights is not None or brains or experimental:
        return ""
    return "refuse" if brain_paths() else "say"


def shipped_brains() -> Kinds | None:
    """Return the kinds of the shipped model of brains; None where there is none."""
    from diff_core.io import read_card
    from diff_medical.generator.kinds import Kinds
    from diff_medical.weights import brain_paths

    return Kinds.of(read_card(paths[0])) if (paths := brain_paths()) else None


def choices_of(kinds: Kinds, *, brains: bool, volume: bool) -> list[Choice]:
    """Return the kinds that a model makes: of brains volumes, or slices of all planes."""
    found = list(kinds.choices)
    if not brains or volume:
        return found
    from diff_medical.generator.request import PLANES

    return [replace(kind, plane=plane) for kind in found for plane in PLANES]


def requests_of(
    generator: Any,
    kinds: Sequence[Choice],
    number: int,
    position: float | None,
    *,
    turning: int | None = None,
    per_brain: int = 1,
) -> list[Request]:
    """Return the requests for `number` scans, which take the kinds in turn.

    turning: the first seed of slices of brains that take all planes in turn, by their seed
    """
    found: list[Request] = []
    for i in range(number):
        request = generator.kinds.request(kinds[i % len(kinds)])
        if turning is not None:
            from diff_medical.brain.slices import plane_of

            plane = plane_of(turning + i // per_brain, i % per_brain)
            request = replace(request, plane=plane)
        found.append(replace(request, position=position))
    return found


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
        steps = Steps(*[each] * 5)
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
    brains: bool,
    requests: Any,
    sampling: Any,
    output: Path,
    *,
    dicom: bool,
    with_labels: bool,
    per_brain: int | None = None,
    filled: Path | None = None,
) -> Any:
    """Return a `Plan`, a `BrainPlan`, with `per_brain` a `SlicePlan`, or a `FillPlan` for a scan
    that is to be `filled`.
    """
    if filled is not None:
        from diff_medical.jobs.fill import FillPlan
        from diff_medical.scan.kinds import SCANS

        stem = SCANS.split(filled.name)[0] if SCANS.matches(filled) else filled.name
        return FillPlan(requests, sampling, output, with_labels=with_labels, stem=stem)
    if brains and per_brain is not None:
        from diff_medical.jobs.brain_slices import SlicePlan

        return SlicePlan(
            requests, sampling, output, dicom, with_labels=with_labels, per_brain=per_brain
        )
    if brains:
        from diff_medical.jobs.brain import BrainPlan

        return BrainPlan(requests, sampling, output, dicom, with_labels=with_labels)
    from diff_medical.jobs.generate import Plan

    return Plan(requests, sampling, output, dicom)


def follow(
    plan: Any,
    generator: Any,
    *,
    brains: bool,
    labels: Path | None,
    source: Path | None,
    mask: Path | None = None,
) -> Any:
    """Return the plan for scans of a label map, relatives of a scan, or a scan with a hole.

    Raises ValueError, one line, for a file that cannot be used.
    """
    if source is not None and mask is not None:
        from diff_medical.jobs.fill import read_holed

        return replace(plan, holed=read_holed(source, mask, generator.stage("lobes")))
    if source is not None:
        from diff_medical.brain.preparation.mean_head import read_source

        try:
            return replace(plan, source=read_source(source, generator.stage("lobes")))
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
    from diff_medical.jobs.brain_slices import SlicePlan, make_slices
    from diff_medical.jobs.fill import FillPlan, make_fillings

    if isinstance(plan, FillPlan):
        drawn = make_fillings(generator, plan, progress)
    elif isinstance(plan, SlicePlan):
        drawn = make_slices(generator, plan, progress)
    else:
        drawn = make_brains(generator, plan, progress)
    for path, made, mark, seconds in drawn:
        spent.update(seconds)
        yield path, made, mark
