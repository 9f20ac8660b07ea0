"""`diff-medical studio`: a page on this machine to enhance scans by hand and compare planes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.command import App, run
from diff_core.command.studio import Choices, Field, Made, Page, studio_command
from diff_core.progress import Progress
from diff_medical.scan.kinds import PAIRS, SCANS, SINGLE, UNREAD

if TYPE_CHECKING:
    from diff_medical.enhancer.enhancer import Enhancer

__all__ = ["app", "main"]

COMMAND = "diff_medical.studio"
TAG = "_enhanced"
SEVERAL = {
    **dict.fromkeys((".dcm", ".ima"), "parts of a series; drop its folder as a .zip"),
    **dict.fromkeys(PAIRS, "halves of a scan; convert both to .nii.gz"),
}
PAGE = Page(
    title="Enhance a scan",
    about="Noise goes, anatomy stays. Everything happens on this machine. For research; not "
    "a medical device.",
    drop="a scan",
    suffixes=(*SINGLE.suffixes, ".zip"),
    unread=UNREAD | SEVERAL,
    qualities={
        "draft": "One direction, each voxel once.",
        "default": "Three directions averaged; thick slices in their own.",
        "best": "More estimates in each direction; thick slices turned four ways.",
    },
    amount="The fraction of the noise to remove",
    action="Remove noise",
    fields=(
        Field(
            "modality",
            "Kind of scan",
            "choice",
            "auto recognises CT by the values of air",
            ("auto", "mr", "ct"),
        ),
        Field(
            "sigma",
            "Noise level",
            "text",
            "auto, a number in the scan's units, or 2% of the maximum",
            pattern=r"auto|(\d+(\.\d*)?|\.\d+)%?",
        ),
    ),
    dark=True,
)
HELP = """Open a page to drop a scan, see it before and after, and download the result.

The page is served to this machine only and loads nothing from a network. Uploads lie in a
temporary folder that goes when the studio stops. The result is the file that enhance writes;
of a zipped DICOM series its folder, zipped. For research; not a medical device.
"""

app = App()


def _load(weights: Path | None, device: str) -> Enhancer:
    from diff_medical.enhancer.enhancer import Enhancer

    return Enhancer.from_pretrained(weights, device=device)


def _work(enhancer: Enhancer, source: Path, choices: Choices, advance: Progress) -> Made:
    import shutil

    from diff_medical.enhancer.settings import Settings
    from diff_medical.jobs.enhance import enhance_file
    from diff_medical.jobs.options import level
    from diff_medical.jobs.products import Products

    is_series = source.suffix.lower() == ".zip"
    stem, suffix = (source.stem, "") if is_series else SCANS.split(source.name)
    target = source.with_name(f"{stem}{TAG}{suffix}")
    report = source.with_name(f"{stem}{TAG}.html")
    further: dict[str, Any] = dict(choices.further)
    sigma, percent, _ = level(further["sigma"])
    quality: Any = choices.quality
    settings = Settings(
        quality=quality, strength=choices.amount, modality=further["modality"], sigma=sigma,
        percent=percent,
    )  # fmt: skip
    enhance_file(
        enhancer,
        source,
        target,
        settings,
        products=Products(report=report),
        on_progress=advance,
    )
    if is_series:
        target = Path(shutil.make_archive(target.name, "zip", ".", target.name))
    return Made(target, report)


studio_command(
    app, lambda: PAGE, _load, _work, distribution="diff-medical", command=COMMAND, help=HELP
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
