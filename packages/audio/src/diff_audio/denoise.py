"""`python -m diff_audio.denoise in.wav`: writes in_denoised.wav beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_audio.names import PRODUCTS, SOUND, TAG
from diff_audio.quality import Quality
from diff_core.command import App, Failures, Job, options, process, require_new, run, use

if TYPE_CHECKING:
    from diff_audio.enhancer import Denoiser, Settings
    from diff_audio.recording import Outcome

__all__ = ["app", "main"]

COMMAND = "diff_audio.denoise"
CLIPPED = (
    "{} samples lay beyond full scale and were cut off; "
    "lower the level of the input, or convert it to a float WAV first"
)
FLAT = (
    "the input is clipped: {} samples were cut off at full scale when it was recorded; "
    "denoising does not bring them back"
)

app = App()

SAMPLE_STEPS = 4
SHORT = 180.0  # seconds of sound, times network calls, under which no time is foretold


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
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    quality: Annotated[
        Quality,
        typer.Option(
            help="draft: half precision where the processor is fast at it. default: one network "
            "call. best: the mean of four, on frame grids in between."
        ),
    ] = Quality.default,
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
    seed: options.Seed = 0,
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
    separate: Annotated[
        bool,
        typer.Option(
            "--separate",
            help="Treat each channel by itself, as for microphones that hear different things; "
            "else one mask for all keeps every sound in its place.",
        ),
    ] = False,
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
        options.picture("Draw the first two minutes, before and after, into this PNG."),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: options.Weights = None,
    nan_to_zero: Annotated[
        bool, typer.Option("--nan-to-zero", help="Take NaN and Inf samples for silence.")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
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
    if samples > 1 and quality is Quality.best:
        raise typer.BadParameter("--samples and --quality best exclude each other")
    if overwrite and skip_existing:
        raise typer.BadParameter("--overwrite and --skip-existing exclude each other")
    if reference is not None and report is None:
        raise typer.BadParameter("--reference is for the scores in --report; name that too")
    failures = Failures(COMMAND, debug=debug)
    is_product = SOUND.products(inputs, output, PRODUCTS)
    sources = SOUND.expand(inputs, failures, recursive=recursive, skip=is_product)
    jobs = SOUND.plan(sources, output, TAG, failures)
    pages = {"--picture": picture, "--report": report, "--confidence": confidence}
    for option, path in pages.items():
        if path is not None and len(jobs) > 1:
            raise typer.BadParameter(f"{option} is of one recording, but several are given")
    require_new(*pages.values(), overwrite=overwrite, job=jobs[0] if len(jobs) == 1 else None)
    if reference is not None:
        _check_reference(reference)
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_audio.confidence import Tracks
    from diff_audio.enhancer import Denoiser, Settings
    from diff_audio.recording import denoise_file, draw

    use(device, threads)
    try:
        model = Denoiser.from_pretrained(weights, device=device)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    settings = Settings.of(
        quality,
        steps=steps,
        samples=samples,
        seed=seed,
        limit_db=limit,
        mix=mix,
        linked=not separate,
    )
    if not quiet:
        waiting = [job for job in jobs if not (skip_existing and job.target.exists())]
        _foretell(model, waiting, settings, failures)

    def do(job: Job, advance: Callable[[float], None]) -> Outcome:
        for path in pages.values():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
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
        jobs, do, failures, line=_line, warnings=_warnings, quiet=quiet, as_json=as_json,
        skip_existing=skip_existing,
    )  # fmt: skip


def _check_reference(path: Path) -> None:
    """Raises typer.BadParameter for a --reference that cannot be read: before the work."""
    from diff_audio.files import BadFile, probe

    try:
        probe(path)
    except BadFile as error:
        raise typer.BadParameter(f"--reference {path}: {error}") from error


def _foretell(model: Denoiser, jobs: list[Job], settings: Settings, failures: Failures) -> None:
    """Says how long it will take, if that is worth knowing."""
    from diff_audio.files import BadFile, probe

    sound = 0.0  # seconds, of all channels
    for job in jobs:
        with suppress(BadFile, OSError):  # is told of when its turn comes
            found = probe(job.source)
            sound += found.channels * found.frames / found.rate
    if sound * settings.calls < SHORT:
        return
    seconds = model.predict(sound, settings)
    span = f"{seconds / 60:.0f} min" if seconds > 100 else f"{seconds:.0f} s"
    calls = f"{settings.calls} network call" + "s" * (settings.calls > 1)
    failures.warn("time", f"about {span} for {calls}")


def _line(outcome: Outcome) -> str:
    times = f"{outcome.seconds:.1f} s in {outcome.took:.1f} s"
    speed = f"{outcome.seconds / outcome.took:.1f} x real time"
    return f"{outcome.input} -> {outcome.output}  ({times}, {speed})"


def _warnings(outcome: Outcome) -> list[str]:
    found = [FLAT.format(outcome.flat)] if outcome.flat else []
    return [*found, CLIPPED.format(outcome.clipped)] if outcome.clipped else found


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
