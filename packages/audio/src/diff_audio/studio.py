"""`diff-audio studio`: a page on this machine to denoise recordings by hand and compare by ear."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from diff_audio.sound.names import SOUND, TAG
from diff_audio.sound.read import SUFFIXES
from diff_core.command import Device, Failures, options, run, use
from diff_core.command.studio_options import Browser, Largest, Port, ready

if TYPE_CHECKING:
    from diff_audio.denoiser.denoiser import Denoiser
    from diff_core.command.studio import Choices, Made

__all__ = ["app", "main"]

COMMAND = "diff_audio.studio"
QUALITIES = {
    "draft": "Half precision where the processor is fast at it.",
    "default": "One look at the recording.",
    "best": "The mean of four looks: four times the work.",
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def studio(
    port: Port = 0,
    no_browser: Browser = False,
    largest: Largest = 1024,
    device: options.Device = Device.auto,
    threads: options.Threads = None,
    weights: options.Weights = None,
    debug: options.Debug = False,
) -> int:
    """Open a page to drop a recording, hear it before and after, and download the result.

    The page is served to this machine only and loads nothing from a network. Uploads lie in a
    temporary folder that goes when the studio stops. The result is the file that denoise writes.
    """
    failures = Failures(COMMAND, debug=debug)
    if not ready("diff-audio", failures):
        return 1

    from diff_audio.denoiser.denoiser import Denoiser
    from diff_core.command.studio import Page, serve

    use(device, threads)
    page = Page(
        title="Denoise a recording",
        about="Speech stays, noise goes. Everything happens on this machine.",
        drop="a recording",
        suffixes=SUFFIXES,
        qualities=QUALITIES,
        amount="Share of the result; the rest is the input",
        action="Remove noise",
    )
    try:
        model = Denoiser.from_pretrained(weights, device=device.value)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    try:
        serve(
            page, _work(model), port=port, browser=not no_browser, most_bytes=largest << 20,
            name="diff-audio studio",
        )  # fmt: skip
    except OSError as error:
        failures.add(f"port {port}", error)
        return 1
    return 0


def _work(model: Denoiser) -> Callable[[Path, Choices, Callable[[float], None]], Made]:
    from diff_audio.denoiser.confidence import Tracks
    from diff_audio.denoiser.settings import Settings
    from diff_audio.jobs.denoise import denoise_file
    from diff_audio.pages.report import write_report
    from diff_core.command.studio import Made

    def work(source: Path, choices: Choices, advance: Callable[[float], None]) -> Made:
        target = source.with_name(TAG.join(SOUND.split(source.name)))
        settings, tracks = Settings.of(choices.quality, mix=choices.amount), Tracks()
        outcome = denoise_file(
            model, source, target, settings, on_part=tracks.add, on_progress=advance
        )
        report = target.with_suffix(".html")
        write_report(report, outcome, tracks, settings)
        return Made(target, report)

    return work


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
