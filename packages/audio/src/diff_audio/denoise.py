"""`python -m diff_audio.denoise in.wav`: writes in_denoised.wav beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_audio.files import SUFFIXES
from diff_audio.names import NOISE_TAG, TAG
from diff_core.command import Device, Failures, FileKind, Job, process, run, use, version_of

if TYPE_CHECKING:
    from diff_audio.recording import Outcome

__all__ = ["app", "main"]

COMMAND = "diff_audio.denoise"
SOUND = FileKind("sound files", SUFFIXES)
CLIPPED = (
    "{} samples lay beyond full scale and were cut off; "
    "lower the level of the input, or convert it to a float WAV first"
)
FLAT = (
    "the input is clipped: {} samples were cut off at full scale when it was recorded; "
    "denoising does not bring them back"
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


SAMPLE_STEPS = 4


@dataclass(frozen=True)
class Skipped:
    """A file whose output was there."""

    input: str
    output: str
    skipped: bool = True


def _version(wanted: bool) -> None:
    if wanted:
        print(version_of("diff-audio"))
        raise typer.Exit


@app.command()
def denoise(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Sound files, folders or patterns.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File, or folder; default: NAME_denoised beside the input."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out inputs whose output exists.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="Search subfolders too.")] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Network passes. 1, the default, is the most faithful; more walk the bridge to "
            "one likely recording: crisper, less faithful.",
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1, help="Average this many posterior samples (4 passes each by default)."
        ),
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    limit: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="DB", help="Take away at most this many dB; 0 changes nothing."
        ),
    ] = None,
    mix: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="Share of the result in the output; the rest is the input.",
        ),
    ] = 1.0,
    keep_noise: Annotated[
        bool,
        typer.Option(
            "--keep-noise",
            help="Write what was taken away too, as NAME_removed: input = output + removed, "
            "sample for sample.",
        ),
    ] = False,
    confidence: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="Write how far each second may be trusted; better told with --samples.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="Write a page to hear and see before, after, removed."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="CLEAN", help="Clean recording, for the scores in the report."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw the first two minutes, before and after, into this PNG."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A model of your own training (.safetensors).")
    ] = None,
    nan_to_zero: Annotated[
        bool, typer.Option("--nan-to-zero", help="Take NaN and Inf samples for silence.")
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
    """Remove noise from recordings of speech.

    Rate, channels, length, format and tags stay as they are. Nothing is uploaded or downloaded.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    if steps is None:
        steps = 1 if samples == 1 else SAMPLE_STEPS
    if samples > 1 and steps == 1:
        raise typer.BadParameter(
            "--samples above 1 needs 2 passes or more: a single pass is not random"
        )
    if overwrite and skip_existing:
        raise typer.BadParameter("--overwrite and --skip-existing exclude each other")
    if reference is not None and report is None:
        raise typer.BadParameter("--reference is for the scores in --report; name that too")
    failures = Failures(COMMAND, debug=debug)

    def is_product(path: Path) -> bool:
        if output is None:
            return path.stem.endswith((TAG, NOISE_TAG))
        return output.resolve() in path.resolve().parents

    sources = SOUND.expand(inputs, failures, recursive=recursive, skip=is_product)
    jobs = SOUND.plan(sources, output, TAG, failures)
    pages = {"--picture": picture, "--report": report, "--confidence": confidence}
    for option, path in pages.items():
        if path is not None and len(jobs) > 1:
            raise typer.BadParameter(f"{option} is of one recording, but several are given")
        if path is not None and path.exists() and not overwrite and option != "--picture":
            raise typer.BadParameter(f"{path} exists; add --overwrite or choose another name")
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_audio.confidence import Tracks
    from diff_audio.enhancer import Denoiser, Settings
    from diff_audio.recording import denoise_file, draw

    use(device, threads)
    try:
        model = Denoiser.from_pretrained(weights, device=device.value)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    settings = Settings(steps=steps, samples=samples, seed=seed, limit_db=limit, mix=mix)

    def do(job: Job, advance: Callable[[float], None]) -> Outcome | Skipped:
        if skip_existing and job.target.exists():
            return Skipped(str(job.source), str(job.target))
        tracks = Tracks()
        outcome = denoise_file(
            model,
            job.source,
            job.target,
            settings,
            overwrite=overwrite,
            nan_to_zero=nan_to_zero,
            keep_noise=keep_noise,
            on_part=tracks.add if report or confidence else None,
            on_progress=advance,
        )
        if picture is not None:
            draw(job.source, job.target, picture)
        if confidence is not None:
            from diff_audio.confidence import seconds, write

            write(confidence, seconds(tracks), input=outcome.input, samples=samples)
        if report is not None:
            from diff_audio.report import write_report

            write_report(report, outcome, tracks, settings, reference)
        return outcome

    return process(
        jobs, do, failures, line=_line, warnings=_warnings, quiet=quiet, as_json=as_json
    )


def _line(outcome: Outcome | Skipped) -> str:
    if isinstance(outcome, Skipped):
        return f"{outcome.input}: {outcome.output} exists, skipped"
    times = f"{outcome.seconds:.1f} s in {outcome.took:.1f} s"
    speed = f"{outcome.seconds / outcome.took:.1f} x real time"
    return f"{outcome.input} -> {outcome.output}  ({times}, {speed})"


def _warnings(outcome: Outcome | Skipped) -> list[str]:
    if isinstance(outcome, Skipped):
        return []
    found = [FLAT.format(outcome.flat)] if outcome.flat else []
    return [*found, CLIPPED.format(outcome.clipped)] if outcome.clipped else found


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
