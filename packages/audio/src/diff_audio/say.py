"""The command `python -m diff_audio.say "Hello." -o hello.wav`, which speaks a text into a
file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from diff_core.command import App, Failures, bar, options, require_new, run, usage, use
from diff_core.lines import print_line

if TYPE_CHECKING:
    from diff_audio.jobs.many import Item
    from diff_audio.jobs.say import Reader
    from diff_audio.voice.manner import Manner
    from diff_audio.voice.outcome import Outcome

__all__ = ["app", "main"]

COMMAND = "diff_audio.say"

app = App()


Text = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TEXT]...",
        help="The text, or SSML; - reads standard input. Phonemes may stand in brackets: "
        '"[HH AH0 L OW1] world".',
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="The sound file: .wav, .flac or .ogg. For --book and --table a folder.",
        rich_help_panel=options.FILES,
    ),
]
TextFile = Annotated[
    Path | None,
    typer.Option(
        "-f", "--file", help="Speak this text file (UTF-8).", rich_help_panel=options.FILES
    ),
]
Book = Annotated[
    Path | None,
    typer.Option(
        help="Speak a book (EPUB, or text with headings) into the folder -o, one file a chapter. "
        "What is done already is not done again.",
        rich_help_panel=options.FILES,
    ),
]
Table = Annotated[
    Path | None,
    typer.Option(
        help="Speak the rows of a CSV file (columns: text, file, speaker, rate, pitch, seed) into "
        "the folder -o.",
        rich_help_panel=options.FILES,
    ),
]
Format = Annotated[
    Literal["flac", "wav", "ogg", "opus", "mp3"],
    typer.Option(help="Format of the files of --book and --table.", rich_help_panel=options.FILES),
]
Times = Annotated[
    Path | None,
    typer.Option(
        help="Write the times of sentences and words: .json, .srt or .vtt. With --book and "
        "--table only the suffix counts.",
        rich_help_panel=options.FILES,
    ),
]
OwnWords = Annotated[
    Path | None,
    typer.Option(
        help="Your own words: a word and its phonemes on each line, or a PLS file.",
        rich_help_panel=options.FILES,
    ),
]
Play = Annotated[
    bool,
    typer.Option("--play", help="Speak to the loudspeaker, without a file (extra play)."),
]
Rate = Annotated[
    float,
    typer.Option(help="Speed, 0.25 to 4: 2 is twice as fast."),
]
Pitch = Annotated[float, typer.Option(help="Semitones up or down, -6 to 6.")]
Pause = Annotated[float, typer.Option(help="Length of the pauses, 0 to 10 times the usual one.")]
LoudnessLevel = Annotated[
    float, typer.Option(help="Loudness of the whole, LUFS, -40 to -8; peaks stay under -1 dBTP.")
]
AsItIs = Annotated[
    bool, typer.Option("--no-loudness", help="Leave the level as the voice makes it.")
]
Threads = Annotated[
    int,
    typer.Option(
        min=1,
        help="CPU threads, 1 by default.",
        rich_help_panel=options.MACHINE,
    ),
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
        "--book book.epub -o book/ --times .vtt": "Speak a book, one file a chapter.",
        '"Good morning." --play': "Speak to the loudspeaker.",
    }
)
def say(
    text: Text = None,
    output: Output = None,
    file: TextFile = None,
    book: Book = None,
    table: Table = None,
    format: Format = "flac",
    times: Times = None,
    lexicon: OwnWords = None,
    play: Play = False,
    rate: Rate = 1.0,
    pitch: Pitch = 0.0,
    pause: Pause = 1.0,
    loudness: LoudnessLevel = -19.0,
    no_loudness: AsItIs = False,
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
    threads: Threads = 1,
    weights: Weights = None,
    vocoder: VocoderWeights = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Speak a text into a sound file.

    Markdown, HTML and SSML are read. The file's tags say that the speech is synthetic. OUTPUT.json
    beside it holds the model, the seed, and the SHA-256 of the text. Nothing is uploaded or
    downloaded.

    Exit code: 0 done, 1 failed, 2 wrong usage.
    """
    del version
    many = book or table
    if sum((bool(text), file is not None, book is not None, table is not None)) != 1:
        raise typer.BadParameter(
            "give one of these: the text, a file of it with --file, --book or --table"
        )
    if play and (output or many or times or picture):
        raise typer.BadParameter("--play makes no file; leave out the options of files")
    if output is None and not play:
        raise typer.BadParameter("name the output: -o hello.wav")
    if output and not many:
        sidecar = output.with_name(f"{output.name}.json")
        require_new(output, sidecar, picture, times, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug)
    from diff_audio.voice.manner import Manner

    level = None if no_loudness else loudness
    with usage():
        manner = Manner(
            rate, temperature, steps, seed, speaker, engine, language, strict, pause, pitch, level
        )
    use(device, threads)
    try:
        from diff_audio.jobs.say import Reader

        given = "" if many else _read(text or [], file)
        reader = Reader.load(weights, vocoder, device=device, lexicon=lexicon)
        if play:
            return _play(reader, given, manner, failures)
        assert output is not None
        if many:
            items = _items(book, table, output, manner, format)
            suffix = (times.suffix or times.name) if times else None
            return _many(
                reader, items, failures, times=suffix, overwrite=overwrite, as_json=as_json,
                quiet=quiet,
            )  # fmt: skip
        with bar(1.0, quiet=quiet or as_json) as progress:
            outcome = reader.speak(
                output, given, manner, overwrite=overwrite, picture=picture, times=times,
                progress=lambda share: progress.at(share, output.name),
            )  # fmt: skip
    except Exception as error:
        failures.add(str(output or book or table or "text"), error)
        return 1
    _report(outcome, failures, print_line, as_json=as_json, quiet=quiet)
    return 0


