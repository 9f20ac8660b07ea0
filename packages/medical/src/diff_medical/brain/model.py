"""The brain generator: volumes with label maps from the stages, or from a label map."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from diff_core import io
from diff_core.device import pick_device
from diff_core.io import Card
from diff_medical.brain.anatomy import Anatomy
from diff_medical.brain.appearance import Appearance, contrast
from diff_medical.brain.borders import Borders, LabelNetwork
from diff_medical.brain.folds import Folds, Lobes
from diff_medical.brain.fractions import fractions
from diff_medical.brain.grid import Grid
from diff_medical.brain.sampling import BrainSampling
from diff_medical.brain.source import Source
from diff_medical.brain.stage import Guidance
from diff_medical.generator.kinds import Kinds
from diff_medical.generator.model import Made
from diff_medical.generator.request import Request
from diff_medical.generator.tone import decode
from diff_medical.weights import FOLDER, fingerprint_of

__all__ = ["NETWORK_TYPES", "REQUEST", "STAGES", "Brain", "BrainGenerator"]

STAGES: dict[str, type[nn.Module]] = {
    "anatomy": Anatomy,
    "lobes": Lobes,
    "folds": Folds,
    "borders": Borders,
    "appearance": Appearance,
}
"""The stages by name, in their order."""

NETWORK_TYPES: dict[str, type] = {
    "Grid": Grid,
    "LabelNetwork": LabelNetwork,
    **{kind.__name__: kind for kind in STAGES.values()},
}
"""What `diff_core.load(..., types=NETWORK_TYPES)` needs to know to load a stage."""

REQUEST = Request("t1", "brain", "")
"""The one kind of scan that these models make."""
# of the time
SHARES = {"anatomy": 0.05, "lobes": 0.1, "folds": 0.2, "borders": 0.25, "appearance": 0.4}


@dataclass(frozen=True)
class Brain:
    """One synthetic brain.

    scan:    T1, skull-stripped, white matter near 800
    labels:  (X, Y, Z) uint8, `grid.CLASSES`, on the grid of the scan
    drawn:   whether the labels are drawn too, not given
    seconds: processor seconds of each stage
    """

    scan: Made
    labels: NDArray[np.uint8]
    drawn: bool
    seconds: Mapping[str, float]


class BrainGenerator:
    """Draws brains from trained stages; brain i depends on its seed and what is asked for only.

    card:        of the first stage that is there
    fingerprint: 16 hexadecimal digits of a hash of the stages' files; "" without files
    """

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        cards: Mapping[str, Card],
        *,
        weak: Mapping[str, nn.Module] | None = None,
        fingerprint: str = "",
        device: str = "auto",
    ) -> None:
        """Take the stages, and weak versions of some of them, away from which they are guided.

        Raises ValueError for stages of another kind, of different grids, or none.
        """
        if not stages:
            raise ValueError("stages is empty; expected at least one")
        weak = weak or {}
        for name, stage in (*stages.items(), *weak.items()):
            if not isinstance(stage, STAGES[name]):
                kind = type(stage).__name__
                raise ValueError(f"the stage {name} is a {kind}; expected {STAGES[name].__name__}")
        device_ = pick_device(device)
        self._stages = {name: stage.to(device_).eval() for name, stage in stages.items()}
        self._weak = {name: stage.to(device_).eval() for name, stage in weak.items()}
        both = (*stages.items(), *((f"weak {name}", stage) for name, stage in weak.items()))
        grids = {name: getattr(stage, "grid", None) for name, stage in both}
        if len(set(grids.values())) > 1:
            raise ValueError(f"the stages have different grids: {grids}")
        self.grid: Grid = next(iter(grids.values()))  # type: ignore[assignment]
        self.card = next(cards[name] for name in STAGES if name in cards)
        self.kinds = Kinds.of(self.card)
        self.fingerprint = fingerprint

    @classmethod
    def from_pretrained(
        cls, folder: Path | None = None, *, device: str = "auto"
    ) -> BrainGenerator:
        """Load the shipped stages, or those of a folder.

        A stage is in FOLDER or a folder in it, as brain-STAGE.safetensors or brain_STAGE, and a
        weak version of it as brain-STAGE-weak or brain_STAGE_weak. A stage that is missing is
        missed when it is needed: label maps need `appearance` only. Raises
        `diff_core.io.CheckpointError` for a folder without stages, two files of one stage, or a
        file that cannot be used.
        """
        pick_device(device)
        folder = folder or FOLDER
        stages: dict[str, nn.Module] = {}
        weak: dict[str, nn.Module] = {}
        cards: dict[str, Card] = {}
        paths: list[Path] = []
        for name in (*STAGES, *(f"{name}_weak" for name in STAGES)):
            found = _files(folder, name)
            if len(found) > 1:
                both = " and ".join(str(path.relative_to(folder)) for path in found[:2])
                raise io.CheckpointError(f"{folder}: {both} are both of the stage {name}")
            for path in found:
                loaded, cards[name] = io.load(path, types=NETWORK_TYPES)
                (stages if name in STAGES else weak)[name.removesuffix("_weak")] = loaded
                paths.append(path)
        if not stages:
            raise io.CheckpointError(
                f"{folder}: holds no stage of a brain generator (brain-anatomy.safetensors ...)"
            )
        whole = fingerprint_of(paths)
        with io.as_checkpoint_error(folder):
            return cls(stages, cards, weak=weak, fingerprint=whole, device=device)

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages that are there, in their order."""
        return tuple(name for name in STAGES if name in self._stages)

    def stage(self, name: str) -> Any:
        """Return a stage. Raises ValueError for one that is missing."""
        if name not in self._stages:
            raise ValueError(f"the model has no stage {name}; train it first")
        return self._stages[name]

    def guidance(self, name: str, sampling: BrainSampling) -> Guidance:
        """Return the guidance of a stage: anatomy, lobes or folds."""
        return Guidance(
            sampling.guidance if name == "anatomy" else 1.0,
            self._weak.get(name),  # type: ignore[arg-type]
            getattr(sampling.autoguided, name),
        )

    def check(self, *, labels: bool) -> None:
        """Raise ValueError for a stage that is missing; with `labels` only the last is needed."""
        needed = ["appearance"] if labels else list(STAGES)
        missing = [name for name in needed if name not in self._stages]
        if missing:
            raise ValueError(f"the model has no stage {', '.join(missing)}; train it first")

    def __call__(
        self,
        seed: int,
        sampling: BrainSampling = BrainSampling(),  # noqa: B008
        *,
        labels: NDArray[np.uint8] | None = None,
        affine: NDArray[np.float64] | None = None,
        source: Source | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Brain:
        """Draw one brain.

        labels:   (X, Y, Z) of the model's grid, 0 to 5, aligned as its training people: the scan
                  is of these. Default: drawn
        affine:   (4, 4) of the labels; default: that of a head of a size that is drawn
        source:   a brain of which a relative is drawn, at `sampling.strength`; it lies where the
                  source does, and has its contrast
        progress: called with the share that is done

        Raises ValueError for labels or a source of another shape or with other values, for both
        at once, and for a stage that is missing.
        """
        self.check(labels=labels is not None)
        clock = _Clock(progress, tuple(STAGES) if labels is None else ("appearance",))
        if source is not None:
            if labels is not None:
                raise ValueError("labels and source are both given; expected one of them")
            check_labels(source.labels, self.grid)
        if labels is None:
            drawn = self._labels(seed, sampling, source, clock)
            anatomy: Any = self._stages["anatomy"]
            size = anatomy.head_size(seed)
            affine = self.grid.in_head(size) if source is None else source.affine
        else:
            check_labels(labels, self.grid)
            drawn = torch.from_numpy(np.ascontiguousarray(labels))[None]
            affine = self.grid.in_head() if affine is None else affine
        appearance: Any = self._stages["appearance"]
        with torch.no_grad(), clock.stage("appearance") as share:
            scan, words = None, appearance.asked([seed])
            if source is not None:
                scan, of = source.tensors()
                words = appearance.measured(contrast(scan[0], of[0])[None])
            image = appearance.sample(
                drawn, [seed], sampling.steps.appearance, words,
                near=scan, strength=sampling.strength, progress=share,
            )[0].numpy()  # fmt: skip
        made = Made(decode(image, "t1"), affine, REQUEST, seed)
        return Brain(made, drawn[0].numpy(), labels is None, clock.seconds)

    def _labels(
        self, seed: int, sampling: BrainSampling, source: Source | None, clock: _Clock
    ) -> torch.Tensor:
        """(1, X, Y, Z) uint8."""
        anatomy: Any = self._stages["anatomy"]
        lobes: Any = self._stages["lobes"]
        folds: Any = self._stages["folds"]
        borders: Any = self._stages["borders"]
        steps, strength, near = sampling.steps, sampling.strength, (None, None, None)
        words = anatomy.asked([seed], sampling.ventricles)
        if source is not None:
            of = source.tensors()[1]
            near = fractions(of, 8), fractions(of, 4), fractions(of, 2)
            asked, words = words, anatomy.measured(near[0])
            if sampling.ventricles is not None:
                words[:, 0] = asked[:, 0]
        with torch.no_grad():
            with clock.stage("anatomy") as share:
                coarse = anatomy.sample(
                    [seed], steps.anatomy, words,
                    guidance=self.guidance("anatomy", sampling),
                    temperature=sampling.temperature,
                    near=near[0], strength=strength, progress=share,
                )  # fmt: skip
            with clock.stage("lobes") as share:
                shares = lobes.sample(
                    coarse, [seed], steps.lobes,
                    guidance=self.guidance("lobes", sampling),
                    near=near[1], strength=strength, progress=share,
                )  # fmt: skip
            with clock.stage("folds") as share:
                shares = folds.sample(
                    shares, [seed], steps.folds,
                    guidance=self.guidance("folds", sampling),
                    near=near[2], strength=strength, progress=share,
                )  # fmt: skip
            with clock.stage("borders") as share:
                return borders.sample(shares, [seed], steps.borders, progress=share)


def check_labels(labels: NDArray[Any], grid: Grid) -> None:
    """Raise ValueError unless a label map fits the grid and holds the classes, some of a head."""
    if labels.shape != grid.shape:
        raise ValueError(f"labels has shape {labels.shape}; expected {grid.shape}")
    values = np.unique(labels)
    wrong = [f"{value:g}" for value in values if value not in range(6)]
    if wrong:
        said = ", ".join(wrong[:5]) + (" and more" if len(wrong) > 5 else "")
        raise ValueError(f"labels holds {said}; expected whole numbers from 0 to 5")
    if not values.any():
        raise ValueError("labels holds 0 alone; expected a head")


def _files(folder: Path, name: str) -> Sequence[Path]:
    pattern = f"brain[-_]{name.replace('_', '[-_]')}.safetensors"
    return sorted([*folder.glob(pattern), *folder.glob(f"*/{pattern}")])


class _Clock:
    """The processor time of each stage, and the share of all that is done."""

    def __init__(self, progress: Callable[[float], None] | None, names: Sequence[str]) -> None:
        self.progress, self.names = progress, tuple(names)
        self.seconds: dict[str, float] = {}

    def stage(self, name: str) -> _Timed:
        return _Timed(self, name)


class _Timed:
    """One stage under the clock; what is entered takes the share of the stage that is done."""

    def __init__(self, clock: _Clock, name: str) -> None:
        self.clock, self.name, self.begun = clock, name, time.process_time()

    def __enter__(self) -> Callable[[float], None]:
        clock, total = self.clock, sum(SHARES[name] for name in self.clock.names)
        before = sum(SHARES[name] for name in clock.names[: clock.names.index(self.name)])

        def share(done: float) -> None:
            if clock.progress:
                clock.progress((before + done * SHARES[self.name]) / total)

        return share

    def __exit__(self, *_: object) -> None:
        self.clock.seconds[self.name] = time.process_time() - self.begun
