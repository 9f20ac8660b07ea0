"""`python -m diff_audio.denoise in.wav`: writes in_denoised.wav beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from diff_audio.files import SUFFIXES
from diff_core.command import Device, Failures, FileKind, Job, process, run, use, version_of

__all__ = ["app", "main"]

COMMAND = "diff_audio.denoise"
TAG = "_denoised"
SOUND = FileKind("sound files", SUFFIXES)
CLIPPED = (
    "{} samples lay beyond full scale and were cut off; "
    "lower the level of the input, or convert it to a float WAV first"
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


SAMPLE_STEPS = 4


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
    failures = Failures(COMMAND, debug=debug)

    def is_product(path: Path) -> bool:
        if output is None:
            return path.stem.endswith(TAG)
        return output.resolve() in path.resolve().parents

    sources = SOUND.expand(inputs, failures, recursive=recursive, skip=is_product)
    jobs = SOUND.plan(sources, output, TAG, failures)
    if picture is not None and len(jobs) > 1:
        raise typer.BadParameter("--picture draws one recording, but several are given")
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_audio.enhancer import Denoiser, Settings
    from diff_audio.recording import Outcome, denoise_file, draw

    use(device, threads)
    try:
        model = Denoiser.from_pretrained(weights, device=device.value)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    settings = Settings(steps=steps, samples=samples, seed=seed, limit_db=limit)

    def do(job: Job, advance: Callable[[float], None]) -> Outcome:
        outcome = denoise_file(
            model,
            job.source,
            job.target,
            settings,
            overwrite=overwrite,
            nan_to_zero=nan_to_zero,
            on_progress=advance,
        )
        if picture is not None:
            draw(job.source, job.target, picture)
        return outcome

    def line(outcome: Outcome) -> str:
        times = f"{outcome.seconds:.1f} s in {outcome.took:.1f} s"
        speed = f"{outcome.seconds / outcome.took:.1f} x real time"
        return f"{outcome.input} -> {outcome.output}  ({times}, {speed})"

    def warnings(outcome: Outcome) -> list[str]:
        return [CLIPPED.format(outcome.clipped)] if outcome.clipped else []

    return process(jobs, do, failures, line=line, warnings=warnings, quiet=quiet, as_json=as_json)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
