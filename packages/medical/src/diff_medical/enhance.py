"""`python -m diff_medical.enhance scan.nii.gz`: writes scan_enhanced.nii.gz beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import Device, Failures, Job, process, run, use, version_of
from diff_medical.bids import is_derivative, named
from diff_medical.files import SCANS
from diff_medical.noise_model import parse_distribution
from diff_medical.sources import find_inputs, plan_series

__all__ = ["app", "main"]

COMMAND = "diff_medical.enhance"
TAG = "_enhanced"
PRODUCTS = (TAG, "_residual")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Modality(StrEnum):
    auto = "auto"
    mr = "mr"
    ct = "ct"


class Datatype(StrEnum):
    input = "input"
    float32 = "float32"


def _version(wanted: bool) -> None:
    if wanted:
        print(version_of("diff-medical"))
        raise typer.Exit


def _level(text: str) -> tuple[float | None, float | None, Path | None]:
    """(sigma, percent, map) of --sigma, of which one at most is not None."""
    if text == "auto":
        return None, None, None
    if SCANS.matches(Path(text)):
        return None, None, Path(text)
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(
            f"--sigma is {text!r}; expected auto, a number >= 0 in the scan's units, one with "
            "% for percent of its maximum, or a NIfTI file"
        )
    return (None, value, None) if text.endswith("%") else (value, None, None)


def _noise(text: str) -> str:
    """--noise, checked."""
    try:
        parse_distribution(text)
    except ValueError as error:
        raise typer.BadParameter(f"--{error}") from error
    return text


@app.command()
def enhance(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="NIfTI files, folders, patterns; folders or .zip files of DICOM series.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File, or folder; default: NAME_enhanced beside the input. For DICOM a folder, "
            "or a .nii.gz file.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="Search subfolders too.")] = False,
    modality: Annotated[
        Modality, typer.Option(help="CT is recognised by the Hounsfield units of air.")
    ] = Modality.auto,
    noise: Annotated[
        str,
        typer.Option(
            metavar="auto|gaussian|rician|ncchi:N",
            callback=_noise,
            help="Rician is recognised by a background of noise alone; ncchi:N is the sum of "
            "squares of N coils.",
        ),
    ] = "auto",
    sigma: Annotated[
        str,
        typer.Option(
            metavar="auto|VALUE|P%|MAP",
            help="Noise level: estimated, in the scan's units, in percent of its maximum, or a "
            "NIfTI file with that of each voxel.",
        ),
    ] = "auto",
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the change that is made.")
    ] = 1.0,
    mask: Annotated[
        Path | None, typer.Option(help="NIfTI file: voxels where it is 0 stay as they are.")
    ] = None,
    samples: Annotated[
        int,
        typer.Option(min=0, help="Average this many posterior samples; 0: one pass, the mean."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    dtype: Annotated[
        Datatype,
        typer.Option(help="Datatype written: the input's own, with its slope, or float32."),
    ] = Datatype.input,
    residual: Annotated[
        bool, typer.Option("--residual", help="Also write NAME_residual: input - output.")
    ] = False,
    uncertainty: Annotated[
        Path | None,
        typer.Option(help="Write the standard deviation of each voxel's error (NIfTI file)."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page on what was done (HTML, one file).")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw three planes before and after into this PNG.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A model of your own training (.safetensors).")
    ] = None,
    nan_to_zero: Annotated[
        bool, typer.Option("--nan-to-zero", help="Take NaN and Inf voxels for 0.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each file.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only warnings and errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> int:
    """Remove noise from MR and CT scans.

    Grid, orientation, units, header and datatype stay as they are; HU stay HU; a series (4-D) is
    enhanced volume by volume. A DICOM series stays DICOM, with new UIDs, unless -o names a NIfTI
    file. Scans of a BIDS dataset go into its derivatives. Nothing is uploaded or downloaded. For
    research; not a medical device.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    value, percent, sigma_map = _level(sigma)
    if sigma_map is not None and samples:
        raise typer.BadParameter("--samples needs one noise level, --sigma gives one a voxel")
    if uncertainty is not None and not SCANS.matches(uncertainty):
        raise typer.BadParameter(f"--uncertainty is {uncertainty}; expected a .nii.gz file")
    if uncertainty is not None and strength != 1:
        raise typer.BadParameter("--uncertainty is of the whole change: it needs --strength 1")
    failures = Failures(COMMAND, debug=debug)

    def is_product(path: Path) -> bool:
        if output is None or SCANS.matches(output):
            stem = SCANS.split(path.name)[0] if SCANS.matches(path) else path.name
            return stem.endswith(PRODUCTS) or is_derivative(path)
        return output.resolve() in path.resolve().parents

    found = find_inputs(inputs, failures, recursive=recursive, skip=is_product)
    sources = SCANS.expand(found.others, failures, recursive=recursive, skip=is_product)
    jobs = named(SCANS.plan(sources, output, TAG, failures), output)
    jobs += plan_series(found.series, output, TAG, alone=not sources)
    if len(jobs) > 1:
        for name, given in (
            ("picture", picture), ("report", report), ("uncertainty", uncertainty),
        ):  # fmt: skip
            if given is not None:
                raise typer.BadParameter(f"--{name} is of one scan, but several are given")
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_medical.enhancer import Enhancer
    from diff_medical.products import Products
    from diff_medical.scans import Outcome, enhance_file
    from diff_medical.settings import Settings

    use(device, threads)
    try:
        enhancer = Enhancer.from_pretrained(weights, device=device.value)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    settings = Settings(
        modality=modality.value, noise=noise, sigma=value, percent=percent, strength=strength,
        samples=samples, seed=seed, uncertainty=uncertainty is not None,
    )  # fmt: skip

    def do(job: Job, advance: Callable[[float], None]) -> Outcome:
        return enhance_file(
            enhancer,
            job.source,
            job.target,
            settings,
            products=Products(residual, uncertainty, picture, report),
            sigma_map=sigma_map,
            mask=mask,
            float32=dtype is Datatype.float32,
            overwrite=overwrite,
            nan_to_zero=nan_to_zero,
            on_progress=advance,
        )

    def line(outcome: Outcome) -> str:
        kind = f"{outcome.modality.upper()}, {outcome.distribution} noise {outcome.sigma:.4g}"
        what = f"unchanged: {outcome.unchanged}" if outcome.unchanged else kind
        return f"{outcome.input} -> {outcome.output}  ({what}; {outcome.seconds:.1f} s)"

    def warnings(outcome: Outcome) -> list[str]:
        return [f"note: {note}" for note in outcome.notes]

    return process(jobs, do, failures, line=line, warnings=warnings, quiet=quiet, as_json=as_json)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
