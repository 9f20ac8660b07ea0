"""The tool that removes noise from scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.command.studio import Choices, Field, Made, Tool
from diff_core.progress import Progress
from diff_medical.scan.kinds import PAIRS, SCANS, SINGLE, UNREAD

if TYPE_CHECKING:
    from diff_medical.enhancer.enhancer import Enhancer

__all__ = ["enhance_tool"]

TAG = "_enhanced"
SEVERAL = {
    **dict.fromkeys((".dcm", ".ima"), "parts of a series; drop its folder as a .zip"),
    **dict.fromkeys(PAIRS, "halves of a scan; convert both to .nii.gz"),
}
FIELDS = (
    Field(
        "modality", "Kind of scan", "choice", "auto recognises CT by the values of air",
        ("auto", "mr", "ct"),
    ),
    Field(
        "sigma", "Noise level", "text",
        "auto, a number in the scan's units, 2% of the maximum, or local for each voxel",
        pattern=r"auto|local|(\d+(\.\d*)?|\.\d+)%?",
    ),
    Field(
        "noise", "Distribution", "choice", "of the noise; auto recognises Rician noise",
        ("auto", "gaussian", "rician", "poisson-ct"),
    ),
    Field(
        "dose", "Dose of a CT", "number",
        "a fraction of a full dose, 0.01 to 0.99; empty: remove all noise", low=0.01, high=0.99,
    ),
    Field(
        "series", "Volumes of a series", "choice", "together by low rank, each alone, or both",
        ("auto", "lowrank", "network", "both"),
    ),
    Field("residual", "Keep the removed part", "flag", "input - result, as a scan"),
    Field("uncertainty", "Uncertainty map", "flag", "of each voxel's error; takes longer"),
)  # fmt: skip


def enhance_tool() -> Tool:
    """Return the tool."""
    return Tool(
        name="enhance",
        label="Enhance",
        about="Remove noise from an MR or CT scan. Anatomy, grid and units stay.",
        action="Remove noise",
        load=_load,
        work=_work,
        drop="a scan",
        suffixes=(*SINGLE.suffixes, ".zip"),
        unread=UNREAD | SEVERAL,
        qualities={
            "draft": "One direction, each voxel once.",
            "default": "Three directions averaged; thick slices in their own.",
            "best": "More estimates in each direction; thick slices turned four ways.",
        },
        amount="The fraction of the noise to remove",
        fields=FIELDS,
    )


def _load(weights: Path | None, device: str) -> Enhancer:
    from diff_medical.enhancer.enhancer import Enhancer

    return Enhancer.from_pretrained(weights, device=device)


def _work(enhancer: Enhancer, source: Path, choices: Choices, advance: Progress) -> Made:
    import shutil

    from diff_medical.enhancer.settings import Settings
    from diff_medical.jobs.enhance import enhance_file
    from diff_medical.jobs.options import level
    from diff_medical.jobs.products import Products
    from diff_medical.scan.names import beside

    is_series = source.suffix.lower() == ".zip"
    stem, suffix = (source.stem, "") if is_series else SCANS.split(source.name)
    target = source.with_name(f"{stem}{TAG}{suffix}")
    report = source.with_name(f"{stem}{TAG}.html")
    further: dict[str, Any] = dict(choices.further)
    sigma, percent, _ = level(further["sigma"])
    quality: Any = choices.quality
    settings = Settings(
        quality=quality, strength=choices.amount, modality=further["modality"], sigma=sigma,
        percent=percent, local=further["sigma"] == "local", noise=further["noise"],
        dose=further["dose"], series=further["series"], uncertainty=further["uncertainty"],
    )  # fmt: skip
    uncertain = Path(f"{stem}_uncertainty.nii.gz") if further["uncertainty"] else None
    products = Products(residual=further["residual"], uncertainty=uncertain, report=report)
    enhance_file(enhancer, source, target, settings, products=products, on_progress=advance)
    made = {"residual": beside(target, "residual")} if further["residual"] else {}
    made |= {"uncertainty": uncertain} if uncertain else {}
    if is_series:
        target = Path(shutil.make_archive(target.name, "zip", ".", target.name))
    return Made(target, report, made)
