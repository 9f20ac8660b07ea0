"""The command `python -m diff_audio.restore in.wav`, which writes in_restored.wav beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_audio.sound.names import RESTORED_TAG, check_output, sound_files, written_name
from diff_audio.sound.remarks import CUT_OFF, pace
from diff_audio.weights import path_of
from diff_core.command import App, Failures, Job, options, process, run, usage, use
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.restorer.outcome import Outcome

__all__ = ["app", "main"]

COMMAND = "diff_audio.restore"
NONE = (
    "no restorer comes with this version; train one by `python -m diff_audio.train restore`, "
    "and name it by --weights"
)
SHOWN = 5  # seconds whose draws differ most that are named

app = App()

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT...", help="Sound files, folders or patterns.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="A file or a folder; default: NAME_restored beside the input.",
        rich_help_panel=options.FILES,
    ),
]
Steps = Annotated[
    int,
    typer.Option(
        help="Network passes, 1 to 8. 1 is the mean of what the speech may have been: dull and "
        "sure; more draw one likely recording."
    ),
]
Draws = Annotated[
    int,
    typer.Option(
        help="Recordings that are drawn, 1 to 32. The first is written; how far they differ in "
        "each second, which is what may be invented, stands in OUTPUT.json."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        "--checkpoint",
        help="A restorer of your own training (.safetensors).",
        rich_help_panel=options.MACHINE,
    ),
]
VocoderWeights = Annotated[
    Path | None,
    typer.Option(
        help="A vocoder of your own training (.safetensors).", rich_help_panel=options.MACHINE
    ),
]


@app.command(
    examples={
        "call.wav --weights run/restore.safetensors": "Write call_restored.wav beside it.",
        "tape.wav --weights run/restore.safetensors --draws 4": "Also report what may be "
        "invented.",
    },
    remote=True,
)
def restore(
    inputs: Inputs,
    output: Output = None,
    overwrite: options.Overwrite = False,
    recursive: options.Recursive = False,
    strict: options.Strict = False,
    shard: options.ShardOf = None,
    summary: options.SummaryFile = None,
    steps: Steps = 4,
    draws: Draws = 1,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: Weights = None,
    vocoder: VocoderWeights = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Make damaged speech anew: far microphones, telephones, clipping, codecs, old tapes.

    A model makes what it takes for the speech in the recording. Words, the voice and its place in
    a room may change; to remove noise alone, use diff_audio.denoise. The output's tags and an
    inaudible mark in the sound say that it is synthetic; OUTPUT.json beside it holds the models
    and the seed. Nothing is uploaded or downloaded but what you name by an address (s3://...).

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    from diff_audio.restorer.settings import Settings

    with usage():
        settings = Settings(steps, draws, seed)
        check_output(output)
    failures = Failures(COMMAND, debug=debug, strict=strict)
    kind = sound_files()
    is_product = kind.products(inputs, output, (RESTORED_TAG,))
    sources = kind.expand(inputs, failures, recursive=recursive, skip=is_product)
    jobs = kind.plan(sources, output, RESTORED_TAG, failures, rename=written_name)
    if not jobs:
        return failures.finish(len(failures.names))
    file = weights or path_of("restore")
    if weights is None and not file.exists():
        failures.add("the model", NONE)
        return 1

    from diff_audio.jobs.restore import restore_file
    from diff_audio.restorer.restorer import Restorer

    use(device, threads)
    try:
        model = Restorer.from_pretrained(file, vocoder, device=device)
    except ValueError as error:
        failures.add("the model", error)
        return 1

    def do(job: Job, advance: Progress) -> Outcome:
        return restore_file(
            model, job.source, job.target, settings, weights=file, vocoder=vocoder,
            overwrite=overwrite, on_progress=advance,
        )  # fmt: skip

    return process(
        jobs, do, failures, line=_line, warnings=_warnings, quiet=quiet, as_json=as_json,
        shard=shard, summary=summary,
    )  # fmt: skip


def _line(outcome: Outcome) -> str:
    return f"{outcome.input} -> {outcome.output}  ({pace(outcome.seconds, outcome.took)})"


def _warnings(outcome: Outcome) -> list[str]:
    found = [*outcome.notes]
    if outcome.clipped:
        found.append(CUT_OFF.format(outcome.clipped))
    if outcome.spread:
        seconds = range(len(outcome.spread))
        most = sorted(seconds, key=lambda second: -outcome.spread[second])[:SHOWN]
        named = ", ".join(f"{second} s ({outcome.spread[second]:.1f} dB)" for second in most)
        found.append(f"the draws differ most, and may be invented most, from {named} on")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
