"""`diff-audio studio`: a page on this machine to denoise recordings by hand and compare by ear."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diff_audio.files import SUFFIXES
from diff_audio.names import SOUND, TAG
from diff_core.command import App, run
from diff_core.command.studio import Choices, Made, Page, studio_command
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.enhancer import Denoiser

__all__ = ["app", "main"]

COMMAND = "diff_audio.studio"
PAGE = Page(
    title="Denoise a recording",
    about="Speech stays, noise goes. Everything happens on this machine.",
    drop="a recording",
    suffixes=SUFFIXES,
    qualities={
        "draft": "Half precision where the processor is fast at it.",
        "default": "One look at the recording.",
        "best": "The mean of four looks: four times the work.",
    },
    amount="Share of the result; the rest is the input",
    action="Remove noise",
)
HELP = """Open a page to drop a recording, hear it before and after, and download the result.

The page is served to this machine only and loads nothing from a network. Uploads lie in a
temporary folder that goes when the studio stops. The result is the file that denoise writes.
"""

app = App()


def _load(weights: Path | None, device: str) -> Denoiser:
    from diff_audio.enhancer import Denoiser

    return Denoiser.from_pretrained(weights, device=device)


def _work(model: Denoiser, source: Path, choices: Choices, advance: Progress) -> Made:
    from diff_audio.confidence import Tracks
    from diff_audio.recording import denoise_file
    from diff_audio.report import write_report
    from diff_audio.settings import Settings

    target = source.with_name(TAG.join(SOUND.split(source.name)))
    settings, tracks = Settings.of(choices.quality, mix=choices.amount), Tracks()
    outcome = denoise_file(
        model, source, target, settings, on_part=tracks.add, on_progress=advance
    )
    report = target.with_suffix(".html")
    write_report(report, outcome, tracks, settings)
    return Made(target, report)


studio_command(app, PAGE, _load, _work, distribution="diff-audio", command=COMMAND, help=HELP)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
