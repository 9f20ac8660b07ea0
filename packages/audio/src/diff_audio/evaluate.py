"""The command `python -m diff_audio.evaluate REF EST`: scores against the clean recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_audio.metrics.files import Scored, grouped, naming, pairs, score_files
from diff_audio.metrics.table import Table
from diff_audio.sound.names import sound_files
from diff_core.command import (
    App,
    Failures,
    bar,
    files_of_split,
    options,
    report_unread,
    require_new,
    run,
    usage,
)
from diff_core.command.naming import as_options
from diff_core.data import Split
from diff_core.lines import print_line

if TYPE_CHECKING:
    from diff_audio.metrics.words import WordScore

__all__ = ["app", "main"]

COMMAND = "diff_audio.evaluate"
MISSING = "{} is left out: it needs the library {} (pip install '{}')"
TOGETHER = "{} are left out: they need further libraries (pip install '{}')"

app = App()


Reference = Annotated[Path, typer.Argument(metavar="REF", help="Clean recording, or folder.")]
Estimate = Annotated[Path, typer.Argument(metavar="EST", help="Enhanced recording, or folder.")]
CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="CSV",
        help="Write the scores of every file here.",
        rich_help_panel=options.FILES,
    ),
]
Plot = Annotated[Path | None, options.picture("Draw the scores of all files and groups.")]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Print the mean of each group too. The group is what this matches in the name, in "
        "its parentheses if it has any ('snr(-?[0-9]+)'); default: the folder.",
    ),
]
Scores = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Only these scores, with commas between: si_sdr,pesq."),
]
Align = Annotated[
    bool,
    typer.Option(
        "--align",
        help="Undo a delay of up to 150 ms where that raises the SI-SDR, print it, and score what "
        "both hold of the same time.",
    ),
]
Words = Annotated[
    bool,
    typer.Option(
        "--words",
        help="Also print the word error rate of English speech, against what the same recogniser "
        "hears in REF. Needs the extra `words`.",
    ),
]
TranscriptsOf = Annotated[
    Path | None,
    typer.Option(
        "--transcripts",
        metavar="TEXTS",
        help="The same against these texts: a .csv or .tsv file with the columns file and text, "
        "a folder of NAME.txt, or a .txt file for one recording.",
        rich_help_panel=options.FILES,
    ),
]
SplitOf = Annotated[
    Split | None,
    typer.Option(
        "--split",
        metavar="SPLIT",
        help="Score only the recordings of REF in this split (train, val or test), as training "
        "splits that folder.",
        rich_help_panel=options.FILES,
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        help="JSON lines with file and split of REF, for --split.", rich_help_panel=options.FILES
    ),
]


@app.command(
    examples={
        "clean.wav denoised.wav": "Score one recording.",
        "clean/ denoised/ --csv scores.csv --group 'snr(-?[0-9]+)'": "Score two folders by ratio.",
        "clean/ denoised/ --split test": "Score what no training has seen.",
        "clean/ denoised/ --transcripts texts.tsv": "Count the words that are wrong, too.",
    },
    renamed={"names": "scores"},
)
def evaluate(
    reference: Reference,
    estimate: Estimate,
    csv_file: CsvFile = None,
    plot: Plot = None,
    group: Group = None,
    scores: Scores = None,
    overwrite: options.Overwrite = False,
    align: Align = False,
    words: Words = False,
    transcripts: TranscriptsOf = None,
    split: SplitOf = None,
    manifest: Manifest = None,
    strict: options.Strict = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one line of JSON for each file, and one for the means.",
            rich_help_panel=options.MESSAGES,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            help="Print no definitions and no progress.",
            rich_help_panel=options.MESSAGES,
        ),
    ] = False,
    debug: options.Debug = False,
) -> int:
    """Score enhanced recordings against the clean ones, at 16 kHz.

    Prints the definition of every score, the scores, and their mean with a 95 % interval. A silent
    estimate, or one with a dead channel, counts with the worst score; files that cannot be scored
    are counted beside the mean.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    require_new(csv_file, plot, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug, strict=strict)
    try:
        counts, only = files_of_split(reference, manifest, split, _of_split, "recording")
    except ValueError as error:
        failures.add(str(reference), error)
        return 1
    with usage():
        found = pairs(reference, estimate, only)
    for folder in dict.fromkeys((reference, estimate)) if reference.is_dir() else ():
        report_unread(folder, sound_files(), failures)
    for path in found.left_out:
        failures.warn(str(path), "left out: an output of the file beside it, not a reference")
    failed: dict[str, str] = {}
    for name, path, reason in found.failed:
        failed[name] = failures.add(str(path), reason)
    total = len(found.pairs) + len(failures.names)
    if not total:
        failures.add(str(reference), "no sound files in these folders; give others")
        return 1
    with usage():
        names = _names(scores)
        all_names = [*(pair.name for pair in found.pairs), *failed]
        hear, more = _words(words, transcripts, all_names, failures)
        known = grouped(all_names, group, strict=False)
        grouped([pair.name for pair in found.pairs], group)
    rows: dict[str, Scored] = {}
    with bar(float(len(found.pairs)), quiet=quiet) as progress:
        for pair in found.pairs:
            progress.at(0.0, pair.name)
            try:
                rows[pair.name] = score_files(pair, names, align=align, words=hear)
            except Exception as error:  # one bad file must not stop the others
                failed[pair.name] = failures.add(str(pair.estimate), error)
            else:
                for note in rows[pair.name].notes:
                    failures.warn(str(pair.estimate), as_options(note))
            progress.add(1.0)
    table = Table(rows, known, (*names, *more), failed)
    for path, write in ((csv_file, table.write_csv), (plot, table.draw)):
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path)
        except (OSError, ValueError) as error:
            failures.add(str(path), error)
    if as_json:
        print("\n".join(table.json()))
    elif rows:
        if not quiet:
            rule = [f"pairs   {naming().rule}"] if reference.is_dir() else []
            print("\n".join([*([counts] if counts else []), *rule, *table.definitions()]))
            print()
        for line in table.lines():
            print_line(line)
    return failures.finish(total)


