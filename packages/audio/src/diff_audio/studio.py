"""The command `diff-audio studio`: a page to denoise recordings by hand and compare by ear."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_audio.sound.names import TAG, sound_files, written_name
from diff_core.command import App, run
from diff_core.command.studio import Choices, Field, Made, Page, studio_command
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.denoiser.denoiser import Denoiser

__all__ = ["app", "main"]

COMMAND = "diff_audio.studio"
HELP = """Open a page to drop a recording, hear it before and after, and download the result.

The page is served to this machine only and loads nothing from a network. Uploads lie in a
temporary folder that goes when the studio stops. The result is the file that denoise writes.
"""

app = App()


def _page() -> Page:
    kind = sound_files()
    return Page(
        title="Denoise a recording",
        about="Speech stays, noise goes. Everything happens on this machine.",
        drop="a recording",
        suffixes=kind.suffixes,
        unread=kind.unread,
        qualities={
            "draft": "Half precision where the processor is fast at it.",
            "default": "One look at the recording.",
            "best": "The mean of four looks: four times the work.",
        },
        amount="Share of the result; the rest is the input",
        action="Remove noise",
        fields=(
            Field("limit", "Remove at most (dB)", "number", "a number of dB; empty: no limit"),
            Field("separate", "Each channel by itself", "flag", "for microphones far apart"),
            Field("keep_noise", "Keep the removed part", "flag", "input = result + removed part"),
        ),
    )


def _load(weights: Path | None, device: str) -> Denoiser:
    from diff_audio.denoiser.denoiser import Denoiser

    return Denoiser.from_pretrained(weights, device=device)


def _work(model: Denoiser, source: Path, choices: Choices, advance: Progress) -> Made:
    from diff_audio.denoiser.confidence import Tracks
    from diff_audio.denoiser.settings import Settings
    from diff_audio.jobs.denoise import denoise_file
    from diff_audio.pages.report import write_report

    target = written_name(source.with_name(TAG.join(sound_files().split(source.name))))
    further: dict[str, Any] = dict(choices.further)
    settings = Settings.of(
        choices.quality, mix=choices.amount, limit_db=further["limit"],
        linked=not further["separate"],
    )  # fmt: skip
    tracks = Tracks()
    outcome = denoise_file(
        model, source, target, settings, keep_noise=further["keep_noise"], on_part=tracks.add,
        on_progress=advance,
    )  # fmt: skip
    report = target.with_suffix(".html")
    write_report(report, outcome, tracks, settings)
    return Made(target, report, {"removed": Path(outcome.noise)} if outcome.noise else {})


studio_command(
    app,
    _page,
    _load,
    _work,
    distribution="diff-audio",
    command=COMMAND,
    help=HELP,
    examples={
        "": "Open the page in the browser.",
        "--port 8000 --no-browser": "Serve the page at a fixed port.",
    },
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
