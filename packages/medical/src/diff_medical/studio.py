"""`diff-medical studio`: a page on this machine to enhance scans by hand and compare planes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from diff_core.command import Device, Failures, options, run, use
from diff_core.command.studio_options import Browser, Largest, Port, ready
from diff_medical.files import SCANS

if TYPE_CHECKING:
    from diff_core.command.studio import Choices, Made
    from diff_medical.enhancer import Enhancer

__all__ = ["app", "main"]

COMMAND = "diff_medical.studio"
TAG = "_enhanced"
QUALITIES = {
    "draft": "One look at every voxel.",
    "default": "4.5 looks, in three directions; 3 looks at thick slices.",
    "best": "9 looks, in three directions; 12 looks at thick slices.",
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
    """Open a page to drop a scan, see it before and after, and download the result.

    The page is served to this machine only and loads nothing from a network. Uploads lie in a
    temporary folder that goes when the studio stops. The result is the file that enhance writes;
    of a zipped DICOM series its folder, zipped. For research; not a medical device.
    """
    failures = Failures(COMMAND, debug=debug)
    if not ready("diff-medical", failures):
        return 1

    from diff_core.command.studio import Page, serve
    from diff_medical.enhancer import Enhancer

    use(device, threads)
    page = Page(
        title="Enhance a scan",
        about="Noise goes, anatomy stays. Everything happens on this machine. For research; not "
        "a medical device.",
        drop="a scan",
        suffixes=(*SCANS.suffixes, ".zip"),
        qualities=QUALITIES,
        amount="Share of the change that is made",
        action="Remove noise",
        dark=True,
    )
    try:
        enhancer = Enhancer.from_pretrained(weights, device=device.value)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    try:
        serve(
            page, _work(enhancer), port=port, browser=not no_browser, most_bytes=largest << 20,
            name="diff-medical studio",
        )  # fmt: skip
    except OSError as error:
        failures.add(f"port {port}", error)
        return 1
    return 0


def _work(enhancer: Enhancer) -> Callable[[Path, Choices, Callable[[float], None]], Made]:
    import shutil

    from diff_core.command.studio import Made
    from diff_medical.products import Products
    from diff_medical.scans import enhance_file
    from diff_medical.settings import Settings

    def work(source: Path, choices: Choices, advance: Callable[[float], None]) -> Made:
        is_series = source.suffix.lower() == ".zip"
        stem, suffix = (source.stem, "") if is_series else SCANS.split(source.name)
        target = source.with_name(f"{stem}{TAG}{suffix}")
        report = source.with_name(f"{stem}{TAG}.html")
        settings = Settings(quality=choices.quality, strength=choices.amount)  # type: ignore[arg-type]
        enhance_file(
            enhancer, source, target, settings,
            products=Products(report=report), on_progress=advance,
        )  # fmt: skip
        if is_series:
            target = Path(shutil.make_archive(target.name, "zip", ".", target.name))
        return Made(target, report)

    return work


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
