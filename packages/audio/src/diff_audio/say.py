"""The command `python -m diff_audio.say "Hello." -o hello.wav`, which speaks a text into a
file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import App, Failures, options, require_new, run, usage, use
from diff_core.lines import print_line

__all__ = ["app", "main"]

COMMAND = "diff_audio.say"

app = App()


Text = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TEXT]...",
        help="The text; - reads standard input. Phonemes may stand in brackets: "
        '"[HH AH0 L OW1] world".',
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="The sound file: .wav, .flac or .ogg.",
        rich_help_panel=options.FILES,
    ),
]
TextFile = Annotated[
    Path | None,
    typer.Option(
        "-f", "--file", help="Speak this text file (UTF-8).", rich_help_panel=options.FILES
    ),
]
Rate = Annotated[
    float,
    typer.Option(help="Speed, 0.25 to 4: 2 is twice as fast."),
]
Temperature = Annotated[
    float,
    typer.Option(help="Liveliness, 0 to 2: 0 is the most even, and a little dull."),
]
Steps = Annotated[int, typer.Option(help="Network passes from text to mel, 1 to 64.")]
Seed = Annotated[
    int,
    typer.Option(help="Seed of the random numbers: the same seed speaks a text in the same way."),
]
SpeakerName = Annotated[
    str | None,
    typer.Option(help="The speaker, in a voice of several."),
]
Engine = Annotated[
    str,
    typer.Option(help="The maker of phonemes: cmu, or an extra: espeak, gruut."),
]
Language = Annotated[
    str,
    typer.Option(help="The language of the text, for espeak and gruut: de-de, fr-fr."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse characters that cannot be spoken."),
]
Picture = Annotated[
    Path | None, options.picture("Draw the first sentence's mel and symbols into this PNG.")
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="A voice of your own training (.safetensors).", rich_help_panel=options.MACHINE
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
        '"Good morning." -o hello.wav': "Speak a sentence.",
        "--file book.txt -o book.flac --rate 1.1 --seed 3": "Speak a text file, a little faster.",
    }
)
def say(
    text: Text = None,
    output: Output = None,
    file: TextFile = None,
    rate: Rate = 1.0,
    temperature: Temperature = 0.3,
    steps: Steps = 4,
    seed: Seed = 0,
    speaker: SpeakerName = None,
    engine: Engine = "cmu",
    language: Language = "en-us",
    strict: Strict = False,
    overwrite: options.Overwrite = False,
    picture: Picture = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: Weights = None,
    vocoder: VocoderWeights = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one line of JSON.", rich_help_panel=options.MESSAGES),
    ] = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Speak a text into a sound file.

    The file's tags say that the speech is synthetic. OUTPUT.json beside it holds the model, the
    seed, and the SHA-256 of the text. Nothing is uploaded or downloaded.

    Exit code: 0 done, 1 failed, 2 wrong usage.
    """
    del version
    if output is None:
        raise typer.BadParameter("name the output: -o hello.wav")
    if bool(text) == (file is not None):
        raise typer.BadParameter("give the text, or a file of it with --file, and not both")
    require_new(output, output.with_name(f"{output.name}.json"), picture, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug)
    from diff_audio.voice.speaker import Manner

    with usage():
        manner = Manner(rate, temperature, steps, seed, speaker, engine, language, strict)
    use(device, threads)
    try:
        from diff_audio.jobs.say import say_into

        outcome = say_into(
            output, _read(text or [], file), manner, weights=weights, vocoder=vocoder,
            device=device, overwrite=overwrite, picture=picture,
        )  # fmt: skip
    except Exception as error:
        failures.add(str(output), error)
        return 1
    for warning in outcome.warnings:
        failures.warn(str(output), warning)
    if as_json:
        print(outcome.json())
    elif not quiet:
        print_line(outcome.line())
    return 0


def _read(text: list[str], file: Path | None) -> str:
    """Return the text to speak. Raises ValueError for a file that is no text."""
    try:
        if file is not None:
            return file.read_text(encoding="utf-8-sig")
        if text == ["-"]:
            return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = "standard input" if file is None else str(file)
        raise ValueError(
            f"{where}: is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error
    return " ".join(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
