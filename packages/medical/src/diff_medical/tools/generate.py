"""The tools that make synthetic scans: slices, and volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.command.studio import Choices, Field, Made, Tool
from diff_core.progress import Progress
from diff_medical.weights import path_of

if TYPE_CHECKING:
    from diff_medical.generator.model import Generator
    from diff_medical.generator.model import Made as Scan
    from diff_medical.marks.mark import Mark

__all__ = ["FORMATS", "SEED", "packed", "slices_tool", "volumes_tool"]

ANY = "all in turn"
FORMATS = Field("format", "Files", "choice", "nifti or dicom", ("nifti", "dicom"))
"""The field for the kind of files."""

SEED = Field("seed", "Seed", "number", "a whole number", usual=0, high=2**31, whole=True)
"""The field for the seed of the first scan."""

FURTHER = (
    Field(
        "steps", "Steps", "number", "of each stage, 1 to 100", low=1, high=100, usual=18,
        whole=True,
    ),
    Field(
        "guidance", "Guidance", "number", "0 to 10; above 1: more typical, less varied",
        high=10, usual=1.5,
    ),
    Field(
        "temperature", "Temperature", "number", "0.1 to 2; below 1: less varied, smoother",
        low=0.1, high=2, usual=0.9,
    ),
)  # fmt: skip


def slices_tool() -> Tool:
    """Return the tool for slices, of kinds learned from few people."""
    position = Field(
        "position", "Position", "number",
        "0 right, back or bottom, to 1; empty: as in the training data", high=1,
    )  # fmt: skip
    return _tool("slices", "Slices of few people", "generate", 4, 64, (position,), _load_slices)


def volumes_tool() -> Tool:
    """Return the tool for volumes, of kinds learned from few people."""
    return _tool("volumes", "Volumes of few people", "generate_volume", 1, 8, (), _load_volumes)


def _tool(
    name: str, label: str, model: str, usual: int, most: int, fields: tuple[Field, ...], load: Any
) -> Tool:
    number = Field(
        "number", "How many", "number", f"1 to {most}", low=1, high=most, usual=usual, whole=True
    )
    weights = path_of(model)
    kinds = Field("kind", "Kind of scan", "choice", "what the model learned", _kinds(weights))
    return Tool(
        name=name,
        label=label,
        about="Make synthetic scans of kinds that were learned from fewer than 20 people. Every "
        "scan is marked as synthetic, in its name, its header and a JSON file beside it. For "
        "research, not for diagnosis.",
        action="Generate",
        load=load,
        work=_work,
        fields=(kinds, number, SEED, FORMATS, *fields, *FURTHER),
        main=4,
        is_there=weights.exists(),
    )


def _kinds(weights: Path) -> tuple[str, ...]:
    """Return the kinds of scan that a model knows, by its card."""
    from diff_core.io import read_card
    from diff_medical.generator.kinds import Kinds
    from diff_medical.generator.selection import name_of

    if not weights.exists():
        return (ANY,)
    return ANY, *map(name_of, Kinds.of(read_card(weights)).choices)


def _load_slices(weights: Path | None, device: str) -> Generator:
    return _load(weights, device, spatial=2)


def _load_volumes(weights: Path | None, device: str) -> Generator:
    return _load(weights, device, spatial=3)


def _load(weights: Path | None, device: str, spatial: int) -> Generator:
    from diff_medical.generator.model import Generator

    generator = Generator.from_pretrained(weights, volume=spatial == 3, device=device)
    if generator.spatial != spatial:
        raise ValueError(f"the model is of {generator.spatial} axes; expected {spatial}")
    return generator


def _work(generator: Generator, source: Path, choices: Choices, advance: Progress) -> Made:
    """Make the scans in a folder, and a zip archive of it with the contact sheet."""
    from diff_medical.generator.model import Sampling
    from diff_medical.generator.selection import choose, honest
    from diff_medical.jobs.generate import Plan, make

    del source
    further: dict[str, Any] = dict(choices.further)
    number = int(further["number"])
    words = ("", "", "") if further["kind"] == ANY else (*further["kind"].split(), "")[:3]
    modality, body, plane = words
    known = generator.kinds.choices
    kinds = choose(known, (modality,) if modality else (), body, plane)
    position = further.get("position")
    requests = [
        replace(generator.kinds.request(kinds[i % len(kinds)]), position=position)
        for i in range(number)
    ]
    drawing = {name: further[name] for name in ("guidance", "temperature")}
    sampling = Sampling(steps=int(further["steps"]), seed=int(further["seed"]), **drawing)
    folder = Path("synthetic")
    folder.mkdir()
    plan = Plan(requests, sampling, folder, further["format"] == "dicom")
    made, marks = [], []
    for _, one, mark in make(generator, plan, lambda done: advance(done / number)):
        made.append(one)
        marks.append(mark)
    facts = {
        "Model": generator.card.name,
        "What is known of it": honest(generator.card, kinds),
    }
    return packed(plan.picture(), made, marks, facts)


def packed(
    picture: Path, made: Sequence[Scan], marks: Sequence[Mark], facts: Mapping[str, str]
) -> Made:
    """Draw the contact sheet `picture` of scans that lie in the folder `synthetic`, and return an
    archive of the folder, and a page that says what it holds.

    facts: of the model
    """
    import shutil

    from diff_core.command.studio import write_result
    from diff_core.command.studio.result import picture_uri
    from diff_medical.marks.mark import NOTICE, together
    from diff_medical.pages.contact_sheet import contact_sheet

    contact_sheet(picture, made, together(marks))
    report = Path("synthetic.html")
    said = {"Scans": f"{len(made)}", "Seeds": f"{marks[0].seed} to {marks[-1].seed}", **facts}
    pictures = {"Contact sheet": picture_uri(picture)}
    write_result(report, "Synthetic scans", NOTICE, pictures=pictures, facts=said, dark=True)
    return Made(Path(shutil.make_archive("synthetic", "zip", ".", "synthetic")), report)
