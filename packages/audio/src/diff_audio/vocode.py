"""The command `python -m diff_audio.vocode mel.npy -o out.wav`: sound from a mel spectrogram."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from diff_audio.sound.names import (
    FILLED_TAG,
    VOCODED_TAG,
    check_output,
    sound_files,
    written_name,
)
from diff_audio.sound.remarks import CUT_OFF, pace
from diff_core.command import App, Failures, FileKind, Job, options, process, run, usage, use
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.vocoder.outcome import Outcome

__all__ = ["app", "main"]

COMMAND = "diff_audio.vocode"
ARRAYS = (".npy", ".npz", ".pt")

app = App()


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Mel spectrograms (.npy, .npz, .pt of shape (80, N) or (C, 80, N)), or sound files, "
        "which are made anew from their own.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="A file or a folder; default: NAME_vocoded beside the input.",
        rich_help_panel=options.FILES,
    ),
]
MelFormat = Annotated[
    Literal["diff-audio", "hifigan", "tacotron", "librosa", "whisper"] | None,
    typer.Option(
        "--mel",
        metavar="FORMAT",
        help="The program that made the mel: diff-audio, hifigan, tacotron (NVIDIA's), librosa "
        "(its defaults) or whisper. Without it the file is taken for diff-audio's, unless its "
        "values tell otherwise.",
    ),
]
Steps = Annotated[int, typer.Option("--steps", "--passes", help="Network passes, 1 to 64.")]
Rounds = Annotated[
    int, typer.Option(help="Rounds in which phases settle after the first pass, 0 to 1000.")
]
Gap = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="START END",
        help="Make only what lies between these seconds of a recording, and keep the rest: for "
        "clicks and drop-outs up to about a tenth of a second.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="A vocoder of your own training (.safetensors).", rich_help_panel=options.MACHINE
    ),
]


@app.command(
    examples={
        "mel.npy -o speech.wav": "Make speech of a spectrogram.",
        "features.npy --mel whisper -o speech.wav": "Make speech of Whisper's features.",
        "call.wav --gap 1.62 1.7": "Fill a drop-out, into call_filled.wav.",
    },
    remote=True,
)
def vocode(
    inputs: Inputs,
    output: Output = None,
    overwrite: options.Overwrite = False,
    recursive: options.Recursive = False,
    strict: options.Strict = False,
    shard: options.ShardOf = None,
    summary: options.SummaryFile = None,
    steps: Steps = 1,
    rounds: Rounds = 64,
    seed: options.Seed = 0,
    gap: Gap = None,
    mel: MelFormat = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: Weights = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Make speech of mel spectrograms.

    An array holds natural logarithms of mel magnitudes, as diff_audio.Mel makes them, or what
    --mel names. One that looks like another mel is refused. The output's tags say that the sound
    is synthetic. OUTPUT.json beside it holds the model and the seed. Nothing is uploaded or
    downloaded but what you name by an address (s3://...).

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    if gap is not None and not 0 <= gap[0] < gap[1]:
        raise typer.BadParameter(
            f"--gap {gap[0]:g} {gap[1]:g}: expected two times in seconds, the earlier first"
        )
    with usage():
        check_output(output)
    failures = Failures(COMMAND, debug=debug, strict=strict)
    tag = FILLED_TAG if gap else VOCODED_TAG
    kind = _mels()
    is_product = kind.products(inputs, output, (tag,))
    sources = kind.expand(inputs, failures, recursive=recursive, skip=is_product)
    if output is not None and output.suffix.lower() in ARRAYS:
        raise typer.BadParameter(f"{output} is no sound file; end it in .wav, .flac or .ogg")
    jobs = kind.plan(sources, output, tag, failures, rename=_sounding)

    from diff_audio.jobs.vocode import vocode_file
    from diff_audio.vocoder.model import Settings, Vocoder

    with usage():
        settings = Settings(steps, rounds, seed)
    if not jobs:
        return failures.finish(len(failures.names))
    use(device, threads)
    try:
        model = Vocoder.from_pretrained(weights, device=device)
    except ValueError as error:
        failures.add("the model", error)
        return 1

    def do(job: Job, advance: Progress) -> Outcome:
        return vocode_file(
            model, job.source, job.target, settings, weights=weights, gap=gap, mel=mel,
            overwrite=overwrite, on_progress=advance,
        )  # fmt: skip

    return process(
        jobs, do, failures, line=_line, warnings=_warnings, quiet=quiet, as_json=as_json,
        shard=shard, summary=summary,
    )  # fmt: skip


def _line(outcome: Outcome) -> str:
    return f"{outcome.input} -> {outcome.output}  ({pace(outcome.seconds, outcome.took)})"


def _warnings(outcome: Outcome) -> list[str]:
    return [*outcome.notes, *([CUT_OFF.format(outcome.clipped)] if outcome.clipped else [])]


def _mels() -> FileKind:
    """Return the files that can be read here."""
    kind = sound_files()
    suffixes = (*kind.suffixes, *ARRAYS)
    return replace(kind, name="sound files or mel spectrograms", suffixes=suffixes)


def _sounding(target: Path) -> Path:
    """Return the name of a sound file: a mel spectrogram becomes a .wav."""
    is_mel = target.suffix.lower() in ARRAYS
    return target.with_suffix(".wav") if is_mel else written_name(target)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
