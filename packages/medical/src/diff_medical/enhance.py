"""`python -m diff_medical.enhance scan.nii.gz`: writes scan_enhanced.nii.gz beside it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from diff_core.command import App, Failures, Job, options, process, run, usage, use
from diff_core.lines import print_line
from diff_core.progress import Progress
from diff_medical.enhancer.settings import Settings
from diff_medical.jobs.bids_app import BidsApp, bids_app
from diff_medical.jobs.choice import distinct, magnitudes
from diff_medical.jobs.inputs import find_inputs, plan_series
from diff_medical.jobs.options import alone, are_scans, exclude, level, reports
from diff_medical.jobs.products import Products
from diff_medical.restore.outcome import Profile, Restored, Wish
from diff_medical.scan.bids import is_derivative, named
from diff_medical.scan.kinds import SCANS, is_alone, single
from diff_medical.scan.names import TAGS
from diff_medical.slices.passes import Passes, Quality

if TYPE_CHECKING:
    from diff_medical.enhancer.outcome import Outcome

__all__ = ["app", "main"]

COMMAND = "diff_medical.enhance"
WORTH_SAYING = 20  # predicted seconds
NOISE, RESTORE, OUTPUTS = "Noise", "Thinner slices and filled holes", "Further outputs"

app = App()


@app.command(
    examples={
        "scan.nii.gz": "Write scan_enhanced.nii.gz beside the scan.",
        "bids_dir/ out_dir/ participant": "Enhance a BIDS dataset as a BIDS App does.",
        "dicom_folder/ -o cleaned/ --dose 0.25 --report page.html": "Enhance a CT series of a "
        "quarter of the full dose, and write a page on it.",
    },
    renamed={"percent": "sigma", "sigma_map": "sigma", "float32": "--dtype float32"},
    remote=True,
)
def enhance(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="NIfTI, MGH, NRRD and MetaImage files, folders, patterns; folders or .zip files "
            "of DICOM series; or BIDS_DIR OUT_DIR participant.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File or folder; default: NAME_enhanced beside the input. For DICOM a folder, "
            "or a .nii.gz file.",
            rich_help_panel=options.FILES,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    strict: options.Strict = False,
    shard: options.ShardOf = None,
    summary: options.SummaryFile = None,
    participant_label: Annotated[
        list[str],
        typer.Option(
            help="A participant of BIDS_DIR; may be given repeatedly. Default: all.",
            rich_help_panel=options.FILES,
        ),
    ] = [],  # noqa: B006
    modality: Annotated[
        Literal["auto", "mr", "ct"],
        typer.Option(
            help="The kind of scan; auto recognises CT by the Hounsfield units of air.",
            rich_help_panel=NOISE,
        ),
    ] = "auto",
    noise: Annotated[
        str,
        typer.Option(
            metavar="auto|gaussian|rician|ncchi:N|poisson-ct",
            help="The distribution of the noise. auto recognises Rician noise by a background of "
            "noise alone. ncchi:N is the sum of squares of N coils. poisson-ct is CT noise, "
            "stronger where rays pass through more tissue.",
            rich_help_panel=NOISE,
        ),
    ] = "auto",
    sigma: Annotated[
        str,
        typer.Option(
            metavar="auto|local|VALUE|P%|MAP",
            help="The noise level: estimated for the scan or for each voxel (MR), in the units of "
            "the scan, in percent of its maximum, or a NIfTI file with the level of each voxel.",
            rich_help_panel=NOISE,
        ),
    ] = "auto",
    strength: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="The fraction of the noise to remove.", rich_help_panel=NOISE
        ),
    ] = 1.0,
    dose: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="The dose of this CT scan as a fraction of a full dose (0.25); the noise that a "
            "full-dose scan would have is kept.",
            rich_help_panel=NOISE,
        ),
    ] = None,
    floor: Annotated[
        Literal["remove", "keep"],
        typer.Option(
            help="The noise floor of magnitudes (Rician, ncchi:N) where there is little signal.",
            rich_help_panel=NOISE,
        ),
    ] = "remove",
    mask: Annotated[
        Path | None,
        typer.Option(
            help="A NIfTI file: voxels where it is 0 stay as they are.", rich_help_panel=NOISE
        ),
    ] = None,
    series: Annotated[
        Literal["auto", "lowrank", "network", "both"],
        typer.Option(
            help="A series (4-D): enhance its volumes together by low rank, each alone by the "
            "network, or both in that order. auto takes lowrank from 8 volumes on."
        ),
    ] = "auto",
    quality: Annotated[
        Quality,
        typer.Option(help="How many estimates are averaged for each voxel: more take longer."),
    ] = "default",
    upsample: Annotated[
        int | None,
        typer.Option(
            min=2, max=8, help="Write this many times as many slices.", rich_help_panel=RESTORE
        ),
    ] = None,
    spacing: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="X Y Z",
            help="Write slices for voxels of this size, in mm.",
            rich_help_panel=RESTORE,
        ),
    ] = None,
    profile: Annotated[
        Profile,
        typer.Option(
            help="The slice profile of the scan, for --upsample and --spacing.",
            rich_help_panel=RESTORE,
        ),
    ] = "gaussian",
    inpaint: Annotated[
        Path | None,
        typer.Option(
            help="A NIfTI file: voxels where it is not 0 are filled; the filling is invented.",
            rich_help_panel=RESTORE,
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(min=0, help="Average this many posterior samples; 0: the posterior mean."),
    ] = 0,
    seed: options.Seed = 0,
    dtype: Annotated[
        Literal["input", "float32"],
        typer.Option(
            help="The datatype to write: the input's own, with its slope, or float32.",
            rich_help_panel=OUTPUTS,
        ),
    ] = "input",
    residual: Annotated[
        bool,
        typer.Option(
            "--residual",
            help="Also write NAME_residual: input - output.",
            rich_help_panel=OUTPUTS,
        ),
    ] = False,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            help="Write the standard deviation of each voxel's error (a NIfTI file).",
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    noise_map: Annotated[
        Path | None,
        typer.Option(
            help="Write the noise level of each voxel, as it was assumed (a NIfTI file).",
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="HTML|FOLDER",
            help="Write a page on the result; for several scans, a folder with a page for each "
            "and an index.",
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    viewer: Annotated[
        bool,
        typer.Option(
            "--viewer",
            help="Write NAME_viewer.html beside each page of --report, which opens the scan "
            "before and after in NiiVue.",
            rich_help_panel=OUTPUTS,
        ),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            help="Draw three planes before and after into this PNG.", rich_help_panel=OUTPUTS
        ),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: options.Weights = None,
    nan_to_zero: Annotated[
        bool,
        typer.Option(
            "--nan-to-zero", help="Take NaN and Inf voxels for 0.", rich_help_panel=options.FILES
        ),
    ] = False,
    keep_nan: Annotated[
        bool,
        typer.Option(
            "--keep-nan",
            help="Keep NaN and Inf voxels as they are.",
            rich_help_panel=options.FILES,
        ),
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Remove noise from MR and CT scans (NIfTI, MGH, NRRD, MetaImage, DICOM).

    Grid, orientation, units, header and datatype stay as they are; HU stay HU; the volumes of a
    series (4-D) are enhanced together. A DICOM series stays DICOM, with new UIDs, unless -o names
    a NIfTI file. Scans of a BIDS dataset go into its derivatives. Nothing is uploaded or
    downloaded but what you name by an address (s3://...). For research; not a medical device.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    value, percent, sigma_map = level(sigma)
    exclude({"--overwrite": overwrite, "--skip-existing": skip_existing})
    exclude({"--nan-to-zero": nan_to_zero, "--keep-nan": keep_nan})
    float32 = dtype == "float32"
    missing = "keep" if keep_nan else "zero" if nan_to_zero else "refuse"
    maps = are_scans({"uncertainty": uncertainty, "noise-map": noise_map})
    with usage():
        settings = Settings(
            modality=modality, noise=noise, sigma=value, percent=percent, strength=strength,
            dose=dose, floor=floor, samples=samples, seed=seed, quality=quality,
            local=sigma == "local", uncertainty=uncertainty is not None, series=series,
        )  # fmt: skip
        settings.check_map(given=sigma_map is not None)
    restoring = alone(
        {"upsample": upsample, "spacing": spacing, "inpaint": inpaint},
        {
            "sigma MAP": sigma_map, "mask": mask, "samples": samples, "residual": residual,
            **maps, "report": report is not None and inpaint is None,
            "picture": picture, "strength": strength != 1, "dose": dose,
            "floor keep": floor == "keep", "quality": quality != "default", "keep-nan": keep_nan,
            "series": series != "auto", "noise poisson-ct": noise == "poisson-ct",
        },
    )  # fmt: skip
    failures = Failures(COMMAND, debug=debug, strict=strict)
    tag = "_enhanced" if not restoring else "_inpainted" if inpaint else "_upsampled"
    if (app_run := bids_app(inputs, output, participant_label)) is not None:
        if restoring:
            raise typer.BadParameter("a BIDS App run removes noise; leave out the other options")
        inputs, output, recursive = [str(app_run.dataset)], app_run.output, True
    jobs = _jobs(inputs, output, tag, failures, recursive=recursive, app_run=app_run)
    pages = reports(report, jobs, output, {"picture": picture, **maps}, viewer=viewer)
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_medical.enhancer.enhancer import Enhancer
    from diff_medical.jobs.enhance import enhance_file
    from diff_medical.jobs.restore import restore_file
    from diff_medical.pages.numbers import numbers

    use(device, threads)
    try:
        enhancer = Enhancer.from_pretrained(weights, device=device)
    except ValueError as error:
        failures.add("the model", error)
        return 1

    def do(job: Job, advance: Progress) -> Outcome | Restored:
        page, small = pages.files(job)
        scripts = pages.folder if viewer else None
        products = Products(residual, uncertainty, noise_map, picture, page, small, scripts)
        common: Any = {"overwrite": overwrite, "on_progress": advance}
        if restoring:
            outcome = restore_file(
                enhancer, job.source, job.target, Wish(upsample, spacing, inpaint, profile),
                settings, report=page, thumbnail=small, view=products.view,
                nan_to_zero=nan_to_zero, float32=float32, **common,
            )  # fmt: skip
        else:
            outcome = enhance_file(
                enhancer, job.source, job.target, settings, sigma_map=sigma_map, mask=mask,
                products=products, missing=missing, float32=float32,
                on_plan=None if quiet or as_json else partial(_plan, job), **common,
            )  # fmt: skip
        pages.describe(job, numbers(outcome), mark="SYNTHETIC" if outcome.synthetic else "")
        return outcome

    return process(
        jobs, do, failures, line=_line, warnings=_warnings, quiet=quiet, as_json=as_json,
        skip_existing=skip_existing, shard=shard, summary=summary, reports=pages,
    )  # fmt: skip


def _jobs(
    inputs: list[str],
    output: Path | None,
    tag: str,
    failures: Failures,
    *,
    recursive: bool,
    app_run: BidsApp | None = None,
) -> list[Job]:
    """Return the scans to work on, each with its target; `tag` ends the name of a target."""
    made = SCANS.products(inputs, output, TAGS)

    def is_product(path: Path) -> bool:
        beside = output is None or SCANS.matches(output)
        outside = app_run is not None and not app_run.covers(path)
        return made(path) or is_alone(path) or (beside and is_derivative(path)) or outside

    found = find_inputs(inputs, failures, recursive=recursive, skip=is_product)
    sources = SCANS.expand(
        found.others, failures, recursive=recursive, skip=is_product, enough=found.enough
    )
    jobs = SCANS.plan(magnitudes(sources, failures), output, tag, failures, single)
    jobs = named(jobs, output) if tag == "_enhanced" else jobs
    return distinct(jobs + plan_series(found.series, output, tag, alone=not sources), failures)


def _plan(job: Job, passes: Passes, seconds: float) -> None:
    """Print the time that a scan will take, if it is long."""
    if seconds >= WORTH_SAYING:
        print_line(f"{COMMAND}: {job.source}: {passes}, about {seconds:.0f} s", sys.stderr)


def _line(outcome: Outcome | Restored) -> str:
    """Return the line that is printed for a scan."""
    if isinstance(outcome, Restored):
        return outcome.line()
    kind = f"{outcome.modality.upper()}, {outcome.distribution} noise {outcome.sigma:.4g}"
    how = f"{kind}; {outcome.planes}"
    what = f"unchanged: {outcome.unchanged}" if outcome.unchanged else how
    return f"{outcome.input} -> {outcome.output}  ({what}; {outcome.seconds:.1f} s)"


def _warnings(outcome: Outcome | Restored) -> list[str]:
    return [f"note: {note}" for note in outcome.notes]


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
