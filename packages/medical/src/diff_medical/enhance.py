"""`python -m diff_medical.enhance scan.nii.gz`: writes scan_enhanced.nii.gz beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import App, Failures, Job, options, process, run, use
from diff_medical.bids import is_derivative, named
from diff_medical.files import SCANS
from diff_medical.options import Datatype, Modality, Profile, Quality, alone, level, noise_model
from diff_medical.products import TAGS
from diff_medical.sources import find_inputs, plan_series

__all__ = ["app", "main"]

COMMAND = "diff_medical.enhance"
WORTH_SAYING = 20  # predicted seconds

app = App()


@app.command()
def enhance(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="NIfTI and MGH files, folders, patterns; folders or .zip files of DICOM series.",
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
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    modality: Annotated[
        Modality, typer.Option(help="CT is recognised by the Hounsfield units of air.")
    ] = Modality.auto,
    noise: Annotated[
        str,
        typer.Option(
            metavar="auto|gaussian|rician|ncchi:N|poisson-ct",
            callback=noise_model,
            help="Rician is recognised by a background of noise alone; ncchi:N is the sum of "
            "squares of N coils; poisson-ct is that of CT where rays pass through more.",
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
    dose: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Of CT made with this share of a full dose (0.25): a full dose's noise stays.",
        ),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="NIfTI file: voxels where it is 0 stay as they are.")
    ] = None,
    quality: Annotated[
        Quality,
        typer.Option(help="How often every voxel is looked at, and in how many planes."),
    ] = Quality.default,
    upsample: Annotated[
        int | None,
        typer.Option(min=2, max=8, help="Write so many times as many slices, thinner ones."),
    ] = None,
    spacing: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="X Y Z", help="The same, by the voxel size wanted, mm."),
    ] = None,
    profile: Annotated[
        Profile, typer.Option(help="What a slice sees: for --upsample and --spacing.")
    ] = Profile.gaussian,
    inpaint: Annotated[
        Path | None,
        typer.Option(help="NIfTI file: voxels where it is not 0 are filled; they are invented."),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(min=0, help="Average this many posterior samples; 0: one pass, the mean."),
    ] = 0,
    seed: options.Seed = 0,
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
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: options.Weights = None,
    nan_to_zero: Annotated[
        bool, typer.Option("--nan-to-zero", help="Take NaN and Inf voxels for 0.")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Remove noise from MR and CT scans (NIfTI, MGH, DICOM).

    Grid, orientation, units, header and datatype stay as they are; HU stay HU; a series (4-D) is
    enhanced volume by volume. A DICOM series stays DICOM, with new UIDs, unless -o names a NIfTI
    file. Scans of a BIDS dataset go into its derivatives. Nothing is uploaded or downloaded. For
    research; not a medical device.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    value, percent, sigma_map = level(sigma)
    if overwrite and skip_existing:
        raise typer.BadParameter("--overwrite and --skip-existing exclude each other")
    if samples and (sigma_map is not None or noise == "poisson-ct"):
        which = "--noise poisson-ct" if sigma_map is None else "--sigma"
        raise typer.BadParameter(f"--samples needs one noise level, {which} gives one a voxel")
    if uncertainty is not None and not SCANS.matches(uncertainty):
        raise typer.BadParameter(f"--uncertainty is {uncertainty}; expected a .nii.gz file")
    if uncertainty is not None and strength != 1:
        raise typer.BadParameter("--uncertainty is of the whole change: it needs --strength 1")
    if dose is not None and (strength != 1 or not 0 < dose < 1):
        raise typer.BadParameter(
            f"--dose is {dose:g}; expected a share between 0 and 1, without --strength"
        )
    restoring = alone(
        {"upsample": upsample, "spacing": spacing, "inpaint": inpaint},
        {
            "sigma MAP": sigma_map, "mask": mask, "samples": samples, "residual": residual,
            "uncertainty": uncertainty, "report": report is not None and inpaint is None,
            "picture": picture,
            "strength": strength != 1, "dose": dose, "quality": quality is not Quality.default,
            "noise poisson-ct": noise == "poisson-ct",
        },
    )  # fmt: skip
    failures = Failures(COMMAND, debug=debug)
    made = SCANS.products(inputs, output, TAGS)

    def is_product(path: Path) -> bool:
        beside = output is None or SCANS.matches(output)
        return made(path) or (beside and is_derivative(path))

    found = find_inputs(inputs, failures, recursive=recursive, skip=is_product)
    sources = SCANS.expand(found.others, failures, recursive=recursive, skip=is_product)
    tag = "_enhanced" if not restoring else "_inpainted" if inpaint else "_upsampled"
    jobs = SCANS.plan(sources, output, tag, failures)
    jobs = jobs if restoring else named(jobs, output)
    jobs += plan_series(found.series, output, tag, alone=not sources)
    if len(jobs) > 1:
        for name, given in (
            ("picture", picture), ("report", report), ("uncertainty", uncertainty),
        ):  # fmt: skip
            if given is not None:
                raise typer.BadParameter(f"--{name} is of one scan, but several are given")
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_medical.enhancer import Enhancer
    from diff_medical.planes import Passes
    from diff_medical.products import Products
    from diff_medical.restoration import restore_file
    from diff_medical.restored import Restored, Wish
    from diff_medical.scans import Outcome, enhance_file
    from diff_medical.settings import Settings

    use(device, threads)
    try:
        enhancer = Enhancer.from_pretrained(weights, device=device)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    settings = Settings(
        modality=modality.value, noise=noise, sigma=value, percent=percent, strength=strength,
        dose=dose, samples=samples, seed=seed, quality=quality.value,
        uncertainty=uncertainty is not None,
    )  # fmt: skip

    def do(job: Job, advance: Callable[[float], None]) -> Outcome | Restored:
        if restoring:
            return restore_file(
                enhancer, job.source, job.target,
                Wish(upsample, spacing, inpaint, profile.value), settings, report=report,
                float32=dtype is Datatype.float32, overwrite=overwrite,
                nan_to_zero=nan_to_zero, on_progress=advance,
            )  # fmt: skip
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
            on_plan=None if quiet or as_json else partial(plan, job),
        )

    def plan(job: Job, passes: Passes, seconds: float) -> None:
        if seconds >= WORTH_SAYING:
            typer.echo(f"{job.source}: {passes}, about {seconds:.0f} s", err=True)

    def line(outcome: Outcome | Restored) -> str:
        if isinstance(outcome, Restored):
            return outcome.line()
        kind = f"{outcome.modality.upper()}, {outcome.distribution} noise {outcome.sigma:.4g}"
        how = f"{kind}; {outcome.planes}"
        what = f"unchanged: {outcome.unchanged}" if outcome.unchanged else how
        return f"{outcome.input} -> {outcome.output}  ({what}; {outcome.seconds:.1f} s)"

    def warnings(outcome: Outcome | Restored) -> list[str]:
        return [f"note: {note}" for note in outcome.notes]

    return process(
        jobs, do, failures, line=line, warnings=warnings, quiet=quiet, as_json=as_json,
        skip_existing=skip_existing,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
