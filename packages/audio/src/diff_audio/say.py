"""`python -m diff_audio.say "Hello." -o hello.wav`: speaks a text into a sound file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import App, Failures, options, require_new, run, use

__all__ = ["app", "main"]

COMMAND = "diff_audio.say"

app = App()


@app.command()
def say(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="What to say; - reads standard input. Phonemes may stand in brackets: "
            '"[HH AH0 L OW1] world".',
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The sound file: .wav, .flac or .ogg."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Say what is in this text file (UTF-8).")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.25, max=4.0, help="Speed: 2 is twice as fast.")
    ] = 1.0,
    temperature: Annotated[
        float,
        typer.Option(min=0.0, max=2.0, help="Liveliness: 0 is the most even, and a little dull."),
    ] = 0.3,
    steps: Annotated[
        int, typer.Option(min=1, max=64, help="Network passes from text to mel.")
    ] = 4,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed says the same text in the same way.")
    ] = 0,
    speaker: Annotated[str | None, typer.Option(help="Who speaks, in a voice of several.")] = None,
    engine: Annotated[
        str,
        typer.Option(help="Who makes phonemes of the text: cmu, or an extra: espeak, gruut."),
    ] = "cmu",
    language: Annotated[
        str, typer.Option(help="Of the text, for espeak and gruut: de-de, fr-fr.")
    ] = "en-us",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse characters that cannot be spoken.")
    ] = False,
    overwrite: options.Overwrite = False,
    picture: Annotated[
        Path | None, options.picture("Draw the first sentence's mel and symbols into this PNG.")
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: Annotated[
        Path | None, typer.Option(help="A voice of your own training (.safetensors).")
    ] = None,
    vocoder: Annotated[
        Path | None, typer.Option(help="A vocoder of your own training (.safetensors).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Speak a text into a sound file.

    The file's tags say that the speech is synthetic; beside it, OUTPUT.json says by which model,
    with which seed, and the SHA-256 of the text. Nothing is uploaded or downloaded.

    Exit code: 0 done, 1 failed, 2 wrong usage.
    """
    del version
    if output is None:
        raise typer.BadParameter("name the output: -o hello.wav")
    if bool(text) == (file is not None):
        raise typer.BadParameter("give the text, or a file of it with --file, and not both")
    require_new(output, output.with_name(f"{output.name}.json"), picture, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug)
    try:
        words = _read(text or [], file)
        from diff_audio.voice.speaker import Manner

        manner = Manner(rate, temperature, steps, seed, speaker, engine, language, strict)
        use(device, threads)
        from diff_audio.voice.utterance import say_into

        outcome = say_into(
            output,
            words,
            manner,
            weights=weights,
            vocoder=vocoder,
            device=device,
            overwrite=overwrite,
            picture=picture,
        )
    except typer.BadParameter:
        raise
    except Exception as error:
        failures.add(str(output), error)
        return 1
    for warning in outcome.warnings:
        failures.warn(str(output), warning)
    if as_json:
        print(outcome.json())
    elif not quiet:
        print(outcome.line())
    return 0


def _read(text: list[str], file: Path | None) -> str:
    """The text to say. Raises ValueError for a file that is no text."""
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
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