def _of_split(folder: Path, manifest: Path | None, split: Split) -> tuple[str, set[Path]]:
    """Return the counts of a folder's splits and the clean recordings of one, for
    `files_of_split`; raise ValueError as training does for that folder.
    """
    from diff_audio.data.layouts import recognise
    from diff_audio.data.manifest import listed, read_rows
    from diff_audio.data.splits import split_rows
    from diff_core.data import count_line

    if manifest is None:
        rows = recognise(folder).rows
    else:
        rows = tuple(listed(folder, "speech", read_rows(manifest)))
    speech = [row for row in split_rows(rows) if row.kind == "speech"]
    chosen = {row.path.resolve() for row in speech if row.split == split}
    return count_line((row.split for row in speech), "recordings"), chosen


def _names(scores: str | None) -> tuple[str, ...]:
    """Return the scores to compute; those whose library is missing are reported and left out.

    Raises ValueError for a score that is not known.
    """
    from diff_audio.metrics.scores import METRICS, NEEDS, available, check_names

    wanted = METRICS if scores is None else tuple(scores.split(","))
    check_names(wanted)
    names = tuple(name for name in wanted if name in available())
    lacking: dict[str, list[str]] = {}
    for name in wanted:
        if name not in names:
            lacking.setdefault(NEEDS[name][1], []).append(name)
    for extra, of in lacking.items():
        line = MISSING.format(of[0].upper(), *NEEDS[of[0]])
        if len(of) > 1:
            line = TOGETHER.format(", ".join(of).upper(), extra)
        print(f"{COMMAND}: {line}", file=sys.stderr)
    return names


def _words(
    wanted: bool, transcripts: Path | None, names: list[str], failures: Failures
) -> tuple[WordScore | None, tuple[str, ...]]:
    """Return the score of words and its name in the table; neither where it is not wanted or, with
    a line, where its libraries are missing.

    Raises ValueError for texts that cannot be used.
    """
    if not wanted and transcripts is None:
        return None, ()
    from diff_audio.metrics.scores import WER
    from diff_audio.metrics.transcripts import read_transcripts
    from diff_audio.metrics.words import EXTRA, WordScore, is_available

    texts = None if transcripts is None else read_transcripts(transcripts)
    if texts is not None and texts.alone is not None and len(names) > 1:
        raise ValueError(f"transcripts is {transcripts}, one text, but several files are scored")
    if texts is not None and (unused := texts.unused(names)):
        others = f" nor {len(unused) - 1} others" if len(unused) > 1 else ""
        failures.warn(str(transcripts), f"{unused[0]} is not scored{others}")
    if not is_available():
        print(f"{COMMAND}: {MISSING.format('WER', 'faster-whisper', EXTRA)}", file=sys.stderr)
        return None, ()
    return WordScore(texts), (WER,)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
