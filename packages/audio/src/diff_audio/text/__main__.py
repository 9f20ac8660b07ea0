"""The command `python -m diff_audio.text "Dr. Smith paid $3.50"`: words and phonemes of a text."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from diff_audio.text import ENGINES, Lexicon, Skipped, summary, utterances
from diff_core.command import App, Failures, options, run

__all__ = ["app", "main"]

COMMAND = "diff_audio.text"

app = App()


@app.command(
    examples={
        '"Dr. Smith paid $3.50"': "Print words and phonemes.",
        '"Guten Tag." --engine espeak --language de-de': "Print the phonemes of another language.",
    }
)
def text(
    words: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="The text; - reads standard input.")
    ],
    engine: Annotated[str, typer.Option(help=f"One of {', '.join(ENGINES)}.")] = "cmu",
    language: Annotated[
        str, typer.Option(help="Language of gruut or espeak, such as de-de.")
    ] = "en-us",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse characters that cannot be spoken.")
    ] = False,
    lexicon: Annotated[
        Path | None,
        typer.Option(help="Your own words: a word and its phonemes a line, or a PLS file."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each sentence.")
    ] = False,
    debug: options.Debug = False,
) -> int:
    """Print a text as it is spoken, a sentence at a time: a line of words, a line of phonemes.

    Numbers and abbreviations are written out. Phonemes may be given in brackets: [HH AH0 L OW1].
    Markdown, HTML and SSML are read. What cannot be spoken is left out and reported once on
    standard error.

    Exit code: 0 done, 1 the text cannot be spoken, 2 wrong usage.
    """
    if engine not in ENGINES:
        raise typer.BadParameter(f"--engine {engine}: expected one of {', '.join(ENGINES)}")
    failures = Failures(COMMAND, debug=debug)
    try:
        piped = words == ["-"]
        given = sys.stdin.buffer.read().decode("utf-8-sig") if piped else " ".join(words)
        words_of_mine = Lexicon.read(lexicon) if lexicon else None
        left_out: list[Skipped] = []
        for spoken in utterances(
            given, strict=strict, engine=engine, language=language, lexicon=words_of_mine
        ):
            left_out += spoken.skipped
            if as_json:
                print(json.dumps(asdict(spoken)))
            else:
                print(f"{' '.join(spoken.words)}\n{' '.join(spoken)}", flush=True)
        for line in summary(left_out):
            failures.warn("left out", line)
    except (ValueError, OSError) as error:
        failures.add("text", error)
    return failures.finish(1)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
