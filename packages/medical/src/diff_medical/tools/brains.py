"""The tool that makes synthetic brains with their label maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.command.studio import Choices, Field, Made, Tool
from diff_core.progress import Progress
from diff_medical.brain.sampling import QUALITIES, VENTRICLES, Steps
from diff_medical.tools.generate import FORMATS, SEED, packed
from diff_medical.weights import brain_paths

if TYPE_CHECKING:
    from diff_medical.brain.model import BrainGenerator

__all__ = ["brains_tool"]

DRAWN = "as in people"
FIELDS = (
    Field("number", "How many", "number", "1 to 8", low=1, high=8, usual=1, whole=True),
    SEED,
    Field(
        "ventricles", "Ventricles", "choice", "the size of the fluid's chambers",
        (DRAWN, *VENTRICLES),
    ),
    FORMATS,
)  # fmt: skip


def brains_tool() -> Tool:
    """Return the tool."""
    paths = brain_paths()
    return Tool(
        name="brains",
        label="Generate brains",
        about="Make synthetic T1 brains with their label maps. Every file is marked as synthetic. "
        "For research, not for diagnosis.",
        action="Generate",
        load=_load,
        work=_work,
        fields=FIELDS,
        main=4,
        qualities={
            "draft": "Half the steps in each stage.",
            "default": f"{Steps()} steps in the five stages.",
            "best": "Twice the steps in each stage.",
        },
        is_there=bool(paths),
    )


def _load(weights: Path | None, device: str) -> BrainGenerator:
    from diff_medical.brain.model import BrainGenerator

    return BrainGenerator.from_pretrained(weights, device=device)


def _work(generator: BrainGenerator, source: Path, choices: Choices, advance: Progress) -> Made:
    """Make the brains in a folder, and a zip archive of it with the contact sheet."""
    from diff_medical.brain.model import REQUEST
    from diff_medical.brain.sampling import BrainSampling
    from diff_medical.generator.selection import honest
    from diff_medical.jobs.brain import BrainPlan, make_brains

    del source
    further: dict[str, Any] = dict(choices.further)
    number = int(further["number"])
    sampling = BrainSampling(
        steps=QUALITIES[choices.quality],
        ventricles=VENTRICLES.get(further["ventricles"]),
        seed=int(further["seed"]),
    )
    folder = Path("synthetic")
    folder.mkdir()
    dicom = further["format"] == "dicom"
    plan = BrainPlan([REQUEST] * number, sampling, folder, dicom, with_labels=True)
    made, marks = [], []
    for _, one, mark, _ in make_brains(generator, plan, lambda done: advance(done / number)):
        made.append(one)
        marks.append(mark)
    facts = {
        "Model": generator.card.name,
        "What is known of it": honest(generator.card, generator.kinds.choices),
    }
    return packed(plan.picture(), made, marks, facts)
