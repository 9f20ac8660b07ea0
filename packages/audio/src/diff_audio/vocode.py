"""`python -m diff_audio.vocode mel.npy -o out.wav`: makes sound of a mel spectrogram."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from diff_audio.files import FOREIGN, SUFFIXES
from diff_audio.names import FILLED_TAG, VOCODED_TAG
from diff_core.command import App, Failures, FileKind, Job, options, process, run, use

__all__ = ["app", "main"]

COMMAND = "diff_audio.vocode"
MELS = FileKind("sound files or mel spectrograms", (*SUFFIXES, ".npy"), FOREIGN)
CLIPPED = "{} samples lay beyond full scale and were cut off"

app = App()


@app.command()
def vocode(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Log-mel spectrograms (.npy of shape (80, N) or (C, 80, N)), or sound files, "
            "which are made anew from their own.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File, or folder; default: NAME_vocoded beside the input."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    recursive: options.Recursive = False,
    steps: Annotated[
        int | None,
        typer.Option("--steps", "--passes", min=1, max=64, help="Network passes; default: 1."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Rounds in which phases settle after the first; default: 64."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise that it starts from.")] = 0,
    gap: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="START END",
            help="Make anew only what lies between these seconds of a recording, and keep the "
            "rest: for clicks and drop-outs up to about a tenth of a second.",
        ),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: Annotated[
        Path | None, typer.Option(help="A vocoder of your own training (.safetensors).")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Make speech of mel spectrograms.

    A .npy holds natural logarithms of mel magnitudes, as diff_audio.mel.Mel makes them. The
    output's tags say that the sound is synthetic; beside it, OUTPUT.json says by which model and
    with which seed. Nothing is uploaded or downloaded.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    if gap is not None and not 0 <= gap[0] < gap[1]:
        raise typer.BadParameter(
            f"--gap {gap[0]:g} {gap[1]:g}: expected two times in seconds, the earlier first"
        )
    failures = Failures(COMMAND, debug=debug)
    tag = FILLED_TAG if gap else VOCODED_TAG
    is_product = MELS.products(inputs, output, (tag,))
    sources = MELS.expand(inputs, failures, recursive=recursive, skip=is_product)
    if output is not None and output.suffix.lower() == ".npy":
        raise typer.BadParameter(f"{output} is no sound file; end it in .wav, .flac or .ogg")
    jobs = MELS.plan(sources, output, tag, failures, rename=_sounding)
    if not jobs:
        return failures.finish(len(failures.names))

    from diff_audio.vocoder.files import Outcome, vocode_file
    from diff_audio.vocoder.model import Settings, Vocoder

    use(device, threads)
    try:
        model = Vocoder.from_pretrained(weights, device=device)
    except ValueError as error:
        failures.add("the model", error)
        return 1
    given = {"steps": steps, "rounds": rounds}
    settings = Settings(seed=seed, **{k: v for k, v in given.items() if v is not None})

    def do(job: Job, advance: Callable[[float], None]) -> Outcome:
        return vocode_file(
            model,
            job.source,
            job.target,
            settings,
            weights=weights,
            gap=gap,
            overwrite=overwrite,
            on_progress=advance,
        )

    def line(outcome: Outcome) -> str:
        times = f"{outcome.seconds:.1f} s in {outcome.took:.1f} s"
        speed = f"{outcome.seconds / outcome.took:.1f} x real time"
        return f"{outcome.input} -> {outcome.output}  ({times}, {speed})"

    def warnings(outcome: Outcome) -> list[str]:
        return [CLIPPED.format(outcome.clipped)] if outcome.clipped else []

    return process(jobs, do, failures, line=line, warnings=warnings, quiet=quiet, as_json=as_json)


def _sounding(target: Path) -> Path:
    """The name of a sound file: a mel spectrogram becomes a .wav."""
    return target.with_suffix(".wav") if target.suffix.lower() == ".npy" else target


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
