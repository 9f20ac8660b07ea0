"""The command line of a BIDS App: BIDS_DIR OUT_DIR participant.

K. Gorgolewski et al., "BIDS Apps: improving ease of use, accessibility, and reproducibility of
neuroimaging data analysis methods", PLOS Computational Biology 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from diff_medical.scan.bids import DESCRIPTION

__all__ = ["BidsApp", "bids_app"]

LEVELS = ("participant", "group")


@dataclass(frozen=True)
class BidsApp:
    """A run over a BIDS dataset.

    dataset: its folder
    output:  the folder of the derivative dataset
    people:  the folders sub-LABEL that are worked on
    """

    dataset: Path
    output: Path
    people: tuple[Path, ...]

    def covers(self, path: Path) -> bool:
        """Return True for a file of one of the people."""
        return any(person in path.parents for person in self.people)


def bids_app(inputs: Sequence[str], output: Path | None, labels: Sequence[str]) -> BidsApp | None:
    """Return the run that the inputs name, None where they are scans and folders.

    labels: of the participants, with or without "sub-"; all without any

    Raises typer.BadParameter for a folder that is no dataset, the level of groups, and a label
    that the dataset does not have.
    """
    is_app = len(inputs) == 3 and inputs[2] in LEVELS and not Path(inputs[2]).exists()
    if not is_app:
        if labels:
            raise typer.BadParameter("--participant-label needs BIDS_DIR OUT_DIR participant")
        return None
    dataset, target, level = Path(inputs[0]), Path(inputs[1]), inputs[2]
    if level != "participant":
        raise typer.BadParameter(f"the level is {level}; expected participant")
    if output is not None:
        raise typer.BadParameter("--output and OUT_DIR both name the output; leave out --output")
    if not (dataset / DESCRIPTION).is_file():
        raise typer.BadParameter(f"{dataset} has no {DESCRIPTION}; give the folder of a dataset")
    people = sorted(p for p in dataset.glob("sub-*") if p.is_dir())
    if labels:
        wanted = {f"sub-{label.removeprefix('sub-')}" for label in labels}
        if missing := wanted - {p.name for p in people}:
            raise typer.BadParameter(f"{dataset} has no {', '.join(sorted(missing))}")
        people = [p for p in people if p.name in wanted]
    if not people:
        raise typer.BadParameter(f"{dataset} has no folder sub-LABEL")
    return BidsApp(dataset, target, tuple(people))
