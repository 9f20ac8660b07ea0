"""The command `python -m diff_audio.evaluate REF EST`: scores against the clean recordings."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from diff_audio.metrics.files import grouped, pairs, score_files, summary
from diff_core.command import App, Failures, bar, options, require_new, run, usage
from diff_core.lines import cell, print_line

__all__ = ["app", "main"]

COMMAND = "diff_audio.evaluate"
MISSING = "{} is left out: it needs the library {} (pip install '{}')"

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
    bool, typer.Option("--align", help="Undo a delay of up to 150 ms and cut to the shorter.")
]


@app.command(
    examples={
        "clean.wav denoised.wav": "Score one recording.",
        "clean/ denoised/ --csv scores.csv --group 'snr(-?[0-9]+)'": "Score two folders by ratio.",
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

    Prints the definition of every score, the scores, and their mean with a 95 % interval.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    require_new(csv_file, plot, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug)
    with usage():
        found, alone = pairs(reference, estimate)
    for path, reason in alone:
        failures.add(str(path), reason)
    total = len(found) + len(failures.names)
    if not total:
        failures.add(str(reference), "no sound files in these folders; give others")
        return 1
    with usage():
        places = grouped([pair.name for pair in found], group)
        names = _names(scores)
    rows: dict[str, dict[str, float]] = {}
    with bar(float(len(found)), quiet=quiet) as progress:
        for pair in found:
            progress.at(0.0, pair.name)
            try:
                rows[pair.name] = score_files(pair, names, align=align)
            except Exception as error:  # one bad file must not stop the others
                failures.add(str(pair.estimate), error)
            progress.add(1.0)
    table = Table(rows, places, names)
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
            print("\n".join(table.definitions()), end="\n\n")
        for line in table.lines():
            print_line(line)
    return failures.finish(total)


def _names(scores: str | None) -> tuple[str, ...]:
    """Return the scores to compute; those whose library is missing are reported and left out.

    Raises ValueError for a score that is not known.
    """
    from diff_audio.metrics.scores import METRICS, NEEDS, available, check_names

    wanted = METRICS if scores is None else tuple(scores.split(","))
    check_names(wanted)
    names = tuple(name for name in wanted if name in available())
    for name in set(wanted) - set(names):
        print(f"{COMMAND}: {MISSING.format(name.upper(), *NEEDS[name])}", file=sys.stderr)
    return names


@dataclass(frozen=True)
class Table:
    """The scores of all files.

    rows:   scores by file
    places: group by file
    names:  scores, in the order in which they are printed
    """

    rows: dict[str, dict[str, float]]
    places: dict[str, str]
    names: Sequence[str]

    @property
    def groups(self) -> dict[str, list[dict[str, float]]]:
        """The rows of each group, sorted by group."""
        groups: dict[str, list[dict[str, float]]] = {}
        for name in sorted(self.rows, key=lambda name: self.places[name]):
            groups.setdefault(self.places[name], []).append(self.rows[name])
        return groups

    def means(self) -> list[tuple[str | None, dict[str, dict[str, float]]]]:
        """Return the means of each group, if there are several, and of all files (None)."""
        groups = self.groups
        several = [(name, summary(some, self.names)) for name, some in groups.items()]
        every = summary(list(self.rows.values()), self.names)
        return [*(several if len(groups) > 1 else []), (None, every)]

    def json(self) -> Iterator[str]:
        """Yield one line for each file, and one for each mean."""
        for name, row in self.rows.items():
            yield json.dumps({"file": name, "group": self.places[name], **_strict(row)})
        for name, table in self.means():
            whose = {} if name is None else {"group": name}
            yield json.dumps({**whose, "mean": {n: _strict(row) for n, row in table.items()}})

    def definitions(self) -> Iterator[str]:
        """Yield one line for each score."""
        from diff_audio.metrics.scores import DEFINITIONS

        for name in self.names:
            yield f"{name:7} {DEFINITIONS[name]}"

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table for people."""
        means = self.means()
        titles = [name for name, _ in means if name is not None]
        width = max(len("95 % +-"), *(len(name) for name in [*self.rows, *titles]))
        yield f"{'file':{width}}" + "".join(f"{name:>9}" for name in self.names)
        for file, row in self.rows.items():
            yield f"{file:{width}}" + "".join(f"{row[name]:9.3f}" for name in self.names)
        for title, table in means:
            if titles:
                yield ""
                yield title or "all"
            for label, key in (("mean", "mean"), ("95 % +-", "half_width"), ("files", "count")):
                form = ".0f" if key == "count" else ".3f"
                values = (table[name][key] for name in self.names)
                # an interval needs two files
                cells = ("-" if math.isnan(value) else f"{value:{form}}" for value in values)
                yield f"{label:{width}}" + "".join(f"{cell:>9}" for cell in cells)

    def write_csv(self, path: Path) -> None:
        """Write the scores of every file."""
        from diff_core.files import replacing

        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "group", *self.names])
            for name, row in self.rows.items():
                place = cell(self.places[name])
                writer.writerow([cell(name), place, *(row[n] for n in self.names)])

    def draw(self, path: Path) -> None:
        """Draw the scores of all files and groups."""
        from diff_audio.metrics.scores import BETTER
        from diff_core.command.score_plot import plot_scores

        plot_scores(self.groups, {name: BETTER[name] for name in self.names}, path)


def _strict(row: dict[str, float]) -> dict[str, float | None]:
    """Return the scores without NaN and infinity, which JSON does not have."""
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
