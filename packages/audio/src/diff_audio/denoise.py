"""The command `python -m diff_audio.denoise in.wav`, which writes in_denoised.wav beside it."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_audio.denoiser.settings import Quality, Settings
from diff_audio.pages.beside import Beside
from diff_audio.sound.delivery import Delivery
from diff_audio.sound.names import PRODUCTS, TAG, check_output, sound_files, written_name
from diff_audio.sound.remarks import CUT_OFF, pace
from diff_core.command import App, Failures, Job, options, process, require_new, run, usage, use
from diff_core.command.reports import Reports
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.denoiser.denoiser import Denoiser
    from diff_audio.denoiser.outcome import Outcome

__all__ = ["app", "main"]

COMMAND = "diff_audio.denoise"
CLIPPED = f"{CUT_OFF}; lower the level of the input, or convert it to a float WAV first"
FLAT = (
    "the input is clipped: {} samples were cut off at full scale when it was recorded; "
    "denoising does not bring them back; record again at a lower level, or use a declipper first"
)
SAMPLE_STEPS = 4
SHORT = 180.0  # seconds of sound, times network calls, under which no time is foretold

app = App()

FILES, LEVEL, REPORTS = options.FILES, "Level", "Reports"

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT...", help="Sound files, folders or patterns.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="A file or a folder; default: NAME_denoised beside the input.",
        rich_help_panel=FILES,
    ),
]
QualityOption = Annotated[
    Quality,
    typer.Option(
        help="draft: half precision where the processor is fast at it. default: one network "
        "call. best: the mean of four calls, on frame grids in between."
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Network passes, 1 to 64. 1, the default, is the most faithful; more passes walk the "
        "bridge to one likely recording: crisper, less faithful."
    ),
]
Samples = Annotated[
    int,
    typer.Option(help="Average this many posterior samples (4 passes each by default)."),
]
Limit = Annotated[
    float | None,
    typer.Option(metavar="DB", help="Remove at most this many dB; 0 changes nothing."),
]
Mix = Annotated[
    float,
    typer.Option(
        metavar="SHARE", help="Share of the result in the output, 0 to 1; the rest is the input."
    ),
]
Room = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Share of the input that stays where a room echoes, 0 to 1; 0 removes more of the "
        "echo, and words with it.",
    ),
]
Separate = Annotated[
    bool,
    typer.Option(
        "--separate",
        help="Treat each channel by itself, as for microphones that hear different things. "
        "Without it, one level and one mask for all channels keep every sound in its place.",
    ),
]
KeepNoise = Annotated[
    bool,
    typer.Option(
        "--keep-noise",
        help="Also write the removed part, as NAME_removed: input = output + removed, sample for "
        "sample.",
        rich_help_panel=FILES,
    ),
]
Loudness = Annotated[
    float | None,
    typer.Option(
        metavar="LUFS",
        help="Bring the output to this loudness (ITU-R BS.1770): -16 for podcasts, -23 for "
        "broadcasts.",
        rich_help_panel=LEVEL,
    ),
]
Peak = Annotated[
    float | None,
    typer.Option(
        metavar="DB",
        help="Hold the true peak under this level, dB of full scale, by a limiter; default: -1 "
        "with the other two options here.",
        rich_help_panel=LEVEL,
    ),
]
LevelSpeakers = Annotated[
    bool,
    typer.Option(
        "--level-speakers",
        help="Raise each channel to the loudness of the loudest, as for one microphone a speaker. "
        "Includes --separate.",
        rich_help_panel=LEVEL,
    ),
]
NanToZero = Annotated[
    bool,
    typer.Option(
        "--nan-to-zero", help="Take NaN and Inf samples for silence.", rich_help_panel=FILES
    ),
]
Confidence = Annotated[
    Path | None,
    typer.Option(
        metavar="JSON",
        help="Write how far each second may be trusted; --samples makes it more reliable.",
        rich_help_panel=REPORTS,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="HTML|FOLDER",
        help="Write a page to hear and see the recording before, after, and the removed part; "
        "for several, a folder with a page for each and an index.",
        rich_help_panel=REPORTS,
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        metavar="CLEAN",
        help="Clean recording, for scores in --report.",
        rich_help_panel=REPORTS,
    ),
]
Picture = Annotated[
    Path | None, options.picture("Draw the first two minutes, before and after, into this PNG.")
]


@app.command(
    examples={
        "in.wav": "Write in_denoised.wav beside it.",
        "talks/ --recursive -o clean/ --limit 20": "Denoise a folder, and keep some of the noise.",
        "talk.wav --loudness -16": "Also bring it to the loudness of podcasts.",
    },
    renamed={"limit_db": "limit", "linked": "separate", "views": "quality"},
    remote=True,
)
def denoise(
    inputs: Inputs,
    output: Output = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    strict: options.Strict = False,
    shard: options.ShardOf = None,
    summary: options.SummaryFile = None,
    quality: QualityOption = "default",
    steps: Steps = None,
    samples: Samples = 1,
    seed: options.Seed = 0,
    limit: Limit = None,
    mix: Mix = 1.0,
    room: Room = 0.4,
    separate: Separate = False,
    loudness: Loudness = None,
    peak: Peak = None,
    level_speakers: LevelSpeakers = False,
    keep_noise: KeepNoise = False,
    nan_to_zero: NanToZero = False,
    confidence: Confidence = None,
    report: Report = None,
    reference: Reference = None,
    picture: Picture = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Remove noise from recordings of speech.

    Rate, channels, length, format and tags stay as they are. Nothing is uploaded or downloaded
    but what you name by an address (s3://...).

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    if steps is None:
        steps = 1 if samples == 1 else SAMPLE_STEPS
    with usage():
        settings = Settings.of(
            quality, steps=steps, samples=samples, seed=seed, limit_db=limit, mix=mix, room=room,
            linked=not (separate or level_speakers),
        )  # fmt: skip
        delivery = Delivery(loudness, peak, level_speakers)
        beside = Beside(picture, report, confidence, reference)
        check_output(output)
    if overwrite and skip_existing:
        raise typer.BadParameter("--overwrite and --skip-existing exclude each other")
    if delivery.changes and (keep_noise or report is not None):
        compared = "--keep-noise" if keep_noise else "--report"
        raise typer.BadParameter(f"{compared} excludes --loudness, --peak and --level-speakers")
    failures = Failures(COMMAND, debug=debug, strict=strict)
    kind = sound_files()
    is_product = kind.products(inputs, output, PRODUCTS)
    sources = kind.expand(inputs, failures, recursive=recursive, skip=is_product)
    jobs = kind.plan(sources, output, TAG, failures, rename=written_name)
    with usage():
        beside.check(len(jobs))
    job = jobs[0] if len(jobs) == 1 else None
    pages = Reports(report, jobs, output, title="Denoised recordings")
    beside = replace(beside, report=pages.page_alone) if reference is None else beside
    require_new(*beside.files.values(), overwrite=overwrite, job=job)
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_audio.denoiser.denoiser import Denoiser
    from diff_audio.jobs.denoise import denoise_file

    use(device, threads)
    try:
        model = Denoiser.from_pretrained(weights, device=device)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    if not quiet:
        _foretell(model, jobs, settings, failures, skip_existing=skip_existing)

    def do(job: Job, advance: Progress) -> Outcome:
        page, thumbnail = pages.files(job)
        files = replace(beside, report=page)
        tracks = files.prepare()
        outcome = denoise_file(
            model, job.source, job.target, settings, delivery=delivery, overwrite=overwrite,
            nan_to_zero=nan_to_zero, keep_noise=keep_noise,
            on_part=tracks.add if tracks else None, on_progress=advance,
        )  # fmt: skip
        files.write(outcome, tracks, settings, thumbnail)
        if report is not None and tracks is not None:
            from diff_audio.pages.numbers import numbers

            pages.describe(job, numbers(outcome, tracks))
        return outcome

    return process(
        jobs, do, failures, line=_line, warnings=_warnings, quiet=quiet, as_json=as_json,
        skip_existing=skip_existing, shard=shard, summary=summary, reports=pages,
    )  # fmt: skip


def _foretell(
    model: Denoiser,
    jobs: list[Job],
    settings: Settings,
    failures: Failures,
    *,
    skip_existing: bool,
) -> None:
    """Print how long the work will take, if it is long."""
    from diff_audio.sound.read import BadFile, probe

    sound = 0.0  # seconds, of all channels
    for job in jobs:
        if skip_existing and job.target.exists():
            continue
        with suppress(BadFile, OSError):  # is reported when its turn comes
            found = probe(job.source)
            sound += found.channels * found.frames / found.rate
    if sound * settings.calls < SHORT:
        return
    seconds = model.predict(sound, settings)
    span = f"{seconds / 60:.0f} min" if seconds > 100 else f"{seconds:.0f} s"
    calls = f"{settings.calls} network call" + "s" * (settings.calls > 1)
    failures.warn("time", f"about {span} for {calls}")


def _line(outcome: Outcome) -> str:
    said = pace(outcome.seconds, outcome.took)
    level = outcome.delivered.loudness if outcome.delivered else None
    said += "" if level is None else f", {level:.1f} LUFS"
    return f"{outcome.input} -> {outcome.output}  ({said})"


def _warnings(outcome: Outcome) -> list[str]:
    found = [*outcome.notes]
    found += [FLAT.format(outcome.flat)] if outcome.flat else []
    found += [CLIPPED.format(outcome.clipped)] if outcome.clipped else []
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