def _report(
    outcome: Outcome,
    failures: Failures,
    tell: Callable[[str], None],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    for warning in outcome.warnings:
        failures.warn(outcome.output, warning)
    if as_json:
        tell(outcome.json())
    elif not quiet:
        tell(outcome.line())


def _play(reader: Reader, text: str, manner: Manner, failures: Failures) -> int:
    """Speak to the loudspeaker and return the exit code."""
    from diff_audio.jobs.play import open_loudspeaker, play
    from diff_audio.text import summary

    stream = open_loudspeaker(reader.speaker.sample_rate)
    _, skipped = play(reader.speaker, text, manner, reader.lexicon, stream)
    if skipped:
        failures.warn("text", f"left out: {'; '.join(summary(skipped))}")
    return 0


def _items(
    book: Path | None, table: Path | None, folder: Path, manner: Manner, kind: str
) -> list[Item]:
    """Return the texts of a book or a table. Raises ValueError and OSError."""
    from diff_audio.jobs.many import book_items, table_items

    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name one with -o for the files")
    if book is not None:
        return book_items(book, folder, manner, kind)
    assert table is not None
    return table_items(table, folder, manner, kind)


def _many(
    reader: Reader,
    items: Sequence[Item],
    failures: Failures,
    *,
    times: str | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Speak many texts under one progress bar and return the exit code."""
    from diff_audio.jobs.many import is_done, speak_item

    with bar(float(sum(item.size for item in items)), quiet=quiet) as progress:
        for item in items:
            name, size = str(item.output), item.size

            def advance(share: float, size: int = size, label: str = item.output.name) -> None:
                progress.at(share * size, label)

            try:
                if is_done(reader, item, times):
                    if not (quiet or as_json):
                        progress.say(f"{name}  (done before)")
                    continue
                outcome = speak_item(
                    reader, item, overwrite=overwrite, times=times, progress=advance
                )
            except Exception as error:  # one bad text must not stop the others
                failures.add(name, error)
                continue
            finally:
                progress.add(size)
            _report(outcome, failures, progress.say, as_json=as_json, quiet=quiet)
    return failures.finish(len(items))


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
